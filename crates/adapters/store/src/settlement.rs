//! Writing down what a batch of attempts led to.
//!
//! One statement does it all: deliveries, attempt log, per-minute statistics, and what the attempts say about their
//! subscriptions. Whatever one of them shows, the others show too, at every instant. The rare batch that disables a
//! subscription (its receiver answered 410) also tells its partner and the audit log, in the same transaction.
//!
//! Each row is fenced by `(attempt_count, queued_until)`: a result whose lease is not the row's any more writes nothing at
//! all, neither delivery nor log nor count. So a late or repeated result is harmless, and settling the same batch again
//! after a lost answer is safe.

use std::collections::HashSet;

use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use onering_delivery::{AttemptOutcome, Settlement, Transition};
use onering_ids::{DeliveryId, SubscriptionId};
use uuid::Uuid;

use crate::failing_subscriptions::tell_gone;
use crate::{Context, StoreError};

mod statement;

pub(crate) use statement::Settle;

/// What a batch really changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// Deliveries whose result was written. The others' leases were lost before: their results count for nothing.
    pub written: HashSet<DeliveryId>,
    /// Subscriptions that were disabled because their receiver is gone for good (410): announce them.
    pub disabled: HashSet<SubscriptionId>,
}

/// Writes the results of `batch`, made by `process`, all or nothing.
///
/// Of several results for one delivery the first counts. Texts are made storable here, so that no receiver's answer can
/// fail the batch it is settled in.
///
/// # Errors
/// [`StoreError::Query`]: nothing was written; keep the batch and try again while
/// [`is_transient`](StoreError::is_transient).
pub async fn settle(
    connection: &mut AsyncPgConnection,
    process: &str,
    batch: &[Settlement],
) -> Result<Settled, StoreError> {
    let mut seen = HashSet::with_capacity(batch.len());
    let batch: Vec<&Settlement> = batch.iter().filter(|result| seen.insert(result.delivery_id)).collect();
    let Some(statement) = Settle::of(process, &batch) else { return Ok(Settled::default()) };
    let is_gone = |result: &&Settlement| result.attempt.as_ref().is_some_and(|log| log.outcome == AttemptOutcome::Gone);
    if !batch.iter().any(is_gone) {
        return Ok(run(connection, &statement).await?.0);
    }
    // What disables a subscription is told in the same transaction: neither happens without the other.
    connection
        .transaction(async |connection| {
            let (settled, disabled) = run(connection, &statement).await?;
            tell_gone(connection, &disabled).await?;
            Ok(settled)
        })
        .await
}

/// Answers also which subscriptions were disabled, each with the status it had.
async fn run(
    connection: &mut AsyncPgConnection,
    statement: &Settle<'_>,
) -> Result<(Settled, Vec<(SubscriptionId, String)>), StoreError> {
    let rows: Vec<(Uuid, Uuid, Option<String>)> = statement.load(connection).await.during("settle deliveries")?;
    let (mut settled, mut disabled) = (Settled::default(), Vec::new());
    for (delivery_id, webhook_id, status_before) in rows {
        settled.written.insert(DeliveryId::from_uuid(delivery_id));
        let webhook_id = SubscriptionId::from_uuid(webhook_id);
        if let Some(status_before) = status_before
            && settled.disabled.insert(webhook_id)
        {
            disabled.push((webhook_id, status_before));
        }
    }
    Ok((settled, disabled))
}

/// The status a transition leads to, or `None` where it leaves the row's own.
const fn next_status(transition: &Transition) -> Option<&'static str> {
    use onering_delivery::Status;
    // A transition's outcome does not depend on which waiting status it starts from, except that `Defer` keeps it.
    match transition {
        Transition::Defer { .. } => None,
        other => match other.apply(Status::Pending) {
            Some(status) => Some(status.as_str()),
            None => None,
        },
    }
}

#[cfg(test)]
mod tests;
