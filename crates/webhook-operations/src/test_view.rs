use onering_delivery::Status;
use onering_ids::{DeliveryId, EventId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::delivery_view::AttemptView;

/// What came of a test of a subscription.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = TestResult)]
pub struct TestResultView {
    /// The event `webhook.test` that was sent.
    #[schema(value_type = String, example = "evt_01h455vb4pex5vsknk084sn02q")]
    pub event_id: EventId,
    /// Its delivery, which goes through the usual retries when the attempt failed.
    #[schema(value_type = String, example = "dlv_01h455vb4pex5vsknk084sn02q")]
    pub delivery_id: DeliveryId,
    /// Where the delivery stands now.
    #[schema(value_type = String, example = "DELIVERED")]
    pub status: Status,
    /// Whether the receiver answered 2xx.
    pub delivered: bool,
    /// The first attempt; null when no worker came to it in time.
    pub attempt: Option<AttemptView>,
}
