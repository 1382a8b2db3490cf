use chrono::{DateTime, Utc};
use diesel::{Queryable, Selectable};
use onering_delivery::{HeldReason, Status};
use onering_ids::{DeliveryId, EventId, OwnerId, SubscriptionId};
use uuid::Uuid;

use crate::StoreError;
use crate::columns::{count, word};

/// One event for one subscription, as its row tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The delivery.
    pub delivery_id: DeliveryId,
    /// Its event.
    pub event_id: EventId,
    /// Its subscription.
    pub webhook_id: SubscriptionId,
    /// The subscription's owner.
    pub owner_id: OwnerId,
    /// What happened.
    pub event_type: String,
    /// Where it stands.
    pub status: Status,
    /// Attempts made.
    pub attempt_count: u16,
    /// When a retrying delivery is due.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// Lease or due time by the database's clock; `None` when held or final.
    pub queued_until: Option<DateTime<Utc>>,
    /// Why it is not sent for now.
    pub held_reason: Option<HeldReason>,
    /// HTTP status of the last attempt.
    pub last_status_code: Option<u16>,
    /// What went wrong last, for people.
    pub last_error: Option<String>,
    /// When a 2xx answer arrived.
    pub delivered_at: Option<DateTime<Utc>>,
    /// From acceptance to the 2xx answer.
    pub delivery_latency_ms: Option<u32>,
    /// When it became final.
    pub settled_at: Option<DateTime<Utc>>,
    /// The delivery this one repeats.
    pub original_delivery_id: Option<DeliveryId>,
    /// When the event was accepted, or the repeat asked for.
    pub created_at: DateTime<Utc>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = crate::schema::webhook_deliveries, check_for_backend(diesel::pg::Pg))]
pub(super) struct Row {
    delivery_id: Uuid,
    event_id: Uuid,
    webhook_id: Uuid,
    owner_id: String,
    event_type: String,
    status: String,
    attempt_count: i16,
    next_attempt_at: Option<DateTime<Utc>>,
    queued_until: Option<DateTime<Utc>>,
    held_reason: Option<String>,
    last_status_code: Option<i16>,
    last_error: Option<String>,
    delivered_at: Option<DateTime<Utc>>,
    delivery_latency_ms: Option<i32>,
    settled_at: Option<DateTime<Utc>>,
    original_delivery_id: Option<Uuid>,
    created_at: DateTime<Utc>,
}

impl TryFrom<Row> for Delivery {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        const TABLE: &str = "webhook_deliveries";
        Ok(Self {
            delivery_id: DeliveryId::from_uuid(row.delivery_id),
            event_id: EventId::from_uuid(row.event_id),
            webhook_id: SubscriptionId::from_uuid(row.webhook_id),
            owner_id: word(TABLE, "owner_id", &row.owner_id)?,
            event_type: row.event_type,
            status: word(TABLE, "status", &row.status)?,
            attempt_count: count(row.attempt_count),
            next_attempt_at: row.next_attempt_at,
            queued_until: row.queued_until,
            held_reason: row.held_reason.map(|reason| word(TABLE, "held_reason", &reason)).transpose()?,
            last_status_code: row.last_status_code.map(count),
            last_error: row.last_error,
            delivered_at: row.delivered_at,
            delivery_latency_ms: row.delivery_latency_ms.map(i32::unsigned_abs),
            settled_at: row.settled_at,
            original_delivery_id: row.original_delivery_id.map(DeliveryId::from_uuid),
            created_at: row.created_at,
        })
    }
}
