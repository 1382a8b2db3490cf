use onering_delivery::HeldReason;
use onering_ids::DeliveryId;
use onering_store::deliveries::{self, Repeat, Repeated};
use onering_store::transaction;
use serde_json::json;

use crate::audit_stamp::AuditedChange;
use crate::delivery_view::DeliveryView;
use crate::error::OperationError;
use crate::operations::WebhookOperations;
use crate::scope::Scope;

impl WebhookOperations {
    /// Makes a new delivery of a final one's event, with attempts of its own. The original stays as it is.
    ///
    /// # Errors
    /// `CONFLICT` when the original still waits, or its subscription or event is gone; `NOT_FOUND`;
    /// [`OperationError::Store`].
    pub async fn resend_delivery(
        &self,
        scope: Scope<'_>,
        original: DeliveryId,
    ) -> Result<DeliveryView, OperationError> {
        let delivery_id: DeliveryId = self.clock().fresh_id();
        let delivery_off = !self.parts().flags.current().delivery;
        let repeat = Repeat {
            owner: scope.owner(),
            original,
            delivery_id,
            lease: self.parts().lease,
            hold: delivery_off.then_some(HeldReason::DeliveryOff),
        };
        let mut connection = self.connection().await?;
        let inserted = transaction(&mut connection, async |connection| {
            let inserted = match deliveries::repeat(connection, repeat).await? {
                Repeated::Inserted(inserted) => inserted,
                Repeated::NotFound => return Err(OperationError::not_found("delivery")),
                Repeated::StillWaiting => {
                    return Err(OperationError::conflict("The delivery still waits for its own attempts."));
                }
                Repeated::SubscriptionDeleted => return Err(OperationError::conflict("Its subscription was deleted.")),
                Repeated::EventGone => return Err(OperationError::conflict("Its event is not stored any more.")),
            };
            if let Some(stamp) = scope.stamp() {
                let change = AuditedChange {
                    action: "delivery.resend",
                    target_type: "delivery",
                    target_id: original.to_string(),
                    before: None,
                    after: Some(json!({ "delivery_id": delivery_id })),
                };
                stamp.append(connection, self.clock(), change).await?;
            }
            Ok(inserted)
        })
        .await?;
        if let Some((work, body)) = inserted.queued {
            self.queue(work, body).await;
        }
        let made = deliveries::get_any_owner(&mut connection, delivery_id).await?;
        made.map(|made| made.delivery.into()).ok_or_else(|| OperationError::not_found("delivery"))
    }
}
