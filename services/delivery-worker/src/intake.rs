//! Intake: from the stream to the dispatcher.
//!
//! Reads only while delivery is switched on and only as much as there are places for, so the worker's memory is bounded
//! and what it cannot take stays for other workers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use onering_service_kit::error_chain;
use onering_ids::EventId;
use onering_queue::{Batch, Consumer};
use onering_store::{StoreError, deliveries};
use tokio::sync::OwnedSemaphorePermit;

use crate::context::Context;
use crate::dispatcher::{DispatcherHandle, Event};
use crate::work_item::{Item, Ready, work_of};

/// Entries read at once, at most.
const BATCH: usize = 512;
/// How long a read waits for the first entry: also how long a switch or a stop waits for a quiet reader.
const BLOCK: Duration = Duration::from_millis(500);
/// Pause after Redis failed.
const PAUSE: Duration = Duration::from_millis(500);

/// Reads until stopped.
pub async fn run(context: Arc<Context>, mut consumer: Consumer, dispatcher: DispatcherHandle) {
    let mut switches = context.flags.subscribe();
    let mut next_claim = context.clock.monotonic();
    while !context.stop.is_cancelled() {
        if !context.flags.current().delivery {
            tokio::select! {
                _ = switches.changed() => {}
                () = context.stop.cancelled() => break,
            }
            continue;
        }
        let Some(mut places) = take_places(&context).await else { break };
        let room = places.num_permits();
        let now = context.clock.monotonic();
        let read = async {
            if now >= next_claim {
                next_claim = now + context.lease / 3;
                let claimed = consumer.claim_idle(context.lease, room).await?;
                if !claimed.entries.is_empty() {
                    return Ok(claimed);
                }
            }
            consumer.read(room, BLOCK).await
        };
        let batch = tokio::select! {
            batch = read => batch,
            () = context.stop.cancelled() => break,
        };
        match batch {
            Ok(batch) => hand_over(&context, &dispatcher, batch, &mut places).await,
            Err(error) => {
                tracing::warn!(error = %error_chain(&error), "the stream cannot be read; the sweep goes on delivering");
                pause(&context, PAUSE).await;
            }
        }
    }
    // A read that was cut off may have been answered: its entries are handed back rather than left to time out.
    match consumer.finish().await {
        Ok(batch) if !batch.entries.is_empty() => give_back(&context, batch).await,
        Ok(_) => {}
        Err(error) => tracing::debug!(error = %error_chain(&error), "the last read failed"),
    }
}

/// Waits for at least one place and takes as many as one batch needs.
async fn take_places(context: &Context) -> Option<OwnedSemaphorePermit> {
    let first = tokio::select! {
        place = Arc::clone(&context.places).acquire_owned() => place.ok()?,
        () = context.stop.cancelled() => return None,
    };
    let further = context.places.available_permits().min(BATCH - 1);
    let mut places = first;
    if let Ok(further) = u32::try_from(further)
        && let Ok(more) = Arc::clone(&context.places).try_acquire_many_owned(further)
    {
        places.merge(more);
    }
    Some(places)
}

/// Makes items of entries and tells the dispatcher. Those that cannot be completed now stay unacknowledged; the sweep
/// brings their deliveries back after the lease.
async fn hand_over(context: &Arc<Context>, dispatcher: &DispatcherHandle, batch: Batch, places: &mut OwnedSemaphorePermit) {
    context.metrics.garbled.add(batch.garbled as u64);
    if batch.entries.is_empty() {
        return;
    }
    let bodiless: Vec<EventId> =
        batch.entries.iter().filter(|(_, entry)| entry.body.is_none()).map(|(_, entry)| entry.event_id).collect();
    let bodies = match bodies(context, &bodiless).await {
        Ok(bodies) => bodies,
        Err(error) => {
            tracing::warn!(error = %error_chain(&error), events = bodiless.len(), "event bodies cannot be read");
            HashMap::new()
        }
    };
    let mut items = Vec::with_capacity(batch.entries.len());
    for (id, entry) in batch.entries {
        let Some(body) = entry.body.clone().or_else(|| bodies.get(&entry.event_id).cloned()) else { continue };
        let Some(place) = places.split(1) else { break };
        items.push(Item::new(context, work_of(&entry), body, Some(id), place));
    }
    arrive(context, dispatcher, items).await;
}

async fn bodies(context: &Context, events: &[EventId]) -> Result<HashMap<EventId, Bytes>, StoreError> {
    if events.is_empty() {
        return Ok(HashMap::new());
    }
    let mut connection = context.pool.get().await?;
    deliveries::event_bodies(&mut connection, events).await
}

/// Looks up the subscriptions of new items and tells the dispatcher.
pub async fn arrive(context: &Context, dispatcher: &DispatcherHandle, items: Vec<Item>) {
    match context.subscriptions.of(items.iter().map(|item| item.work.webhook_id)).await {
        Ok(targets) => {
            let ready: Vec<Ready> = items
                .into_iter()
                .filter_map(|item| {
                    let target = Arc::clone(targets.get(&item.work.webhook_id)?);
                    Some(Ready { item, target })
                })
                .collect();
            dispatcher.tell(Event::Arrived(ready));
        }
        Err(error) => {
            // Nothing is acknowledged: after their leases the sweep finds these deliveries again.
            tracing::warn!(error = %error_chain(&error), deliveries = items.len(), "subscriptions cannot be read");
            pause(context, PAUSE).await;
        }
    }
}

/// Makes entries that came too late due at once for other workers.
async fn give_back(context: &Arc<Context>, batch: Batch) {
    let now = context.database_clock.now();
    for (id, entry) in batch.entries {
        if let Ok(place) = Arc::clone(&context.places).acquire_owned().await {
            let item = Item::new(context, work_of(&entry), Bytes::new(), Some(id), place);
            context.settling.submit(crate::settling::Finished::unsent_at(item, now));
        }
    }
}

async fn pause(context: &Context, pause: Duration) {
    tokio::select! {
        () = tokio::time::sleep(pause) => {}
        () = context.stop.cancelled() => {}
    }
}
