//! Writing down what a batch of attempts led to.
//!
//! One statement does it all: deliveries, attempt log, per-minute statistics, and what the attempts say about their
//! subscriptions. Whatever one of them shows, the others show too, at every instant.
//!
//! Each row is fenced by `(attempt_count, queued_until)`: a result whose lease is not the row's any more writes nothing at
//! all, neither delivery nor log nor count. So a late or repeated result is harmless, and settling the same batch again
//! after a lost answer is safe.

use std::collections::HashSet;

use diesel_async::{AsyncPgConnection, RunQueryDsl};
use onering_delivery::{Settlement, Transition};
use onering_ids::{DeliveryId, SubscriptionId};
use uuid::Uuid;

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
    let rows: Vec<(Uuid, Uuid, bool)> = statement.load(connection).await.during("settle deliveries")?;
    let mut settled = Settled::default();
    for (delivery_id, webhook_id, disabled) in rows {
        settled.written.insert(DeliveryId::from_uuid(delivery_id));
        if disabled {
            settled.disabled.insert(SubscriptionId::from_uuid(webhook_id));
        }
    }
    Ok(settled)
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
