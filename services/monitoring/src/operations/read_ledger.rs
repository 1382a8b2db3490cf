//! The loss ledger.

use chrono::{DateTime, NaiveDate, Utc};
use onering_ids::OwnerId;
use onering_metrics_model::LedgerReport;
use onering_store::ledger::{self, UnbalancedEvent};
use onering_store::{partitions, partners};

use crate::sources::{LEDGER_DEADLINE, ReadError, Sources, read, within};

/// Counts both sides of everything accepted from `from` until before `to`.
pub(crate) async fn read_ledger(
    sources: &Sources,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<LedgerReport, ReadError> {
    let counting = async { ledger::read(&mut *sources.ledger_pool.get().await?, from, to).await };
    let counted = within(LEDGER_DEADLINE, counting).await?;
    Ok(LedgerReport::new(sources.now(), from, to, counted))
}

/// [`read_ledger`] for one partner; `None` when there is no such partner.
pub(crate) async fn read_partner_ledger(
    sources: &Sources,
    owner: OwnerId,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<Option<LedgerReport>, ReadError> {
    let counting = async {
        let connection = &mut *sources.ledger_pool.get().await?;
        // Nothing is promised to nobody: a misspelt name must not look like a ledger that balances.
        if partners::get(connection, &owner).await?.is_none() {
            return Ok(None);
        }
        ledger::read_of_owner(connection, &owner, from, to).await.map(Some)
    };
    let counted = within(LEDGER_DEADLINE, counting).await?;
    Ok(counted.map(|counted| LedgerReport::of_partner(sources.now(), from, to, owner, counted)))
}

/// At most `limit` events of the range that do not have the deliveries they were accepted with.
pub(crate) async fn read_unbalanced(
    sources: &Sources,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    limit: u32,
) -> Result<Vec<UnbalancedEvent>, ReadError> {
    let looking = async { ledger::unbalanced(&mut *sources.ledger_pool.get().await?, None, from, to, limit).await };
    within(LEDGER_DEADLINE, looking).await
}

/// The days the ledger may be counted for, oldest first.
pub(crate) async fn read_days(sources: &Sources) -> Result<Vec<NaiveDate>, ReadError> {
    read(async { partitions::days(&mut *sources.ledger_pool.get().await?).await }).await
}
