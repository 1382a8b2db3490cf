//! Reading the bodies that were too large to travel through the stream.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use onering_delivery::Work;
use onering_ids::EventId;
use onering_store::{StoreError, deliveries};

use crate::arrival::arrive;
use crate::context::Context;
use crate::events::DispatcherHandle;
use crate::intake::{hand_back, take_places};
use crate::places::Places;
use crate::settling::Finished;
use crate::work_item::{Item, Source};

/// Reads bodies, as many at once as there are places and bytes for, and hands their items on. What a worker that stops has not
/// read it hands back.
///
/// # Errors
/// [`StoreError`] when Postgres fails; what was read until then is handed on.
pub(crate) async fn fetch_bodies(
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
    let size = |work: &Work| sizes.get(&work.event_id).copied().unwrap_or(0);
    let mut waiting = VecDeque::from(bodiless);
    while let Some((work, source)) = waiting.pop_front() {
        if places.items() == 0 {
            drop(places);
            let Some(more) = take_places(context, 1, waiting.len() + 1).await else {
                hand_back(context, std::iter::once((work, source)).chain(waiting));
                return Ok(());
            };
            places = more;
        }
        let mut bytes = size(&work);
        let room = places.fetch_bytes(&context.stream_room, bytes);
        if context.stop.run_until_cancelled(room).await.is_none() {
            hand_back(context, std::iter::once((work, source)).chain(waiting));
            return Ok(());
        }
        let mut chunk = vec![(work, source)];
        while chunk.len() < places.items()
            && let Some((work, _)) = waiting.front()
            && places.try_fetch_bytes(&context.stream_room, bytes + size(work))
        {
            bytes += size(work);
            chunk.extend(waiting.pop_front());
        }
        fetch_chunk(context, dispatcher, chunk, &mut places).await?;
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
