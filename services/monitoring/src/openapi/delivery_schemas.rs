//! The answers about deliveries as OpenAPI describes them; see [`super::schemas`].

use chrono::{DateTime, Utc};
use utoipa::ToSchema;

use super::schemas::Thresholds;

/// Deliveries. Counts cover 24 hours; pending, retrying, held and circuits are those of now.
#[derive(Debug, ToSchema)]
pub struct WebhookMetrics {
    /// When the figures were read.
    pub timestamp: DateTime<Utc>,
    /// Deliveries that arrived.
    pub delivered: u64,
    /// Attempts that failed, whatever became of their delivery.
    pub failed: u64,
    /// Deliveries that died.
    pub dead: u64,
    /// The same as `dead`.
    pub dead_letter: u64,
    /// Deliveries that wait for a first attempt now, the held ones included.
    pub pending: u64,
    /// Deliveries that wait for another attempt now.
    pub retrying: u64,
    /// Those of the pending that are held.
    pub held: u64,
    /// Deliveries that were too old.
    pub replay_rejected_24h: u64,
    /// Mean attempts beyond the first, over the deliveries that ended; null when none did.
    #[schema(required)]
    pub avg_retry_count: Option<f64>,
    /// Median time from acceptance to the 2xx answer; null when nothing was delivered.
    #[schema(required)]
    pub delivery_latency_p50_seconds: Option<f64>,
    /// 90th percentile of the same.
    #[schema(required)]
    pub delivery_latency_p90_seconds: Option<f64>,
    /// 90th percentile of the same, under its older name.
    #[schema(required)]
    pub delivery_latency_p90_sec: Option<f64>,
    /// 95th percentile of the same.
    #[schema(required)]
    pub delivery_latency_p95_seconds: Option<f64>,
    /// 99th percentile of the same.
    #[schema(required)]
    pub delivery_latency_p99_seconds: Option<f64>,
    /// Share, 0 to 1, of the deliveries that ended which arrived; null when none ended.
    #[schema(required)]
    pub success_rate: Option<f64>,
    /// Age of the oldest delivery that waits and is not held; null when none does.
    #[schema(required)]
    pub oldest_pending_seconds: Option<f64>,
    /// Subscriptions whose circuit is open.
    pub circuit_open: u64,
    /// How often circuits opened.
    pub circuit_opens_24h: u64,
    /// Findings of personal data; null while nothing looks for them.
    #[schema(required)]
    pub pii_findings_24h: Option<u64>,
    /// Active subscriptions that have failed for so long that their partners were warned.
    pub subscriptions_failing: u64,
    /// Subscriptions the platform disabled, and which still are.
    pub subscriptions_disabled_24h: u64,
    /// The thresholds.
    pub alert_thresholds: Thresholds,
    /// What fires.
    pub alerts: WebhookAlerts,
}

/// What fires.
#[derive(Debug, ToSchema)]
pub struct WebhookAlerts {
    /// Deliveries die.
    pub dead_letter_exceeded: bool,
    /// Deliveries are too old.
    pub replay_rejected_exceeded: bool,
    /// Deliveries are slow.
    pub latency_p90_exceeded: bool,
    /// Subscriptions have been failing for long.
    pub subscriptions_failing_exceeded: bool,
    /// The platform disabled subscriptions.
    pub subscriptions_disabled_exceeded: bool,
}

/// The newest deliveries.
#[derive(Debug, ToSchema)]
pub struct RecentDeliveries {
    /// When the rows were read.
    pub timestamp: DateTime<Utc>,
    /// The deliveries, newest first.
    pub deliveries: Vec<RecentDelivery>,
}

/// One delivery. Never its payload.
#[derive(Debug, ToSchema)]
pub struct RecentDelivery {
    /// The delivery.
    #[schema(example = "dlv_01h455vb4pex5vsknk084sn02q")]
    pub delivery_id: String,
    /// Its event.
    #[schema(example = "evt_01h455vb4pex5vsknk084sn02q")]
    pub event_id: String,
    /// The event's type.
    #[schema(example = "ring.forged")]
    pub event_type: String,
    /// Its subscription.
    #[schema(example = "wh_01h455vb4pex5vsknk084sn02q")]
    pub webhook_id: String,
    /// The subscription's owner.
    #[schema(example = "acme")]
    pub owner_id: String,
    /// Where it stands.
    pub status: DeliveryStatus,
    /// Why it waits; null when it is not held.
    #[schema(required)]
    pub held_reason: Option<HeldReason>,
    /// Attempts made.
    pub attempt_count: u16,
    /// HTTP status of the last attempt; null when there was no answer.
    #[schema(required)]
    pub last_status_code: Option<u16>,
    /// What went wrong last.
    #[schema(required)]
    pub last_error: Option<String>,
    /// When it is due again.
    #[schema(required)]
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// When the 2xx answer arrived.
    #[schema(required)]
    pub delivered_at: Option<DateTime<Utc>>,
    /// From acceptance to that answer.
    #[schema(required)]
    pub delivery_latency_ms: Option<u32>,
    /// When the event was accepted.
    pub created_at: DateTime<Utc>,
}

/// Where a delivery stands.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DeliveryStatus {
    /// Waits for its first attempt, or is held.
    Pending,
    /// Waits for another attempt.
    Retrying,
    /// The receiver has it.
    Delivered,
    /// Given up.
    Dead,
    /// Too old.
    ReplayExpired,
    /// Its subscription is gone.
    Cancelled,
}

/// Why a pending delivery is not sent for now.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum HeldReason {
    /// Delivery is switched off.
    DeliveryOff,
    /// Its partner is outside the webhook cohort.
    OutsideCohort,
    /// Its subscription is paused.
    SubscriptionPaused,
    /// Its subscription is disabled.
    SubscriptionDisabled,
    /// Its partner is disabled.
    PartnerDisabled,
    /// Its receiver fails again and again.
    BreakerOpen,
}

/// One subscription. Counts cover 24 hours; pending, retrying and held are those of now.
#[derive(Debug, ToSchema)]
pub struct WebhookHealth {
    /// When the figures were read.
    pub timestamp: DateTime<Utc>,
    /// The subscription.
    #[schema(example = "wh_01h455vb4pex5vsknk084sn02q")]
    pub webhook_id: String,
    /// Its owner.
    #[schema(example = "acme")]
    pub owner_id: String,
    /// active, paused or disabled.
    #[schema(example = "active")]
    pub status: String,
    /// Why it is disabled.
    #[schema(required)]
    pub disabled_reason: Option<String>,
    /// The first failure since the last success; null while it succeeds.
    #[schema(required)]
    pub failing_since: Option<DateTime<Utc>>,
    /// Deliveries that arrived.
    pub delivered: u64,
    /// Attempts that failed, whatever became of their delivery.
    pub failed: u64,
    /// Deliveries that died.
    pub dead: u64,
    /// Deliveries that were too old.
    pub replay_rejected_24h: u64,
    /// Deliveries that wait for a first attempt now, the held ones included; those not held are counted among the
    /// partner's 20,000 newest deliveries.
    pub pending: u64,
    /// Deliveries that wait for another attempt now.
    pub retrying: u64,
    /// Those of the pending that are held.
    pub held: u64,
    /// Share, 0 to 1, of the deliveries that ended which arrived; null when none ended.
    #[schema(required)]
    pub success_rate: Option<f64>,
    /// Mean attempts beyond the first, over the deliveries that ended; null when none did.
    #[schema(required)]
    pub avg_retry_count: Option<f64>,
    /// Whether its circuit is open now: nothing is sent for a while, because it failed too often in a row.
    pub circuit_open: bool,
    /// Until when; null when it is not open.
    #[schema(required)]
    pub circuit_open_until: Option<DateTime<Utc>>,
    /// How often its circuit opened.
    pub circuit_opens_24h: u64,
    /// How far its receiver has come with a new secret; null unless the overlap of a rotation is on.
    #[schema(required)]
    pub rotation: Option<RotationProgress>,
}

/// Which of two secrets a receiver is known to use while both sign. One that never says (`X-Webhook-Verified-With`) shows as
/// zeros and nulls.
#[derive(Debug, ToSchema)]
#[schema(as = Rotation)]
pub struct RotationProgress {
    /// When the secret was rotated.
    pub started_at: DateTime<Utc>,
    /// Until when the previous secret signs as well.
    pub previous_expires_at: DateTime<Utc>,
    /// Requests signed with both secrets so far.
    pub sent_with_both: u64,
    /// 2xx answers that named the current secret.
    pub verified_with_current: u64,
    /// 2xx answers that named the previous one.
    pub verified_with_previous: u64,
    /// When an answer last named the current secret; null: none has.
    #[schema(required)]
    pub last_verified_with_current_at: Option<DateTime<Utc>>,
    /// When an answer last named the previous one; null: none has.
    #[schema(required)]
    pub last_verified_with_previous_at: Option<DateTime<Utc>>,
    /// When the receiver first showed that it takes the current secret: by such an answer, or by a 2xx to a test signed with
    /// it alone; null: it has not.
    #[schema(required)]
    pub confirmed_at: Option<DateTime<Utc>>,
    /// Whether the receiver still verifies with the previous secret, by its last word; null: nothing is known.
    #[schema(required)]
    pub still_on_previous: Option<bool>,
}
