//! Housekeeping by one worker at a time: partitions for the days to come, retention, and old idempotency keys.

use std::sync::Arc;
use std::time::Duration;

use onering_service_kit::error_chain;
use onering_store::{StoreError, idempotency, partitions, statistics};

use crate::context::Context;

/// How often the work is looked at. It is cheap when there is nothing to do.
const EVERY: Duration = Duration::from_secs(300);
/// Day partitions are made this far ahead, so that workers may be away for as long without stopping ingest.
const DAYS_AHEAD: u16 = 14;
/// How long an Idempotency-Key is remembered.
const IDEMPOTENCY_KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// Rows removed by one statement, at most.
const REMOVED_AT_ONCE: u32 = 5_000;

/// Keeps house until stopped.
pub async fn run(context: Arc<Context>, retention_days: u32) {
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = context.stop.cancelled() => return,
        }
        if let Err(error) = keep_house(&context, retention_days).await {
            tracing::warn!(error = %error_chain(&error), "housekeeping failed; it is tried again");
        }
    }
}

/// One round. Workers that come while another one is at it find nothing to do: each step is safe to repeat.
async fn keep_house(context: &Context, retention_days: u32) -> Result<(), StoreError> {
    let mut connection = context.pool.get().await?;
    let made = partitions::ensure(&mut connection, DAYS_AHEAD).await?;
    if made > 0 {
        tracing::info!(partitions = made, "made day partitions");
    }
    let kept = Duration::from_secs(u64::from(retention_days) * 24 * 60 * 60);
    let expiry = partitions::drop_expired(&mut connection, kept).await?;
    for day in expiry.dropped {
        tracing::info!(%day, "dropped an expired day");
    }
    for day in expiry.kept {
        tracing::warn!(%day, "an expired day still has deliveries that wait, and is kept");
    }
    let before = context.database_clock.now().to_utc() - kept;
    while statistics::prune(&mut connection, before, REMOVED_AT_ONCE).await? > 0 {}
    while idempotency::forget(&mut connection, IDEMPOTENCY_KEPT, REMOVED_AT_ONCE).await? > 0 {}
    Ok(())
}
