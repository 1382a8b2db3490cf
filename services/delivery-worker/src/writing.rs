//! Writing one batch of results, whatever it takes.

use std::collections::HashSet;
use std::time::Duration;

use futures_util::future::join_all;
use onering_delivery::Settlement;
use onering_ids::{DeliveryId, SubscriptionId};
use onering_service_kit::FailureLog;
use onering_store::StoreError;
use onering_store::settlement::{self, Settled};
use onering_telemetry::field;

use crate::context::Context;

/// Pause before a batch that could not be written is tried again, doubling up to the longest. Whoever waits for results
/// after an outage waits for longer than that (see [`crate::recovery`]).
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Writes results, trying until it works, and answers what was not written: what Postgres refuses for its content, and
/// everything when the worker must end first.
///
/// A batch that is refused is halved until the result at fault is alone, so that it fails no other.
pub(crate) async fn write(context: &Context, batch: &[&Settlement]) -> HashSet<DeliveryId> {
    let mut unwritten = HashSet::new();
    let mut waiting = vec![batch.iter().map(|settlement| (*settlement).clone()).collect::<Vec<_>>()];
    while let Some(mut batch) = waiting.pop() {
        if batch.is_empty() {
            continue;
        }
        match write_or_give_up(context, &batch).await {
            Ok(()) => {}
            Err(GaveUp::Stopping) => unwritten.extend(batch.iter().map(|settlement| settlement.delivery_id)),
            Err(GaveUp::Refused) if batch.len() > 1 => {
                let second = batch.split_off(batch.len() / 2);
                waiting.extend([second, batch]);
            }
            Err(GaveUp::Refused) => waiting.extend(alone(batch, &mut unwritten)),
        }
    }
    unwritten
}

/// What is left to try with a result that is refused by itself: its log of the attempt can be at fault, and what became of
/// the delivery matters more.
fn alone(batch: Vec<Settlement>, unwritten: &mut HashSet<DeliveryId>) -> Option<Vec<Settlement>> {
    let settlement = batch.into_iter().next()?;
    tracing::error!(
        { field::DELIVERY_ID } = %settlement.delivery_id,
        logged = settlement.attempt.is_some(),
        "Postgres refuses a result for its content"
    );
    if settlement.attempt.is_none() {
        unwritten.insert(settlement.delivery_id);
        return None;
    }
    Some(vec![Settlement { attempt: None, ..settlement }])
}

/// Why a batch is not tried any more.
enum GaveUp {
    /// It is at fault itself.
    Refused,
    /// The worker must end.
    Stopping,
}

async fn write_or_give_up(context: &Context, batch: &[Settlement]) -> Result<(), GaveUp> {
    let mut failing = FailureLog::new("settling");
    let mut pause = FIRST_PAUSE;
    loop {
        match try_write(context, batch).await {
            Ok(settled) => {
                failing.worked();
                context.metrics.settled(batch, &settled);
                announce_disabled(context, &settled).await;
                return Ok(());
            }
            Err(error) => {
                context.metrics.settlement_failures.inc();
                failing.failed(&error);
                if !error.is_transient() {
                    return Err(GaveUp::Refused);
                }
                context.settling.set_behind(true);
            }
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
            () = context.abandon.cancelled() => return Err(GaveUp::Stopping),
        }
    }
}

async fn try_write(context: &Context, batch: &[Settlement]) -> Result<Settled, StoreError> {
    let mut connection = context.pool.get().await?;
    settlement::settle(&mut connection, &context.instance, batch).await
}

/// Tells the others of subscriptions that were disabled because their receiver is gone.
async fn announce_disabled(context: &Context, settled: &Settled) {
    let announce = async |webhook_id: SubscriptionId| {
        tracing::warn!({ field::SUBSCRIPTION_ID } = %webhook_id, "the receiver answered 410: the subscription is disabled");
        context.forget(webhook_id).await;
    };
    join_all(settled.disabled.iter().map(|webhook_id| announce(*webhook_id))).await;
}
