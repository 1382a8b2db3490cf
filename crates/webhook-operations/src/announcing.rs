//! What follows a commit: other processes are told, and new deliveries are queued. Neither can undo the change, so neither
//! fails it: caches expire within seconds, and the sweep finds what was not queued.

use bytes::Bytes;
use onering_delivery::Work;
use onering_ids::SubscriptionId;
use onering_queue::{Announcement, StreamEntry};
use onering_telemetry::field;

use crate::operations::WebhookOperations;

impl WebhookOperations {
    pub(crate) async fn announce(&self, webhook_id: SubscriptionId) {
        let announcement = Announcement::Subscription(webhook_id);
        if let Err(error) = self.parts().queue.announcer().announce(&announcement).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, { field::SUBSCRIPTION_ID } = %webhook_id, "a change of a subscription was not announced");
        }
    }

    pub(crate) async fn queue(&self, work: Work, body: Bytes) {
        let delivery_id = work.delivery_id;
        if let Err(error) = self.parts().queue.deliveries().push(&[StreamEntry::new(&work, &body)]).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, { field::DELIVERY_ID } = %delivery_id, "a delivery was not queued; the sweep will find it");
        }
    }
}
