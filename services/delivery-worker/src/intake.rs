//! Intake: from the stream to the dispatcher.
//!
//! Reads only while delivery is switched on and only as much as there are places for, so the worker's memory is bounded
//! and what it cannot take stays for other workers. How many deliveries an entry has shows when it is read: where there are
//! few places in all, the rest of one entry waits here for them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use onering_delivery::{DatabaseTime, Work};
use onering_queue::{Batch, Consumer, INLINE_BODY_LIMIT, PACK_LIMIT, QueueError};
use onering_service_kit::{FailureLog, error_chain};
use onering_telemetry::field;

use crate::arrival::arrive;
use crate::bodies::fetch_bodies;
use crate::context::Context;
use crate::entry_share::EntryShare;
use crate::events::DispatcherHandle;
use crate::places::{Place, Places};
use crate::settling::Finished;
use crate::work_item::{Item, Source, work_of};

/// Deliveries read at once, at most.
const BATCH: usize = 512;
/// How long a read waits for the first entry: also how long a switch or a stop waits for a quiet reader.
const BLOCK: Duration = Duration::from_millis(500);
/// Pause after Redis failed.
const PAUSE: Duration = Duration::from_millis(500);

/// No lease ends further from now than this, so such an entry was not written by a gateway; Postgres could not even be
/// asked about it.
const FURTHEST_LEASE: Duration = Duration::from_secs(366 * 24 * 60 * 60);

struct Intake {
    context: Arc<Context>,
    consumer: Consumer,
    dispatcher: DispatcherHandle,
    /// When to look next for what dead workers left.
    next_claim: Instant,
}

/// Entries, and how they came to be this worker's.
struct Taken {
    batch: Batch,
    source: fn(EntryShare) -> Source,
}

/// A delivery that has its body and as yet no place.
struct Complete {
    work: Work,
    body: Bytes,
    source: Source,
    /// Its lease is none that a gateway writes.
    is_garbled: bool,
}

/// Reads until stopped.
pub(crate) async fn run(context: Arc<Context>, consumer: Consumer, dispatcher: DispatcherHandle) {
    let mut switches = context.flags.subscribe();
    let mut failing = FailureLog::new("reading the stream");
    let next_claim = context.clock.monotonic();
    let mut intake = Intake { context: Arc::clone(&context), consumer, dispatcher, next_claim };
    while !context.stop.is_cancelled() {
        if !context.flags.current().delivery {
            context.tally.read();
            tokio::select! {
                _ = switches.changed() => {}
                () = context.pause(BLOCK) => {}
            }
            continue;
        }
        let Some(places) = take_places(&context, PACK_LIMIT, BATCH).await else { break };
        let taken = tokio::select! {
            taken = intake.take(entries_for(places.items())) => taken,
            () = context.stop.cancelled() => return intake.finish().await,
        };
        match taken {
            Ok(taken) => {
                failing.worked();
                intake.hand_over(taken, places).await;
            }
            Err(error) => {
                failing.failed(&error);
                context.pause(PAUSE).await;
            }
        }
        context.tally.read();
    }
}

/// How many entries to read with so many places, if all are as full as they may be.
fn entries_for(places: usize) -> usize {
    (places / PACK_LIMIT).max(1)
}

/// Waits for `least` places and takes up to `most`, with as many bytes as may travel with that many deliveries; none when the
/// worker stops.
pub(crate) async fn take_places(context: &Context, least: usize, most: usize) -> Option<Places> {
    context.stop.run_until_cancelled(context.stream_room.take(least, most, INLINE_BODY_LIMIT)).await?
}

/// Hands back what a worker that stops will not send: somebody may send it at once.
pub(crate) fn hand_back(context: &Arc<Context>, unsent: impl IntoIterator<Item = (Work, Source)>) {
    let now = context.database_clock.now();
    for (work, source) in unsent {
        let item = Item::new(context, work, Bytes::new(), source, Place::NONE);
        context.settling.submit(Finished::put_off(item, now));
    }
}

impl Taken {
    /// The deliveries: those that brought their bodies (or need none), and those whose bodies are still to be read.
    fn into_deliveries(self, now: DatabaseTime) -> (VecDeque<Complete>, Vec<(Work, Source)>) {
        let (mut complete, mut bodiless) = (VecDeque::new(), Vec::new());
        for (id, deliveries) in self.batch.packs {
            let share = EntryShare::of(id, deliveries.len());
            for delivery in deliveries {
                let (work, source) = (work_of(&delivery), (self.source)(share.clone()));
                let is_garbled = work.lease.until.since(now).max(now.since(work.lease.until)) > FURTHEST_LEASE;
                match delivery.body {
                    None if !is_garbled => bodiless.push((work, source)),
                    body => complete.push_back(Complete { work, body: body.unwrap_or_default(), source, is_garbled }),
                }
            }
        }
        (complete, bodiless)
    }
}

impl Intake {
    /// What dead workers left, now and then and then all of it; else what is new.
    async fn take(&mut self, entries: usize) -> Result<Taken, QueueError> {
        let now = self.context.clock.monotonic();
        if now >= self.next_claim {
            let claimed = self.consumer.claim_idle(self.context.lease, entries).await;
            match claimed {
                Ok(batch) if !batch.packs.is_empty() => return Ok(Taken { batch, source: Source::TakenOver }),
                nothing => {
                    self.next_claim = now + self.context.lease / 3;
                    nothing?;
                }
            }
        }
        let batch = self.consumer.read(entries, BLOCK).await?;
        Ok(Taken { batch, source: Source::Stream })
    }

    /// Makes items of deliveries and hands them on; those whose body did not travel along last.
    async fn hand_over(&mut self, taken: Taken, mut places: Places) {
        let context = &self.context;
        context.metrics.garbled.add(taken.batch.garbled as u64);
        let (mut complete, bodiless) = taken.into_deliveries(context.database_clock.now());
        let mut items = Vec::with_capacity(complete.len());
        while let Some(next) = complete.pop_front() {
            let Some(place) = places.split(next.body.len()) else {
                // What has a place goes on first: only that gives places back.
                arrive(context, &self.dispatcher, std::mem::take(&mut items)).await;
                complete.push_front(next);
                drop(places);
                let Some(more) = take_places(context, 1, complete.len()).await else {
                    let complete = complete.into_iter().map(|delivery| (delivery.work, delivery.source));
                    return hand_back(context, complete.chain(bodiless));
                };
                places = more;
                continue;
            };
            let item = Item::new(context, next.work, next.body, next.source, place);
            if next.is_garbled {
                context.metrics.garbled.inc();
                context.settling.submit(Finished::stale(item));
            } else {
                items.push(item);
            }
        }
        arrive(context, &self.dispatcher, items).await;
        if let Err(error) = fetch_bodies(context, &self.dispatcher, bodiless, places).await {
            // These stay unacknowledged; the sweep brings their deliveries back after the lease.
            tracing::debug!({ field::ERROR } = error_chain(&error), "event bodies cannot be read");
        }
    }

    /// A read that was cut off may have been answered: its entries are handed back rather than left to time out.
    async fn finish(mut self) {
        match self.consumer.finish().await {
            Ok(batch) => {
                let taken = Taken { batch, source: Source::Stream };
                let (complete, bodiless) = taken.into_deliveries(self.context.database_clock.now());
                let complete = complete.into_iter().map(|delivery| (delivery.work, delivery.source));
                hand_back(&self.context, complete.chain(bodiless));
            }
            Err(error) => tracing::debug!({ field::ERROR } = error_chain(&error), "the last read failed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_entries_are_read_than_may_fit() {
        for (places, entries) in [(1, 1), (31, 1), (32, 1), (63, 1), (64, 2), (BATCH, BATCH / PACK_LIMIT)] {
            assert_eq!(entries_for(places), entries, "{places}");
        }
    }
}
