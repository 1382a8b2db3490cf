//! The newest deliveries.

use onering_metrics_model::RecentDeliveries;
use onering_store::monitoring_reads::{RecentFilter, recent_deliveries};
use onering_web::Limit;

use crate::sources::{ReadError, Sources, read};

/// At most `limit` deliveries that pass the filter, newest first.
pub(crate) async fn list_recent_deliveries(
    sources: &Sources,
    filter: &RecentFilter,
    limit: Limit,
) -> Result<RecentDeliveries, ReadError> {
    let timestamp = sources.now();
    let limit = u32::try_from(limit.get()).unwrap_or(u32::MAX);
    let deliveries = read(async { recent_deliveries(&mut *sources.pool.get().await?, filter, limit).await }).await?;
    Ok(RecentDeliveries { timestamp, deliveries })
}
