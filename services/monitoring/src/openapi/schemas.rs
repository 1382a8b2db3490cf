//! The answers as OpenAPI describes them. For documentation only: answers are `onering-metrics-model`'s, which knows no web
//! library. `tests/contract.rs` holds each answer to its schema, field by field.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use utoipa::ToSchema;

pub use super::delivery_schemas::{
    DeliveryStatus, HeldReason, RecentDeliveries, RecentDelivery, RotationProgress, WebhookAlerts, WebhookHealth,
    WebhookMetrics,
};

/// Above which figures operators are alerted (`ONERING_ALERT_*`); an alert fires strictly above.
#[derive(Debug, ToSchema)]
pub struct Thresholds {
    /// Deliveries that died in 24 hours.
    #[schema(example = 10)]
    pub dead_letter_24h: u64,
    /// Calls refused for their credentials in 24 hours.
    #[schema(example = 50)]
    pub auth_failures_24h: u64,
    /// Calls refused for their limit in 24 hours.
    #[schema(example = 100)]
    pub rate_limit_hits_24h: u64,
    /// Deliveries that were too old in 24 hours.
    #[schema(example = 20)]
    pub replay_rejected_24h: u64,
    /// The 90th percentile of delivery latency over 24 hours.
    #[schema(example = 5.0)]
    pub latency_p90_seconds: f64,
    /// Active subscriptions that have failed for so long that their partners were warned.
    #[schema(example = 0)]
    pub subscriptions_failing: u64,
    /// Subscriptions the platform disabled in 24 hours.
    #[schema(example = 0)]
    pub subscriptions_disabled_24h: u64,
}

/// The partner API. Counts cover 24 hours; keys are those of now.
#[derive(Debug, ToSchema)]
pub struct ExternalMetrics {
    /// When the figures were read.
    pub timestamp: DateTime<Utc>,
    /// Keys that are neither disabled, revoked nor expired.
    pub active_keys: u64,
    /// Calls refused for their credentials.
    pub auth_failures_24h: u64,
    /// The same by error code; a code that did not occur is absent.
    pub auth_failures_by_reason: BTreeMap<String, u64>,
    /// Calls refused for their limit.
    pub rate_limit_hits_24h: u64,
    /// The same by tier, every tier named.
    pub rate_limit_hits_by_tier: BTreeMap<String, u64>,
    /// Active keys and admitted calls by tier, every tier named.
    pub by_tier: BTreeMap<String, TierMetrics>,
    /// Active keys by tier once more, as one number each.
    pub key_metrics_by_tier: BTreeMap<String, u64>,
    /// The canary keys, which also count in their tiers.
    pub canary: TierMetrics,
    /// The thresholds.
    pub alert_thresholds: Thresholds,
    /// What fires.
    pub alerts: ExternalAlerts,
}

/// Keys of one kind.
#[derive(Debug, ToSchema)]
pub struct TierMetrics {
    /// Active keys.
    pub active: u64,
    /// Admitted calls.
    pub usage: u64,
}

/// What fires; two of them under both of the names in use.
#[derive(Debug, ToSchema)]
pub struct ExternalAlerts {
    /// Deliveries die.
    pub dead_letter: bool,
    /// Calls are refused for their credentials.
    pub auth_failures: bool,
    /// Calls are refused for their limit.
    pub rate_limits: bool,
    /// Deliveries are too old.
    pub replay_rejected: bool,
    /// Deliveries are slow.
    pub latency_p90: bool,
    /// The same as `auth_failures`.
    pub auth_failures_exceeded: bool,
    /// The same as `rate_limits`.
    pub rate_limit_hits_exceeded: bool,
}

/// A page of keys.
#[derive(Debug, ToSchema)]
pub struct ApiKeysReport {
    /// When the figures were read.
    pub timestamp: DateTime<Utc>,
    /// The keys of this page, newest first.
    pub keys: Vec<ApiKeyMetrics>,
    /// Pass it as `cursor` to read on; null on the last page.
    #[schema(required)]
    pub next_cursor: Option<String>,
}

/// One key and its use.
#[derive(Debug, ToSchema)]
pub struct ApiKeyMetrics {
    /// The key.
    #[schema(example = "key_01h455vb4pex5vsknk084sn02q")]
    pub key_id: String,
    /// Its owner.
    #[schema(example = "acme")]
    pub owner_id: String,
    /// Its name.
    pub name: String,
    /// Its tier: free, pro or enterprise.
    #[schema(example = "pro")]
    pub rate_limit_tier: String,
    /// Whether it is a canary key.
    pub canary_enabled: bool,
    /// Whether it may be used: neither disabled, revoked nor expired.
    pub is_active: bool,
    /// Units of quota taken in this clock hour and the 23 before it.
    pub usage_24h: u64,
    /// Calls refused for its limit in these hours.
    pub rate_limit_hits_24h: u64,
    /// Its last admitted call.
    #[schema(required)]
    pub last_used_at: Option<DateTime<Utc>>,
    /// When it expires; null for never.
    #[schema(required)]
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// What an alert is about.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "snake_case")]
pub enum AlertKind {
    /// Deliveries die.
    DeadLetter,
    /// Calls are refused for their credentials.
    AuthFailures,
    /// Calls are refused for their limit.
    RateLimits,
    /// Deliveries are too old.
    ReplayRejected,
    /// Deliveries are slow.
    LatencyP90,
    /// Subscriptions have failed for so long that their partners were warned.
    SubscriptionsFailing,
    /// The platform disabled subscriptions.
    SubscriptionsDisabled,
}

/// One figure against its threshold.
#[derive(Debug, ToSchema)]
pub struct Alert {
    /// What it is about.
    pub name: AlertKind,
    /// Whether the figure is strictly above the threshold.
    pub firing: bool,
    /// The figure; null when nothing was measured, which never fires.
    #[schema(required)]
    pub value: Option<f64>,
    /// The threshold.
    pub threshold: f64,
}

/// Every alert.
#[derive(Debug, ToSchema)]
pub struct AlertsReport {
    /// When the figures were read.
    pub timestamp: DateTime<Utc>,
    /// How many fire.
    pub firing: u64,
    /// All of them, firing or not.
    pub alerts: Vec<Alert>,
    /// The thresholds.
    pub alert_thresholds: Thresholds,
}

/// The loss ledger: what ingest promised against what is there.
#[derive(Debug, ToSchema)]
pub struct LedgerReport {
    /// When it was read.
    pub timestamp: DateTime<Utc>,
    /// Beginning of the range, by the events' acceptance.
    pub from: DateTime<Utc>,
    /// End of the range, itself not in it.
    pub to: DateTime<Utc>,
    /// The partner whose ledger it is; null for everybody's.
    #[schema(required)]
    pub owner_id: Option<String>,
    /// Of a partner: its deliveries of events for all partners, which are counted as promised.
    #[schema(required)]
    pub broadcast: Option<u64>,
    /// Of a partner: events for all partners that lack deliveries, whosever they are. Above 0 nothing can be said for one.
    #[schema(required)]
    pub broadcast_unbalanced: Option<u64>,
    /// Deliveries the events of the range were accepted with.
    pub matched: u64,
    /// Deliveries made later to repeat another one, counted from their own rows.
    pub repeated: u64,
    /// Events that have more or fewer deliveries than they were accepted with, repeats aside.
    pub unbalanced_events: u64,
    /// Waiting for a first attempt, the held ones included.
    pub pending: u64,
    /// Those of the pending that are held.
    pub held: u64,
    /// Waiting for another attempt.
    pub retrying: u64,
    /// Final: the receiver has it.
    pub delivered: u64,
    /// Final: given up.
    pub dead: u64,
    /// Final: too old.
    pub replay_expired: u64,
    /// Final: its subscription is gone.
    pub cancelled: u64,
    /// Deliveries that are not over: pending and retrying.
    pub waiting: u64,
    /// Deliveries that should be there and are not; negative when there are too many.
    pub missing: i64,
    /// Whether every promised delivery is known to be there, once.
    pub balances: bool,
}
