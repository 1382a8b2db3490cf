use onering_ids::SubscriptionId;
use onering_store::{subscriptions, transaction};
use onering_webhooks::rotation_overlap;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::audit_stamp::AuditedChange;
use crate::error::OperationError;
use crate::operations::WebhookOperations;
use crate::scope::Scope;
use crate::subscription_view::{NewSecretText, SubscriptionView, SubscriptionWithSecret};
use crate::timestamp::Timestamp;

/// A rotation of a signing secret. May be left out altogether.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = RotateSecret)]
pub struct RotateSecretInput {
    /// How long the previous secret signs beside the new one, in seconds: a day by default; 0 ends it at once.
    #[schema(minimum = 0, maximum = 2_592_000, example = 86_400)]
    pub overlap_seconds: Option<i64>,
}

impl WebhookOperations {
    /// Gives a subscription a new signing secret, and shows it this once; and a new key pair, if it has one. Requests carry the
    /// signatures of both until the overlap ends.
    ///
    /// # Errors
    /// `VALIDATION_FAILED` for an overlap out of bounds, `NOT_FOUND`, or [`OperationError::Store`].
    pub async fn rotate_secret(
        &self,
        scope: Scope<'_>,
        webhook_id: SubscriptionId,
        input: &RotateSecretInput,
    ) -> Result<SubscriptionWithSecret, OperationError> {
        let overlap = rotation_overlap(input.overlap_seconds)?;
        // Whether there is a key pair to rotate is seen under the row's lock.
        let (secret, keys) = self.new_keys(true)?;
        let secret_id = keys.secret.secret_id;
        let mut connection = self.connection().await?;
        let rotated = transaction(&mut connection, async |connection| {
            let rotated = match scope {
                Scope::Owner(owner) => {
                    subscriptions::rotate_secret(connection, owner, webhook_id, keys, overlap).await?
                }
                Scope::AnyOwner(_) => {
                    subscriptions::rotate_secret_any_owner(connection, webhook_id, keys, overlap).await?
                }
            };
            let rotated = rotated.ok_or_else(|| OperationError::not_found("subscription"))?;
            if let Some(stamp) = scope.stamp() {
                let until = rotated.previous_expires_at.map(Timestamp::from);
                let change = AuditedChange {
                    action: "subscription.rotate_secret",
                    target_type: "subscription",
                    target_id: webhook_id.to_string(),
                    before: None,
                    after: Some(json!({ "secret_id": secret_id, "previous_secret_expires_at": until })),
                };
                stamp.append(connection, self.clock(), change).await?;
            }
            Ok::<_, OperationError>(rotated)
        })
        .await?;
        self.announce(webhook_id).await;
        Ok(SubscriptionWithSecret {
            subscription: SubscriptionView::from(&rotated.subscription),
            secret: NewSecretText::new(secret.expose()),
            public_key: rotated.public_key.map(|key| key.to_string()),
            previous_secret_expires_at: Some(rotated.previous_expires_at.map(Timestamp::from)),
        })
    }
}
