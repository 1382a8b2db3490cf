//! Housekeeping: partitions for the days to come, retention, old idempotency keys, and the names of departed workers.
//!
//! Each is a task of its own, so that one that cannot get on (a long query holds a table) keeps no other from its work.
//! Several workers may be at it at once: each step is safe to repeat.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use onering_queue::QueueError;
use onering_service_kit::Tasks;
use onering_store::{StoreError, circuit_events, idempotency, partitions, statistics};
use onering_telemetry::field;

use crate::context::Context;

/// How often the work is looked at. It is cheap when there is nothing to do.
const EVERY: Duration = Duration::from_secs(300);
/// How often the stream's length is looked at.
const MEASURE_EVERY: Duration = Duration::from_secs(2);
/// Day partitions are made this far ahead, so that workers may be away for as long without stopping ingest.
const DAYS_AHEAD: u16 = 14;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long an Idempotency-Key is remembered.
const IDEMPOTENCY_KEPT: Duration = DAY;
/// A worker that has not read for so long is gone, and its name with it.
const CONSUMERS_KEPT: Duration = DAY;
/// A breaker that did not change for so long is of a subscription that is sent nothing any more.
const BREAKERS_KEPT: Duration = DAY;
/// Rows removed by one statement, at most.
const REMOVED_AT_ONCE: u32 = 5_000;

/// Begins to keep house.
pub(crate) fn start(context: &Arc<Context>, tasks: &Tasks, retention_days: u32) {
    let kept = DAY * retention_days;
    tasks.periodic("partitions", EVERY, with(context, make_partitions));
    tasks.periodic("retention", EVERY, with(context, move |context| drop_expired(context, kept)));
    tasks.periodic("old statistics", EVERY, with(context, move |context| prune_statistics(context, kept)));
    tasks.periodic("old circuit events", EVERY, with(context, move |context| prune_circuit_events(context, kept)));
    tasks.periodic("old breakers", EVERY, with(context, forget_breakers));
    tasks.periodic("old idempotency keys", EVERY, with(context, forget_keys));
    tasks.periodic("departed workers", EVERY, with(context, forget_workers));
    tasks.periodic("stream length", MEASURE_EVERY, with(context, measure_stream));
}

/// A piece of work with a context of its own each time.
fn with<Work, Working>(context: &Arc<Context>, work: Work) -> impl Fn() -> Working + Send + Sync + use<Work, Working>
where
    Work: Fn(Arc<Context>) -> Working + Send + Sync,
    Working: Future,
{
    let context = Arc::clone(context);
    move || work(Arc::clone(&context))
}

async fn make_partitions(context: Arc<Context>) -> Result<(), StoreError> {
    let made = partitions::ensure(&mut *context.pool.get().await?, DAYS_AHEAD).await?;
    if made > 0 {
        tracing::info!({ field::COUNT } = made, "made day partitions");
    }
    Ok(())
}

async fn drop_expired(context: Arc<Context>, kept: Duration) -> Result<(), StoreError> {
    let expiry = partitions::drop_expired(&mut *context.pool.get().await?, kept).await?;
    for day in expiry.dropped {
        tracing::info!(%day, "dropped an expired day");
    }
    for day in expiry.kept {
        tracing::warn!(%day, "an expired day still has deliveries that wait or are to be replayed, and is kept");
    }
    Ok(())
}

async fn prune_statistics(context: Arc<Context>, kept: Duration) -> Result<(), StoreError> {
    let before = context.database_clock.now().to_utc() - kept;
    let mut connection = context.pool.get().await?;
    while !context.stop.is_cancelled() && statistics::prune(&mut connection, before, REMOVED_AT_ONCE).await? > 0 {}
    Ok(())
}

async fn prune_circuit_events(context: Arc<Context>, kept: Duration) -> Result<(), StoreError> {
    let before = context.database_clock.now().to_utc() - kept;
    let mut connection = context.pool.get().await?;
    while !context.stop.is_cancelled() && circuit_events::prune(&mut connection, before, REMOVED_AT_ONCE).await? > 0 {}
    Ok(())
}

async fn forget_breakers(context: Arc<Context>) -> Result<(), QueueError> {
    context.breakers.forget(BREAKERS_KEPT).await
}

async fn forget_keys(context: Arc<Context>) -> Result<(), StoreError> {
    let mut connection = context.pool.get().await?;
    while !context.stop.is_cancelled()
        && idempotency::forget(&mut connection, IDEMPOTENCY_KEPT, REMOVED_AT_ONCE).await? > 0
    {}
    Ok(())
}

async fn forget_workers(context: Arc<Context>) -> Result<(), QueueError> {
    context.stream.forget_idle_consumers(CONSUMERS_KEPT).await.map(drop)
}

async fn measure_stream(context: Arc<Context>) -> Result<(), QueueError> {
    let entries = context.stream.len().await?;
    context.metrics.stream.set(entries as f64);
    Ok(())
}
