use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::alerts::{AlertKind, Readings, fires};
use crate::thresholds::Thresholds;

/// The answer of `/external/metrics`. Counts cover 24 hours; active keys are those of now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExternalMetrics {
    /// When the figures were read.
    pub timestamp: DateTime<Utc>,
    /// Keys that are neither disabled, revoked nor expired.
    pub active_keys: u64,
    /// Calls refused for their credentials.
    pub auth_failures_24h: u64,
    /// The same by error code.
    pub auth_failures_by_reason: BTreeMap<String, u64>,
    /// Calls refused for their limit.
    pub rate_limit_hits_24h: u64,
    /// The same by tier.
    pub rate_limit_hits_by_tier: BTreeMap<String, u64>,
    /// Active keys and admitted calls by tier.
    pub by_tier: BTreeMap<String, TierMetrics>,
    /// Active keys by tier once more, as one number each.
    pub key_metrics_by_tier: BTreeMap<String, u64>,
    /// The canary keys, whatever their tier.
    pub canary: CanaryMetrics,
    /// The thresholds.
    pub alert_thresholds: Thresholds,
    /// What fires.
    pub alerts: ExternalAlerts,
}

/// One tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TierMetrics {
    /// Active keys.
    pub active: u64,
    /// Admitted calls.
    pub usage: u64,
}

/// The canary keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CanaryMetrics {
    /// Active keys.
    pub active: u64,
    /// Admitted calls.
    pub usage: u64,
}

/// What fires; two of them under both of the names in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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

/// What [`ExternalMetrics`] is made of.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExternalCounts {
    /// Active keys and admitted calls by tier, every tier named.
    pub by_tier: BTreeMap<String, TierMetrics>,
    /// The canary keys.
    pub canary: CanaryMetrics,
    /// Calls refused for their credentials, by error code.
    pub auth_failures_by_reason: BTreeMap<String, u64>,
    /// Calls refused for their limit, by tier.
    pub rate_limit_hits_by_tier: BTreeMap<String, u64>,
}

impl ExternalCounts {
    /// Calls refused for their credentials.
    #[must_use]
    pub fn auth_failures(&self) -> u64 {
        sum(self.auth_failures_by_reason.values())
    }

    /// Calls refused for their limit.
    #[must_use]
    pub fn rate_limit_hits(&self) -> u64 {
        sum(self.rate_limit_hits_by_tier.values())
    }
}

impl ExternalMetrics {
    /// The answer for these counts; `webhooks` are the readings of the delivery side, whose alerts stand here as well.
    /// Its two gateway figures are taken from the counts.
    #[must_use]
    pub fn new(timestamp: DateTime<Utc>, counts: ExternalCounts, webhooks: &Readings, thresholds: Thresholds) -> Self {
        let readings =
            Readings { auth_failures: counts.auth_failures(), rate_limit_hits: counts.rate_limit_hits(), ..*webhooks };
        let active = counts.by_tier.iter().map(|(tier, metrics)| (tier.clone(), metrics.active));
        let key_metrics_by_tier: BTreeMap<_, _> = active.collect();
        Self {
            timestamp,
            active_keys: sum(key_metrics_by_tier.values()),
            auth_failures_24h: readings.auth_failures,
            auth_failures_by_reason: counts.auth_failures_by_reason,
            rate_limit_hits_24h: readings.rate_limit_hits,
            rate_limit_hits_by_tier: counts.rate_limit_hits_by_tier,
            by_tier: counts.by_tier,
            key_metrics_by_tier,
            canary: counts.canary,
            alert_thresholds: thresholds,
            alerts: ExternalAlerts::new(&readings, &thresholds),
        }
    }
}

impl ExternalAlerts {
    fn new(readings: &Readings, thresholds: &Thresholds) -> Self {
        let fires = |kind| fires(readings, thresholds, kind);
        Self {
            dead_letter: fires(AlertKind::DeadLetter),
            auth_failures: fires(AlertKind::AuthFailures),
            rate_limits: fires(AlertKind::RateLimits),
            replay_rejected: fires(AlertKind::ReplayRejected),
            latency_p90: fires(AlertKind::LatencyP90),
            auth_failures_exceeded: fires(AlertKind::AuthFailures),
            rate_limit_hits_exceeded: fires(AlertKind::RateLimits),
        }
    }
}

fn sum<'a>(counts: impl Iterator<Item = &'a u64>) -> u64 {
    counts.fold(0, |sum, count| sum.saturating_add(*count))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The names are scraped by scripts and dashboards.
    #[test]
    fn the_shape_of_the_contract() {
        let map = |pairs: &[(&str, u64)]| pairs.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        let counts = ExternalCounts {
            by_tier: BTreeMap::from([
                ("free".to_owned(), TierMetrics { active: 2, usage: 30 }),
                ("pro".to_owned(), TierMetrics { active: 1, usage: 4 }),
            ]),
            canary: CanaryMetrics { active: 1, usage: 10 },
            auth_failures_by_reason: map(&[("INVALID_API_KEY", 50), ("KEY_EXPIRED", 1)]),
            rate_limit_hits_by_tier: map(&[("free", 100)]),
        };
        let webhooks = Readings { dead_letter: 11, auth_failures: 999, ..Readings::default() };
        let timestamp = DateTime::from_timestamp(1_763_769_600, 0).unwrap();
        assert_eq!(
            json!(ExternalMetrics::new(timestamp, counts, &webhooks, Thresholds::default())),
            json!({
                "timestamp": "2025-11-22T00:00:00Z",
                "active_keys": 3,
                "auth_failures_24h": 51,
                "auth_failures_by_reason": {"INVALID_API_KEY": 50, "KEY_EXPIRED": 1},
                "rate_limit_hits_24h": 100,
                "rate_limit_hits_by_tier": {"free": 100},
                "by_tier": {"free": {"active": 2, "usage": 30}, "pro": {"active": 1, "usage": 4}},
                "key_metrics_by_tier": {"free": 2, "pro": 1},
                "canary": {"active": 1, "usage": 10},
                "alert_thresholds": {
                    "dead_letter_24h": 10, "auth_failures_24h": 50, "rate_limit_hits_24h": 100,
                    "replay_rejected_24h": 20, "latency_p90_seconds": 5.0, "subscriptions_failing": 0,
                    "subscriptions_disabled_24h": 0,
                },
                "alerts": {
                    "dead_letter": true, "auth_failures": true, "rate_limits": false, "replay_rejected": false,
                    "latency_p90": false, "auth_failures_exceeded": true, "rate_limit_hits_exceeded": false,
                },
            })
        );
    }
}
