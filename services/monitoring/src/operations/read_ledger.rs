//! The loss ledger.

use chrono::{DateTime, Utc};
use onering_metrics_model::LedgerReport;
use onering_store::ledger::{self, UnbalancedEvent};

use crate::sources::{LEDGER_DEADLINE, ReadError, Sources, within};

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

/// At most `limit` events of the range that do not have the deliveries they were accepted with.
pub(crate) async fn read_unbalanced(
    sources: &Sources,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    limit: u32,
) -> Result<Vec<UnbalancedEvent>, ReadError> {
    let looking = async { ledger::unbalanced(&mut *sources.ledger_pool.get().await?, from, to, limit).await };
    within(LEDGER_DEADLINE, looking).await
}
