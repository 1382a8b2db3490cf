//! Intake: from the stream to the dispatcher.
//!
//! Reads only while delivery is switched on and only as much as there are places for, so the worker's memory is bounded
//! and what it cannot take stays for other workers.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use onering_delivery::Work;
use onering_ids::EventId;
use onering_queue::{Batch, Consumer, EntryId, INLINE_BODY_LIMIT, QueueError};
use onering_service_kit::{FailureLog, error_chain};
use onering_store::{StoreError, deliveries};
use onering_telemetry::field;

use crate::arrival::arrive;
use crate::context::Context;
use crate::events::DispatcherHandle;
use crate::places::Places;
use crate::settling::Finished;
use crate::work_item::{Item, Source, work_of};

/// Entries read at once, at most.
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
    source: fn(EntryId) -> Source,
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
        let Some(places) = take_places(&context).await else { break };
        let taken = tokio::select! {
            taken = intake.take(places.items()) => taken,
            () = context.stop.cancelled() => return intake.finish(places).await,
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

/// Waits for at least one place and takes as many as one batch needs, with as many bytes as may travel in entries; none
/// when the worker stops.
async fn take_places(context: &Context) -> Option<Places> {
    context.stop.run_until_cancelled(context.stream_room.take(BATCH, INLINE_BODY_LIMIT)).await?
}

impl Intake {
    /// What dead workers left, now and then and then all of it; else what is new.
    async fn take(&mut self, room: usize) -> Result<Taken, QueueError> {
        let now = self.context.clock.monotonic();
        if now >= self.next_claim {
            let claimed = self.consumer.claim_idle(self.context.lease, room).await;
            match claimed {
                Ok(batch) if !batch.entries.is_empty() => return Ok(Taken { batch, source: Source::TakenOver }),
                nothing => {
                    self.next_claim = now + self.context.lease / 3;
                    nothing?;
                }
            }
        }
        let batch = self.consumer.read(room, BLOCK).await?;
        Ok(Taken { batch, source: Source::Stream })
    }

    /// Makes items of entries and hands them on; those whose body did not travel along last.
    async fn hand_over(&mut self, taken: Taken, mut places: Places) {
        let Taken { batch, source } = taken;
        let context = &self.context;
        context.metrics.garbled.add(batch.garbled as u64);
        let (mut items, mut bodiless) = (Vec::with_capacity(batch.entries.len()), Vec::new());
        let now = context.database_clock.now();
        for (id, entry) in batch.entries {
            let work = work_of(&entry);
            let is_garbled = work.lease.until.since(now).max(now.since(work.lease.until)) > FURTHEST_LEASE;
            let body = match entry.body {
                Some(body) => body,
                None if !is_garbled => {
                    bodiless.push((work, source(id)));
                    continue;
                }
                None => Bytes::new(),
            };
            let Some(place) = places.split(body.len()) else { break };
            let item = Item::new(context, work, body, source(id), place);
            if is_garbled {
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
    async fn finish(mut self, mut places: Places) {
        let now = self.context.database_clock.now();
        match self.consumer.finish().await {
            Ok(batch) => {
                for (id, entry) in batch.entries {
                    let Some(place) = places.split(0) else { return };
                    let item = Item::new(&self.context, work_of(&entry), Bytes::new(), Source::Stream(id), place);
                    self.context.settling.submit(Finished::put_off(item, now));
                }
            }
            Err(error) => tracing::debug!({ field::ERROR } = error_chain(&error), "the last read failed"),
        }
    }
}

/// Reads bodies that were too large to travel, as many at once as there are bytes for, and hands their items on.
///
/// # Errors
/// [`StoreError`] when Postgres fails; what was read until then is handed on.
async fn fetch_bodies(
    context: &Arc<Context>,
    dispatcher: &DispatcherHandle,
    bodiless: Vec<(Work, Source)>,
    mut places: Places,
) -> Result<(), StoreError> {
    if bodiless.is_empty() {
        return Ok(());
    }
    let events: Vec<EventId> = bodiless.iter().map(|(work, _)| work.event_id).collect();
    let sizes = deliveries::body_sizes(&mut *context.pool.get().await?, &events).await?;
    let mut waiting = VecDeque::from(bodiless);
    while let Some((work, source)) = waiting.pop_front() {
        let size = |work: &Work| sizes.get(&work.event_id).copied().unwrap_or(0);
        let mut bytes = size(&work);
        let room = places.fetch_bytes(&context.stream_room, bytes);
        if context.stop.run_until_cancelled(room).await.is_none() {
            waiting.push_front((work, source));
            break;
        }
        let mut chunk = vec![(work, source)];
        while let Some((work, _)) = waiting.front()
            && places.try_fetch_bytes(&context.stream_room, bytes + size(work))
        {
            bytes += size(work);
            chunk.extend(waiting.pop_front());
        }
        fetch_chunk(context, dispatcher, chunk, &mut places).await?;
    }
    // The worker stops: what it has not read it hands back.
    for (work, source) in waiting {
        let Some(place) = places.split(0) else { break };
        let item = Item::new(context, work, Bytes::new(), source, place);
        context.settling.submit(Finished::put_off(item, context.database_clock.now()));
    }
    Ok(())
}

async fn fetch_chunk(
    context: &Arc<Context>,
    dispatcher: &DispatcherHandle,
    chunk: Vec<(Work, Source)>,
    places: &mut Places,
) -> Result<(), StoreError> {
    let events: Vec<EventId> = chunk.iter().map(|(work, _)| work.event_id).collect();
    let bodies = deliveries::event_bodies(&mut *context.pool.get().await?, &events).await?;
    let mut items = Vec::with_capacity(chunk.len());
    for (work, source) in chunk {
        let body = bodies.get(&work.event_id);
        let Some(place) = places.split(body.map_or(0, Bytes::len)) else { break };
        let item = Item::new(context, work, body.cloned().unwrap_or_default(), source, place);
        match body {
            Some(_) => items.push(item),
            // Nothing to send, ever. What becomes of such a delivery the sweep knows.
            None => context.settling.submit(Finished::stale(item)),
        }
    }
    arrive(context, dispatcher, items).await;
    Ok(())
}
