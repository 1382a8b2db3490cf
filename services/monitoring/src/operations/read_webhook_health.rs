//! How one subscription is doing.

use onering_ids::SubscriptionId;
use onering_metrics_model::WebhookHealth;
use onering_store::monitoring_reads::subscription_health;
use onering_store::subscriptions::rotation;

use crate::counting;
use crate::sources::{ReadError, Sources, day_before, read};

/// The subscription's health; `None` when there is no such subscription.
pub(crate) async fn read_webhook_health(
    sources: &Sources,
    webhook_id: SubscriptionId,
) -> Result<Option<WebhookHealth>, ReadError> {
    let now = sources.now();
    let since = day_before(now);
    let (health, rotation) = read(async {
        let mut connection = sources.pool.get().await?;
        let health = subscription_health(&mut connection, webhook_id, since).await?;
        Ok((health, rotation(&mut connection, webhook_id).await?))
    })
    .await?;
    Ok(health.map(|health| counting::webhook_health(health, rotation, now)))
}
