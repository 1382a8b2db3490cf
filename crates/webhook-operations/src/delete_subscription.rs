use onering_ids::SubscriptionId;
use onering_store::{deliveries, subscriptions, transaction};
use onering_telemetry::field;

use crate::error::OperationError;
use crate::operations::WebhookOperations;
use crate::scope::Scope;

impl WebhookOperations {
    /// Deletes a subscription with its secrets; what waits for it is cancelled.
    ///
    /// # Errors
    /// `NOT_FOUND`, or [`OperationError::Store`].
    pub async fn delete_subscription(
        &self,
        scope: Scope<'_>,
        webhook_id: SubscriptionId,
    ) -> Result<(), OperationError> {
        let mut connection = self.connection().await?;
        transaction(&mut connection, async |connection| {
            let deleted = match scope {
                Scope::Owner(owner) => subscriptions::delete(connection, owner, webhook_id).await?,
                Scope::AnyOwner(_) => subscriptions::delete_any_owner(connection, webhook_id).await?,
            };
            let deleted = deleted.ok_or_else(|| OperationError::not_found("subscription"))?;
            self.write_down(connection, scope, "subscription.delete", Some(&deleted), None).await
        })
        .await?;
        self.announce(webhook_id).await;
        // Outside the transaction, as there may be very many: workers cancel what is left when they come to it.
        let cancelled = deliveries::cancel_waiting(&mut connection, &self.parts().process, webhook_id).await;
        if let Err(error) = cancelled {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, { field::SUBSCRIPTION_ID } = %webhook_id, "deliveries of a deleted subscription still wait");
        }
        Ok(())
    }
}
