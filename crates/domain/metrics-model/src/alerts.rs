use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::thresholds::Thresholds;

/// What an alert is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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

/// The figures alerts watch, over 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Readings {
    /// Deliveries that died.
    pub dead_letter: u64,
    /// Calls refused for their credentials.
    pub auth_failures: u64,
    /// Calls refused for their limit.
    pub rate_limit_hits: u64,
    /// Deliveries that were too old.
    pub replay_rejected: u64,
    /// The 90th percentile of delivery latency in seconds; `None` when nothing was delivered.
    pub latency_p90_seconds: Option<f64>,
    /// Active subscriptions, now, that have failed for so long that their partners were warned.
    pub subscriptions_failing: u64,
    /// Subscriptions the platform disabled in 24 hours, and which still are.
    pub subscriptions_disabled: u64,
}

/// One figure against its threshold.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// What it is about.
    pub name: AlertKind,
    /// Whether the figure is strictly above the threshold.
    pub firing: bool,
    /// The figure; null when nothing was measured, which never fires.
    pub value: Option<f64>,
    /// The threshold.
    pub threshold: f64,
}

/// The answer of `/alerts`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AlertsReport {
    /// When the figures were read.
    pub timestamp: DateTime<Utc>,
    /// How many fire.
    pub firing: usize,
    /// All of them, firing or not.
    pub alerts: Vec<Alert>,
    /// The thresholds.
    pub alert_thresholds: Thresholds,
}

/// Compares every figure with its threshold.
#[must_use]
pub fn evaluate(readings: &Readings, thresholds: &Thresholds) -> [Alert; 7] {
    let count = |name, value: u64, threshold: u64| Alert {
        name,
        // As integers: a double would lose the one above a very large threshold.
        firing: value > threshold,
        value: Some(value as f64),
        threshold: threshold as f64,
    };
    let latency = readings.latency_p90_seconds.filter(|seconds| seconds.is_finite());
    [
        count(AlertKind::DeadLetter, readings.dead_letter, thresholds.dead_letter_24h),
        count(AlertKind::AuthFailures, readings.auth_failures, thresholds.auth_failures_24h),
        count(AlertKind::RateLimits, readings.rate_limit_hits, thresholds.rate_limit_hits_24h),
        count(AlertKind::ReplayRejected, readings.replay_rejected, thresholds.replay_rejected_24h),
        Alert {
            name: AlertKind::LatencyP90,
            firing: latency.is_some_and(|seconds| seconds > thresholds.latency_p90_seconds),
            value: latency,
            threshold: thresholds.latency_p90_seconds,
        },
        count(AlertKind::SubscriptionsFailing, readings.subscriptions_failing, thresholds.subscriptions_failing),
        count(AlertKind::SubscriptionsDisabled, readings.subscriptions_disabled, thresholds.subscriptions_disabled_24h),
    ]
}

/// Whether the alert of this kind fires.
pub(crate) fn fires(readings: &Readings, thresholds: &Thresholds, kind: AlertKind) -> bool {
    evaluate(readings, thresholds).iter().any(|alert| alert.name == kind && alert.firing)
}

impl AlertsReport {
    /// The answer for these figures.
    #[must_use]
    pub fn new(timestamp: DateTime<Utc>, readings: &Readings, thresholds: Thresholds) -> Self {
        let alerts = evaluate(readings, &thresholds).to_vec();
        let firing = alerts.iter().filter(|alert| alert.firing).count();
        Self { timestamp, firing, alerts, alert_thresholds: thresholds }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const AT_THE_THRESHOLDS: Readings = Readings {
        dead_letter: 10,
        auth_failures: 50,
        rate_limit_hits: 100,
        replay_rejected: 20,
        latency_p90_seconds: Some(5.0),
        subscriptions_failing: 0,
        subscriptions_disabled: 0,
    };

    fn firing(readings: &Readings) -> Vec<AlertKind> {
        let alerts = evaluate(readings, &Thresholds::default());
        alerts.iter().filter(|alert| alert.firing).map(|alert| alert.name).collect()
    }

    #[test]
    fn nothing_fires_at_its_threshold() {
        assert_eq!(firing(&AT_THE_THRESHOLDS), []);
        assert_eq!(firing(&Readings::default()), []);
    }

    #[test]
    fn each_fires_by_itself_just_above() {
        let at = AT_THE_THRESHOLDS;
        for (readings, kind) in [
            (Readings { dead_letter: 11, ..at }, AlertKind::DeadLetter),
            (Readings { auth_failures: 51, ..at }, AlertKind::AuthFailures),
            (Readings { rate_limit_hits: 101, ..at }, AlertKind::RateLimits),
            (Readings { replay_rejected: 21, ..at }, AlertKind::ReplayRejected),
            (Readings { latency_p90_seconds: Some(5.001), ..at }, AlertKind::LatencyP90),
            (Readings { subscriptions_failing: 1, ..at }, AlertKind::SubscriptionsFailing),
            (Readings { subscriptions_disabled: 1, ..at }, AlertKind::SubscriptionsDisabled),
        ] {
            assert_eq!(firing(&readings), [kind]);
        }
    }

    #[test]
    fn what_was_not_measured_is_null_and_does_not_fire() {
        let unmeasured = Readings { latency_p90_seconds: None, ..AT_THE_THRESHOLDS };
        assert_eq!(firing(&unmeasured), []);
        let broken = Readings { latency_p90_seconds: Some(f64::NAN), ..AT_THE_THRESHOLDS };
        let alert = evaluate(&broken, &Thresholds::default())[4];
        assert_eq!(json!(alert), json!({"name": "latency_p90", "firing": false, "value": null, "threshold": 5.0}));
    }

    #[test]
    fn large_counts_are_compared_exactly() {
        let thresholds = Thresholds { dead_letter_24h: u64::MAX - 1, ..Thresholds::default() };
        let readings = Readings { dead_letter: u64::MAX, ..Readings::default() };
        assert!(fires(&readings, &thresholds, AlertKind::DeadLetter));
    }

    #[test]
    fn the_report_counts_what_fires() {
        let timestamp = DateTime::from_timestamp(0, 0).unwrap();
        let readings = Readings { dead_letter: 11, replay_rejected: 21, ..Readings::default() };
        let report = AlertsReport::new(timestamp, &readings, Thresholds::default());
        assert_eq!((report.firing, report.alerts.len()), (2, 7));
    }
}
