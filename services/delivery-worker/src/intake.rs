//! Intake: from the stream to the dispatcher.
//!
//! Reads only while delivery is switched on and only as much as there are places for, so the worker's memory is bounded
//! and what it cannot take stays for other workers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use onering_ids::EventId;
use onering_queue::{Batch, Consumer, EntryId, QueueError};
use onering_service_kit::{FailureLog, error_chain};
use onering_store::{StoreError, deliveries};
use onering_telemetry::field;
use tokio::sync::OwnedSemaphorePermit;

use crate::arrival::arrive;
use crate::context::Context;
use crate::events::DispatcherHandle;
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
        let Some(mut places) = take_places(&context).await else { break };
        let taken = tokio::select! {
            taken = intake.take(places.num_permits()) => taken,
            () = context.stop.cancelled() => return intake.finish(places).await,
        };
        match taken {
            Ok(taken) => {
                failing.worked();
                intake.hand_over(taken, &mut places).await;
            }
            Err(error) => {
                failing.failed(&error);
                context.pause(PAUSE).await;
            }
        }
        context.tally.read();
    }
}

/// Waits for at least one place and takes as many as one batch needs; none when the worker stops.
async fn take_places(context: &Context) -> Option<OwnedSemaphorePermit> {
    let mut places = tokio::select! {
        place = Arc::clone(&context.stream_places).acquire_owned() => place.ok()?,
        () = context.stop.cancelled() => return None,
    };
    let further = context.stream_places.available_permits().min(BATCH - 1);
    if let Ok(further) = u32::try_from(further)
        && let Ok(more) = Arc::clone(&context.stream_places).try_acquire_many_owned(further)
    {
        places.merge(more);
    }
    Some(places)
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

    /// Makes items of entries and hands them on. Those whose body cannot be read now stay unacknowledged; the sweep brings
    /// their deliveries back after the lease.
    async fn hand_over(&mut self, taken: Taken, places: &mut OwnedSemaphorePermit) {
        let Taken { batch, source } = taken;
        let context = &self.context;
        context.metrics.garbled.add(batch.garbled as u64);
        let bodiless = batch.entries.iter().filter(|(_, entry)| entry.body.is_none());
        let bodies = match bodies(context, bodiless.map(|(_, entry)| entry.event_id).collect()).await {
            Ok(bodies) => Some(bodies),
            Err(error) => {
                tracing::debug!({ field::ERROR } = error_chain(&error), "event bodies cannot be read");
                None
            }
        };
        let mut items = Vec::with_capacity(batch.entries.len());
        let now = context.database_clock.now();
        for (id, entry) in batch.entries {
            let Some(place) = places.split(1) else { break };
            let work = work_of(&entry);
            let is_garbled = work.lease.until.since(now).max(now.since(work.lease.until)) > FURTHEST_LEASE;
            let item = |body| Item::new(context, work, body, source(id), place);
            match (&entry.body, &bodies) {
                _ if is_garbled => {
                    context.metrics.garbled.inc();
                    context.settling.submit(Finished::stale(item(Bytes::new())));
                }
                (Some(body), _) => items.push(item(body.clone())),
                (None, Some(bodies)) => match bodies.get(&entry.event_id) {
                    Some(body) => items.push(item(body.clone())),
                    // Nothing to send, ever. What becomes of such a delivery the sweep knows.
                    None => context.settling.submit(Finished::stale(item(Bytes::new()))),
                },
                (None, None) => {}
            }
        }
        arrive(context, &self.dispatcher, items).await;
    }

    /// A read that was cut off may have been answered: its entries are handed back rather than left to time out.
    async fn finish(mut self, mut places: OwnedSemaphorePermit) {
        let now = self.context.database_clock.now();
        match self.consumer.finish().await {
            Ok(batch) => {
                for (id, entry) in batch.entries {
                    let Some(place) = places.split(1) else { return };
                    let item = Item::new(&self.context, work_of(&entry), Bytes::new(), Source::Stream(id), place);
                    self.context.settling.submit(Finished::put_off(item, now));
                }
            }
            Err(error) => tracing::debug!({ field::ERROR } = error_chain(&error), "the last read failed"),
        }
    }
}

async fn bodies(context: &Context, events: Vec<EventId>) -> Result<HashMap<EventId, Bytes>, StoreError> {
    if events.is_empty() {
        return Ok(HashMap::new());
    }
    let mut connection = context.pool.get().await?;
    deliveries::event_bodies(&mut connection, &events).await
}
