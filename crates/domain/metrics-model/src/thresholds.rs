use serde::{Deserialize, Serialize};

/// Above which figures operators are alerted: `ONERING_ALERT_*`. An alert fires strictly above.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Thresholds {
    /// Deliveries that died in 24 hours.
    pub dead_letter_24h: u64,
    /// Calls refused for their credentials in 24 hours.
    pub auth_failures_24h: u64,
    /// Calls refused for their limit in 24 hours.
    pub rate_limit_hits_24h: u64,
    /// Deliveries that were too old in 24 hours.
    pub replay_rejected_24h: u64,
    /// The 90th percentile of delivery latency over 24 hours, in seconds.
    pub latency_p90_seconds: f64,
    /// Active subscriptions that have failed for so long that their partners were warned.
    pub subscriptions_failing: u64,
    /// Subscriptions the platform disabled in 24 hours.
    pub subscriptions_disabled_24h: u64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            dead_letter_24h: 10,
            auth_failures_24h: 50,
            rate_limit_hits_24h: 100,
            replay_rejected_24h: 20,
            latency_p90_seconds: 5.0,
            subscriptions_failing: 0,
            subscriptions_disabled_24h: 0,
        }
    }
}
