use onering_delivery::{AttemptOutcome, HeldReason, Status};
use onering_ids::{DeliveryId, EventId, OwnerId, SubscriptionId};
use onering_store::deliveries::{Delivery, DeliveryAttempt, DeliveryWithAttempts};
use serde::Serialize;
use utoipa::ToSchema;

use crate::scope::Scope;
use crate::timestamp::Timestamp;

/// One event for one subscription, as answers show it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Delivery)]
pub struct DeliveryView {
    /// Which one.
    #[schema(value_type = String, example = "dlv_01h455vb4pex5vsknk084sn02q")]
    pub id: DeliveryId,
    /// Its event.
    #[schema(value_type = String, example = "evt_01h455vb4pex5vsknk084sn02q")]
    pub event_id: EventId,
    /// Its subscription.
    #[schema(value_type = String, example = "wh_01h455vb4pex5vsknk084sn02q")]
    pub webhook_id: SubscriptionId,
    /// The subscription's owner.
    #[schema(value_type = String, example = "acme")]
    pub owner_id: OwnerId,
    /// What happened.
    #[schema(example = "ring.forged")]
    pub event_type: String,
    /// `PENDING`, `RETRYING`, `DELIVERED`, `DEAD`, `REPLAY_EXPIRED` or `CANCELLED`.
    #[schema(value_type = String, example = "DELIVERED")]
    pub status: Status,
    /// Attempts made.
    pub attempt_count: u16,
    /// When a retrying delivery is due.
    pub next_attempt_at: Option<Timestamp>,
    /// Why it is not sent for now.
    #[schema(value_type = Option<String>)]
    pub held_reason: Option<HeldReason>,
    /// HTTP status of the last attempt.
    pub last_status_code: Option<u16>,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// When a 2xx answer arrived.
    pub delivered_at: Option<Timestamp>,
    /// From acceptance to that answer, in milliseconds.
    pub delivery_latency_ms: Option<u32>,
    /// The delivery that this one repeats.
    #[schema(value_type = Option<String>)]
    pub original_delivery_id: Option<DeliveryId>,
    /// When the event was accepted, or the repeat asked for.
    pub created_at: Timestamp,
    /// Every attempt, the first one first; only where one delivery is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attempts: Option<Vec<AttemptView>>,
}

/// One HTTP request of a delivery.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Attempt)]
pub struct AttemptView {
    /// From 1.
    pub attempt: u16,
    /// `DELIVERED`, `RETRY`, `DEAD`, `GONE` or `REPLAY_EXPIRED`.
    #[schema(value_type = String, example = "DELIVERED")]
    pub outcome: AttemptOutcome,
    /// HTTP status; null when there was no answer.
    pub status_code: Option<u16>,
    /// What went wrong.
    pub error: Option<String>,
    /// The beginning of the answer's body.
    pub response_body: Option<String>,
    /// When the request was sent.
    pub started_at: Timestamp,
    /// How long it took, in milliseconds.
    pub duration_ms: u32,
    /// Which process sent it; for operators only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<String>,
}

impl From<Delivery> for DeliveryView {
    fn from(delivery: Delivery) -> Self {
        Self {
            id: delivery.delivery_id,
            event_id: delivery.event_id,
            webhook_id: delivery.webhook_id,
            owner_id: delivery.owner_id,
            event_type: delivery.event_type,
            status: delivery.status,
            attempt_count: delivery.attempt_count,
            next_attempt_at: delivery.next_attempt_at.map(Timestamp::from),
            held_reason: delivery.held_reason,
            last_status_code: delivery.last_status_code,
            last_error: delivery.last_error,
            delivered_at: delivery.delivered_at.map(Timestamp::from),
            delivery_latency_ms: delivery.delivery_latency_ms,
            original_delivery_id: delivery.original_delivery_id,
            created_at: delivery.created_at.into(),
            attempts: None,
        }
    }
}

impl DeliveryView {
    pub(crate) fn with_attempts(scope: Scope<'_>, found: DeliveryWithAttempts) -> Self {
        let attempts = found.attempts.into_iter().map(|attempt| AttemptView::new(scope, attempt)).collect();
        Self { attempts: Some(attempts), ..found.delivery.into() }
    }
}

impl AttemptView {
    pub(crate) fn new(scope: Scope<'_>, attempt: DeliveryAttempt) -> Self {
        Self {
            attempt: attempt.attempt,
            outcome: attempt.outcome,
            status_code: attempt.status_code,
            error: attempt.error,
            response_body: attempt.response_body,
            started_at: attempt.started_at.into(),
            duration_ms: attempt.duration_ms,
            worker: matches!(scope, Scope::AnyOwner(_)).then_some(attempt.worker),
        }
    }
}
