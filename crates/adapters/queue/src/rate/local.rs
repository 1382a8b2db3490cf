//! [`LocalLimits`]: what one process admits by itself while Redis does not answer.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, PoisonError};

use onering_ids::KeyId;
use onering_rate_limit::{Cost, Outcome, Policy, Window};

const HOUR_MS: u64 = 3_600_000;

/// The limits of one process, shared by all its limiters: a replica without Redis admits the full limit once, not once
/// for each of its threads.
#[derive(Debug, Default)]
pub struct LocalLimits {
    /// How far Redis' clock was ahead of this process's when last heard, so that the hour changes when it does there.
    ahead_ms: AtomicI64,
    windows: Mutex<Windows>,
}

#[derive(Debug, Default)]
struct Windows {
    hour: u64,
    by_key: HashMap<KeyId, Window>,
}

impl LocalLimits {
    /// Limits of which nothing is taken.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes from this process's own window. `unix_ms` is this process's clock.
    pub(crate) fn take(&self, key: KeyId, policy: Policy, cost: Cost, unix_ms: u64) -> Outcome {
        let now_ms = self.redis_ms(unix_ms);
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if windows.hour != now_ms / HOUR_MS {
            // What was taken in another hour says nothing any more: this is what bounds the map.
            windows.hour = now_ms / HOUR_MS;
            windows.by_key.clear();
        }
        windows.by_key.entry(key).or_default().take(policy, cost, now_ms)
    }

    /// Redis' clock, as well as it is known.
    pub(crate) fn redis_ms(&self, unix_ms: u64) -> u64 {
        unix_ms.saturating_add_signed(self.ahead_ms.load(Ordering::Relaxed))
    }

    /// Learns Redis' clock from an answer.
    pub(crate) fn learn_redis_ms(&self, redis_ms: u64, unix_ms: u64) {
        let ahead = i64::try_from(i128::from(redis_ms) - i128::from(unix_ms)).unwrap_or(0);
        self.ahead_ms.store(ahead, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 472_222 * HOUR_MS;

    #[test]
    fn the_hour_begins_when_it_does_for_redis() {
        let local = LocalLimits::new();
        let take = |unix_ms| local.take(KeyId::floor(1), Policy::hourly(1), Cost::ONE, unix_ms).is_admitted();
        assert!(take(HOUR));
        assert!(!take(HOUR + HOUR_MS - 500));
        local.learn_redis_ms(HOUR + 1_000, HOUR);
        assert!(take(HOUR + HOUR_MS - 500), "by Redis' clock the next hour has begun");
        assert!(!take(HOUR + HOUR_MS + 500));
    }

    #[test]
    fn past_hours_are_forgotten() {
        let local = LocalLimits::new();
        for n in 0..100 {
            local.take(KeyId::floor(n), Policy::hourly(1), Cost::ONE, HOUR);
        }
        local.take(KeyId::floor(1), Policy::hourly(1), Cost::ONE, HOUR + HOUR_MS);
        assert_eq!(local.windows.lock().unwrap().by_key.len(), 1);
    }
}
