//! What can be seeded. Rows borrow, because there are millions of them.

use chrono::{DateTime, Utc};
use onering_delivery::{AttemptOutcome, Status};
use onering_ids::{DeliveryId, EventId, OwnerId, SubscriptionId};

use super::binary::CopyBuffer;
use crate::columns::{integer, smallint};

/// A partner without further settings.
#[derive(Clone, Copy, Debug)]
pub struct SeedPartner<'a> {
    /// Its id, which is its name too.
    pub owner: &'a OwnerId,
}

/// An active subscription without a secret: nothing can be sent to it.
#[derive(Clone, Debug)]
pub struct SeedSubscription<'a> {
    /// Its id.
    pub webhook_id: SubscriptionId,
    /// Whose it is.
    pub owner: &'a OwnerId,
    /// Where deliveries would go.
    pub url: String,
    /// The one pattern of event types it has.
    pub pattern: &'a str,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// An accepted event.
#[derive(Clone, Debug)]
pub struct SeedEvent<'a> {
    /// Its id, whose time is that of its day.
    pub event_id: EventId,
    /// Whom it was for.
    pub owner: &'a OwnerId,
    /// What happened.
    pub event_type: &'a str,
    /// The body of its deliveries.
    pub body: String,
    /// How many deliveries it has.
    pub matched: u32,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
}

/// What has become of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeedState {
    /// It waits for its first attempt.
    Pending {
        /// The end of its lease: before, nobody takes it up.
        queued_until: DateTime<Utc>,
    },
    /// It waits for its next attempt.
    Retrying {
        /// When that is due.
        next_attempt_at: DateTime<Utc>,
    },
    /// It arrived.
    Delivered {
        /// When.
        at: DateTime<Utc>,
        /// How long after its event was accepted; the lowest value of a bucket of `delivery_latency_stats`.
        latency_ms: u32,
    },
    /// It failed for good.
    Dead {
        /// When.
        at: DateTime<Utc>,
    },
    /// It was too old for its receiver.
    ReplayExpired {
        /// When that was known.
        at: DateTime<Utc>,
    },
}

impl SeedState {
    /// The status of its row.
    #[must_use]
    pub const fn status(&self) -> Status {
        match self {
            Self::Pending { .. } => Status::Pending,
            Self::Retrying { .. } => Status::Retrying,
            Self::Delivered { .. } => Status::Delivered,
            Self::Dead { .. } => Status::Dead,
            Self::ReplayExpired { .. } => Status::ReplayExpired,
        }
    }

    const fn queued_until(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Pending { queued_until: until } | Self::Retrying { next_attempt_at: until } => Some(*until),
            _ => None,
        }
    }

    const fn next_attempt_at(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Retrying { next_attempt_at } => Some(*next_attempt_at),
            _ => None,
        }
    }

    const fn settled_at(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Delivered { at, .. } | Self::Dead { at } | Self::ReplayExpired { at } => Some(*at),
            _ => None,
        }
    }

    const fn delivered(&self) -> Option<(DateTime<Utc>, u32)> {
        match self {
            Self::Delivered { at, latency_ms } => Some((*at, *latency_ms)),
            _ => None,
        }
    }
}

/// A delivery.
#[derive(Clone, Copy, Debug)]
pub struct SeedDelivery<'a> {
    /// Its id: of its event's millisecond, and place within it.
    pub delivery_id: DeliveryId,
    /// Its event.
    pub event_id: EventId,
    /// Where it goes.
    pub webhook_id: SubscriptionId,
    /// The subscription's owner.
    pub owner: &'a OwnerId,
    /// The event's type.
    pub event_type: &'a str,
    /// When the event was accepted.
    pub created_at: DateTime<Utc>,
    /// What has become of it.
    pub state: SeedState,
    /// Attempts made.
    pub attempts: u16,
    /// What the last attempt was answered.
    pub last_status_code: Option<u16>,
    /// What went wrong last.
    pub last_error: Option<&'a str>,
}

/// An attempt of a delivery.
#[derive(Clone, Copy, Debug)]
pub struct SeedAttempt<'a> {
    /// The delivery.
    pub delivery_id: DeliveryId,
    /// 1 for the first.
    pub attempt: u16,
    /// Where it went.
    pub webhook_id: SubscriptionId,
    /// What the answer meant.
    pub outcome: AttemptOutcome,
    /// The answer.
    pub status_code: Option<u16>,
    /// What went wrong.
    pub error: Option<&'a str>,
    /// What the answer said.
    pub response_body: Option<&'a str>,
    /// When it was sent.
    pub started_at: DateTime<Utc>,
    /// How long it took.
    pub duration_ms: u32,
    /// Who is said to have made it.
    pub worker: &'a str,
}

/// A row of a table that can be copied.
pub(super) trait CopyRow {
    /// The table; of a partitioned one, its parent.
    const TABLE: &'static str;
    /// What [`Self::put`] puts, in that order.
    const COLUMNS: &'static [&'static str];
    /// Puts the fields.
    fn put(&self, to: &mut CopyBuffer);
}

impl CopyRow for SeedPartner<'_> {
    const TABLE: &'static str = "partners";
    const COLUMNS: &'static [&'static str] = &["owner_id", "name"];

    fn put(&self, to: &mut CopyBuffer) {
        to.text(self.owner);
        to.text(self.owner);
    }
}

impl CopyRow for SeedSubscription<'_> {
    const TABLE: &'static str = "external_webhooks";
    const COLUMNS: &'static [&'static str] = &["webhook_id", "owner_id", "url", "events", "created_at", "updated_at"];

    fn put(&self, to: &mut CopyBuffer) {
        to.uuid(self.webhook_id.uuid());
        to.text(self.owner);
        to.text(&self.url);
        to.single_text(self.pattern);
        to.instant(self.created_at);
        to.instant(self.created_at);
    }
}

impl CopyRow for SeedEvent<'_> {
    const TABLE: &'static str = "webhook_events";
    const COLUMNS: &'static [&'static str] =
        &["event_id", "owner_id", "event_type", "body", "matched", "occurred_at", "created_at"];

    fn put(&self, to: &mut CopyBuffer) {
        to.uuid(self.event_id.uuid());
        to.text(self.owner);
        to.text(self.event_type);
        to.bytes(self.body.as_bytes());
        to.integer(integer(self.matched));
        to.instant(self.created_at);
        to.instant(self.created_at);
    }
}

impl CopyRow for SeedDelivery<'_> {
    const TABLE: &'static str = "webhook_deliveries";
    const COLUMNS: &'static [&'static str] = &[
        "delivery_id",
        "event_id",
        "webhook_id",
        "owner_id",
        "event_type",
        "status",
        "attempt_count",
        "next_attempt_at",
        "queued_until",
        "last_status_code",
        "last_error",
        "delivered_at",
        "delivery_latency_ms",
        "settled_at",
        "created_at",
    ];

    fn put(&self, to: &mut CopyBuffer) {
        to.uuid(self.delivery_id.uuid());
        to.uuid(self.event_id.uuid());
        to.uuid(self.webhook_id.uuid());
        to.text(self.owner);
        to.text(self.event_type);
        to.text(self.state.status().as_str());
        to.smallint(smallint(self.attempts));
        to.optional(self.state.next_attempt_at(), CopyBuffer::instant);
        to.optional(self.state.queued_until(), CopyBuffer::instant);
        to.optional(self.last_status_code.map(smallint), CopyBuffer::smallint);
        to.optional(self.last_error, CopyBuffer::text);
        to.optional(self.state.delivered().map(|(at, _)| at), CopyBuffer::instant);
        to.optional(self.state.delivered().map(|(_, latency)| integer(latency)), CopyBuffer::integer);
        to.optional(self.state.settled_at(), CopyBuffer::instant);
        to.instant(self.created_at);
    }
}

impl CopyRow for SeedAttempt<'_> {
    const TABLE: &'static str = "external_delivery_logs";
    const COLUMNS: &'static [&'static str] = &[
        "delivery_id",
        "attempt",
        "webhook_id",
        "outcome",
        "status_code",
        "error",
        "response_body",
        "started_at",
        "duration_ms",
        "worker",
    ];

    fn put(&self, to: &mut CopyBuffer) {
        to.uuid(self.delivery_id.uuid());
        to.smallint(smallint(self.attempt));
        to.uuid(self.webhook_id.uuid());
        to.text(self.outcome.as_str());
        to.optional(self.status_code.map(smallint), CopyBuffer::smallint);
        to.optional(self.error, CopyBuffer::text);
        to.optional(self.response_body, CopyBuffer::text);
        to.instant(self.started_at);
        to.integer(integer(self.duration_ms));
        to.text(self.worker);
    }
}
