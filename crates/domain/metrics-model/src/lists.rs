use chrono::{DateTime, Utc};
use onering_delivery::{HeldReason, Ledger, PartnerLedger, Status};
use onering_ids::{DeliveryId, EventId, KeyId, OwnerId, SubscriptionId};
use serde::{Deserialize, Serialize};

/// The answer of `/external/api-keys`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ApiKeysReport {
    /// When the figures were read.
    pub timestamp: DateTime<Utc>,
    /// The keys of this page.
    pub keys: Vec<ApiKeyMetrics>,
    /// Where the next page begins; null on the last.
    pub next_cursor: Option<String>,
}

/// One key and its use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ApiKeyMetrics {
    /// The key.
    pub key_id: KeyId,
    /// Its owner.
    pub owner_id: OwnerId,
    /// Its name.
    pub name: String,
    /// Its tier.
    pub rate_limit_tier: String,
    /// Whether it is a canary key.
    pub canary_enabled: bool,
    /// Whether it may be used: neither disabled, revoked nor expired.
    pub is_active: bool,
    /// Calls admitted in 24 hours.
    pub usage_24h: u64,
    /// Calls refused for its limit in 24 hours.
    pub rate_limit_hits_24h: u64,
    /// Its last admitted call.
    pub last_used_at: Option<DateTime<Utc>>,
    /// When it expires.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// The answer of `/webhooks/recent`, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecentDeliveries {
    /// When the rows were read.
    pub timestamp: DateTime<Utc>,
    /// The deliveries.
    pub deliveries: Vec<RecentDelivery>,
}

/// One delivery. Never its payload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecentDelivery {
    /// The delivery.
    pub delivery_id: DeliveryId,
    /// Its event.
    pub event_id: EventId,
    /// The event's type.
    pub event_type: String,
    /// Its subscription.
    pub webhook_id: SubscriptionId,
    /// The subscription's owner.
    pub owner_id: OwnerId,
    /// Where it stands.
    pub status: Status,
    /// Why it waits; null when it is not held.
    pub held_reason: Option<HeldReason>,
    /// Attempts made.
    pub attempt_count: u16,
    /// HTTP status of the last attempt; null when there was no answer.
    pub last_status_code: Option<u16>,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// When it is due again.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// When the 2xx answer arrived.
    pub delivered_at: Option<DateTime<Utc>>,
    /// From acceptance to that answer.
    pub delivery_latency_ms: Option<u32>,
    /// When the event was accepted.
    pub created_at: DateTime<Utc>,
}

/// The answer of `/webhooks/{id}/health`. Counts cover 24 hours; pending, retrying and held are those of now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WebhookHealth {
    /// When the figures were read.
    pub timestamp: DateTime<Utc>,
    /// The subscription.
    pub webhook_id: SubscriptionId,
    /// Its owner.
    pub owner_id: OwnerId,
    /// active, paused or disabled.
    pub status: String,
    /// Why it is disabled.
    pub disabled_reason: Option<String>,
    /// The first failure since the last success; null while it succeeds.
    pub failing_since: Option<DateTime<Utc>>,
    /// Deliveries that arrived.
    pub delivered: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Deliveries that died.
    pub dead: u64,
    /// Deliveries that were too old.
    pub replay_rejected_24h: u64,
    /// Deliveries that wait for a first attempt, the held ones included.
    pub pending: u64,
    /// Deliveries that wait for another attempt.
    pub retrying: u64,
    /// Those of the pending that are held.
    pub held: u64,
    /// Share, 0 to 1, of the deliveries that ended which arrived; null when none ended.
    pub success_rate: Option<f64>,
    /// Mean attempts beyond the first, over the deliveries that ended; null when none did.
    pub avg_retry_count: Option<f64>,
    /// Whether its circuit is open: nothing is sent for a while, because it failed too often in a row.
    pub circuit_open: bool,
    /// Until when; null when it is not open.
    pub circuit_open_until: Option<DateTime<Utc>>,
    /// How often its circuit opened.
    pub circuit_opens_24h: u64,
    /// How far its receiver has come with a new secret; null unless the overlap of a rotation is on.
    pub rotation: Option<RotationProgress>,
}

/// Which of two secrets a receiver is known to use while both sign. One that never says shows as zeros and nulls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    pub last_verified_with_current_at: Option<DateTime<Utc>>,
    /// When an answer last named the previous one; null: none has.
    pub last_verified_with_previous_at: Option<DateTime<Utc>>,
    /// When the receiver first showed that it takes the current secret; null: it has not.
    pub confirmed_at: Option<DateTime<Utc>>,
    /// Whether the receiver still verifies with the previous secret, by its last word; null: nothing is known.
    pub still_on_previous: Option<bool>,
}

/// The answer of `/audit`: the loss ledger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LedgerReport {
    /// When the rows were counted, all in one snapshot.
    pub timestamp: DateTime<Utc>,
    /// Beginning of the range, by the events' acceptance.
    pub from: DateTime<Utc>,
    /// End of the range, itself not in it.
    pub to: DateTime<Utc>,
    /// The partner whose ledger it is; null for everybody's.
    pub owner_id: Option<OwnerId>,
    /// Of a partner: its deliveries of events for all partners, which are counted as promised.
    pub broadcast: Option<u64>,
    /// Of a partner: events for all partners that lack deliveries, whosever they are.
    pub broadcast_unbalanced: Option<u64>,
    /// The counts.
    #[serde(flatten)]
    pub ledger: Ledger,
    /// Deliveries that are not over.
    pub waiting: u64,
    /// Deliveries that should be there and are not; negative when there are too many.
    pub missing: i64,
    /// Whether every promised delivery is there, once.
    pub balances: bool,
}

impl LedgerReport {
    /// The answer for a ledger.
    #[must_use]
    pub fn new(timestamp: DateTime<Utc>, from: DateTime<Utc>, to: DateTime<Utc>, ledger: Ledger) -> Self {
        let missing = ledger.missing();
        Self {
            timestamp,
            from,
            to,
            owner_id: None,
            broadcast: None,
            broadcast_unbalanced: None,
            ledger,
            waiting: ledger.waiting(),
            missing: i64::try_from(missing).unwrap_or(if missing < 0 { i64::MIN } else { i64::MAX }),
            balances: ledger.balances(),
        }
    }

    /// The answer for one partner's ledger.
    #[must_use]
    pub fn of_partner(
        timestamp: DateTime<Utc>,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
        owner_id: OwnerId,
        counted: PartnerLedger,
    ) -> Self {
        Self {
            owner_id: Some(owner_id),
            broadcast: Some(counted.broadcast),
            broadcast_unbalanced: Some(counted.broadcast_unbalanced),
            balances: counted.balances(),
            ..Self::new(timestamp, from, to, counted.ledger)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_ledger_says_itself_whether_it_balances() {
        let at = DateTime::from_timestamp(0, 0).unwrap();
        let ledger = Ledger { matched: 3, delivered: 1, pending: 1, ..Ledger::default() };
        let report = json!(LedgerReport::new(at, at, at, ledger));
        assert_eq!(
            report,
            json!({
                "timestamp": "1970-01-01T00:00:00Z", "from": "1970-01-01T00:00:00Z", "to": "1970-01-01T00:00:00Z",
                "owner_id": null, "broadcast": null, "broadcast_unbalanced": null,
                "matched": 3, "repeated": 0, "unbalanced_events": 0, "pending": 1, "held": 0, "retrying": 0, "delivered": 1, "dead": 0,
                "replay_expired": 0, "cancelled": 0, "waiting": 1, "missing": 1, "balances": false,
            })
        );
        assert_eq!(serde_json::from_value::<LedgerReport>(report).unwrap().ledger, ledger);
    }

    #[test]
    fn a_partners_ledger_balances_only_when_that_is_known() {
        let at = DateTime::from_timestamp(0, 0).unwrap();
        let ledger = Ledger { matched: 2, delivered: 2, ..Ledger::default() };
        let report = |broadcast_unbalanced| {
            let counted = PartnerLedger { ledger, broadcast: 1, broadcast_unbalanced };
            LedgerReport::of_partner(at, at, at, OwnerId::default_partner(), counted)
        };
        assert_eq!((report(0).balances, report(0).missing, report(0).broadcast), (true, 0, Some(1)));
        assert_eq!((report(1).balances, report(1).missing, report(1).broadcast_unbalanced), (false, 0, Some(1)));
    }
}
