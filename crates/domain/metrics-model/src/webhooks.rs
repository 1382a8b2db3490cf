use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::alerts::{AlertKind, Readings, fires};
use crate::histogram::Histogram;
use crate::thresholds::Thresholds;

/// The answer of `/webhooks/metrics`. Counts cover 24 hours; pending, retrying, held and circuits are those of now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// Deliveries that wait for a first attempt, the held ones included.
    pub pending: u64,
    /// Deliveries that wait for another attempt.
    pub retrying: u64,
    /// Those of the pending that are held.
    pub held: u64,
    /// Deliveries that were too old.
    pub replay_rejected_24h: u64,
    /// Mean attempts beyond the first, over the deliveries that ended; null when none did.
    pub avg_retry_count: Option<f64>,
    /// Median time from acceptance to the 2xx answer, in seconds; null when nothing was delivered.
    pub delivery_latency_p50_seconds: Option<f64>,
    /// 90th percentile of the same.
    pub delivery_latency_p90_seconds: Option<f64>,
    /// 90th percentile of the same, under its older name.
    pub delivery_latency_p90_sec: Option<f64>,
    /// 95th percentile of the same.
    pub delivery_latency_p95_seconds: Option<f64>,
    /// 99th percentile of the same.
    pub delivery_latency_p99_seconds: Option<f64>,
    /// Share, 0 to 1, of the deliveries that ended which arrived; null when none ended.
    pub success_rate: Option<f64>,
    /// Age of the oldest delivery that waits and is not held; null when none does.
    pub oldest_pending_seconds: Option<f64>,
    /// Subscriptions whose circuit is open.
    pub circuit_open: u64,
    /// How often circuits opened.
    pub circuit_opens_24h: u64,
    /// Findings of personal data; null while nothing looks for them.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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

/// What [`WebhookMetrics`] is made of.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WebhookCounts {
    /// Deliveries that arrived.
    pub delivered: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Deliveries that died, the ones refused with 410 included.
    pub dead: u64,
    /// Deliveries that were too old.
    pub replay_expired: u64,
    /// Attempts made, over the deliveries that arrived, died or were too old.
    pub final_attempts: u64,
    /// Deliveries pending now, the held ones included.
    pub pending: u64,
    /// Deliveries retrying now.
    pub retrying: u64,
    /// Deliveries held now.
    pub held: u64,
    /// Age of the oldest delivery that waits and is not held.
    pub oldest_pending_seconds: Option<f64>,
    /// From acceptance to the 2xx answer, in milliseconds.
    pub latency_ms: Histogram,
    /// Subscriptions whose circuit is open now.
    pub circuit_open: u64,
    /// How often circuits opened.
    pub circuit_opens: u64,
    /// Findings of personal data; `None` while nothing looks for them.
    pub pii_findings: Option<u64>,
    /// Active subscriptions that have failed for so long that their partners were warned.
    pub subscriptions_failing: u64,
    /// Subscriptions the platform disabled in 24 hours, and which still are.
    pub subscriptions_disabled: u64,
}

impl WebhookCounts {
    /// The figures of the delivery side that alerts watch.
    #[must_use]
    pub fn readings(&self) -> Readings {
        Readings {
            dead_letter: self.dead,
            replay_rejected: self.replay_expired,
            latency_p90_seconds: self.latency_seconds(0.9),
            subscriptions_failing: self.subscriptions_failing,
            subscriptions_disabled: self.subscriptions_disabled,
            ..Readings::default()
        }
    }

    fn latency_seconds(&self, share: f64) -> Option<f64> {
        self.latency_ms.quantile(share).map(|millis| millis as f64 / 1000.0)
    }

    fn ended(&self) -> u64 {
        self.delivered.saturating_add(self.dead).saturating_add(self.replay_expired)
    }
}

impl WebhookMetrics {
    /// The answer for these counts.
    #[must_use]
    pub fn new(timestamp: DateTime<Utc>, counts: &WebhookCounts, thresholds: Thresholds) -> Self {
        let readings = counts.readings();
        let fires = |kind| fires(&readings, &thresholds, kind);
        Self {
            timestamp,
            delivered: counts.delivered,
            failed: counts.failed,
            dead: counts.dead,
            dead_letter: counts.dead,
            pending: counts.pending,
            retrying: counts.retrying,
            held: counts.held,
            replay_rejected_24h: counts.replay_expired,
            avg_retry_count: mean_retries(counts.final_attempts, counts.ended()),
            delivery_latency_p50_seconds: counts.latency_seconds(0.5),
            delivery_latency_p90_seconds: readings.latency_p90_seconds,
            delivery_latency_p90_sec: readings.latency_p90_seconds,
            delivery_latency_p95_seconds: counts.latency_seconds(0.95),
            delivery_latency_p99_seconds: counts.latency_seconds(0.99),
            success_rate: rate(counts.delivered, counts.ended()),
            oldest_pending_seconds: counts.oldest_pending_seconds,
            circuit_open: counts.circuit_open,
            circuit_opens_24h: counts.circuit_opens,
            pii_findings_24h: counts.pii_findings,
            subscriptions_failing: counts.subscriptions_failing,
            subscriptions_disabled_24h: counts.subscriptions_disabled,
            alert_thresholds: thresholds,
            alerts: WebhookAlerts {
                dead_letter_exceeded: fires(AlertKind::DeadLetter),
                replay_rejected_exceeded: fires(AlertKind::ReplayRejected),
                latency_p90_exceeded: fires(AlertKind::LatencyP90),
                subscriptions_failing_exceeded: fires(AlertKind::SubscriptionsFailing),
                subscriptions_disabled_exceeded: fires(AlertKind::SubscriptionsDisabled),
            },
        }
    }
}

/// The share of `part` in `whole`; `None` when there is no whole.
#[must_use]
pub fn rate(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Mean attempts beyond the first, from the sum of attempts over `deliveries` that ended; `None` without any.
///
/// A delivery that ended before its first attempt counts as one without retries.
#[must_use]
pub fn mean_retries(attempts: u64, deliveries: u64) -> Option<f64> {
    rate(attempts.saturating_sub(deliveries), deliveries)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn metrics(counts: &WebhookCounts) -> Value {
        let timestamp = DateTime::from_timestamp(1_763_769_600, 0).unwrap();
        json!(WebhookMetrics::new(timestamp, counts, Thresholds::default()))
    }

    /// The names are scraped by scripts and dashboards.
    #[test]
    fn the_shape_of_the_contract() {
        let counts = WebhookCounts {
            delivered: 6,
            failed: 9,
            dead: 11,
            replay_expired: 3,
            final_attempts: 45,
            pending: 5,
            retrying: 4,
            held: 2,
            oldest_pending_seconds: Some(1.5),
            latency_ms: [(100, 5), (5120, 5)].into_iter().collect(),
            circuit_open: 1,
            circuit_opens: 2,
            pii_findings: None,
            subscriptions_failing: 3,
            subscriptions_disabled: 0,
        };
        assert_eq!(
            metrics(&counts),
            json!({
                "timestamp": "2025-11-22T00:00:00Z",
                "delivered": 6, "failed": 9, "dead": 11, "dead_letter": 11,
                "pending": 5, "retrying": 4, "held": 2,
                "replay_rejected_24h": 3,
                "avg_retry_count": 1.25,
                "delivery_latency_p50_seconds": 0.1,
                "delivery_latency_p90_seconds": 5.12,
                "delivery_latency_p90_sec": 5.12,
                "delivery_latency_p95_seconds": 5.12,
                "delivery_latency_p99_seconds": 5.12,
                "success_rate": 0.3,
                "oldest_pending_seconds": 1.5,
                "circuit_open": 1, "circuit_opens_24h": 2, "pii_findings_24h": null,
                "subscriptions_failing": 3, "subscriptions_disabled_24h": 0,
                "alert_thresholds": {
                    "dead_letter_24h": 10, "auth_failures_24h": 50, "rate_limit_hits_24h": 100,
                    "replay_rejected_24h": 20, "latency_p90_seconds": 5.0, "subscriptions_failing": 0,
                    "subscriptions_disabled_24h": 0,
                },
                "alerts": {
                    "dead_letter_exceeded": true, "replay_rejected_exceeded": false, "latency_p90_exceeded": true,
                    "subscriptions_failing_exceeded": true, "subscriptions_disabled_exceeded": false,
                },
            })
        );
    }

    #[test]
    fn no_traffic_is_null_not_zero() {
        let quiet = metrics(&WebhookCounts::default());
        for name in [
            "avg_retry_count",
            "delivery_latency_p50_seconds",
            "delivery_latency_p90_seconds",
            "delivery_latency_p90_sec",
            "success_rate",
            "oldest_pending_seconds",
        ] {
            assert_eq!(quiet[name], Value::Null, "{name}");
        }
        assert_eq!(quiet["delivered"], 0);
        assert_eq!(quiet["alerts"]["latency_p90_exceeded"], false);
    }

    #[test]
    fn means_of_few_and_many() {
        assert_eq!(mean_retries(0, 0), None);
        assert_eq!(mean_retries(3, 1), Some(2.0));
        assert_eq!(mean_retries(1, 2), Some(0.0), "one ended before its first attempt");
        assert_eq!(rate(u64::MAX, u64::MAX), Some(1.0));
    }
}
