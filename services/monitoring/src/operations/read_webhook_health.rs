//! How one subscription is doing.

use onering_ids::SubscriptionId;
use onering_metrics_model::WebhookHealth;
use onering_store::monitoring_reads::subscription_health;

use crate::counting;
use crate::sources::{ReadError, Sources, day_before, read};

/// The subscription's health; `None` when there is no such subscription.
pub(crate) async fn read_webhook_health(
    sources: &Sources,
    webhook_id: SubscriptionId,
) -> Result<Option<WebhookHealth>, ReadError> {
    let now = sources.now();
    let since = day_before(now);
    let health = read(async { subscription_health(&mut *sources.pool.get().await?, webhook_id, since).await }).await?;
    Ok(health.map(|health| counting::webhook_health(health, now)))
}
