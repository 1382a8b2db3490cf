//! [`Denied`]: keys whose hour is used up, remembered so that refusing them again costs no round trip.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use onering_ids::KeyId;
use onering_rate_limit::{Policy, Quota};

/// More keys than this are not remembered: the rest is refused by Redis, which is slower and no less right.
const MOST: usize = 50_000;

/// What is remembered until the window ends.
#[derive(Debug, Default)]
pub(crate) struct Denied {
    keys: HashMap<KeyId, Exhausted>,
}

#[derive(Debug, Clone, Copy)]
struct Exhausted {
    /// A changed limit makes the memory worthless.
    policy: Policy,
    quota: Quota,
    until: Instant,
}

impl Denied {
    /// Remembers that nothing remains of `quota` until this moment of the stopwatch.
    pub(crate) fn remember(&mut self, key: KeyId, policy: Policy, quota: Quota, until: Instant, now: Instant) {
        if self.keys.len() >= MOST && !self.keys.contains_key(&key) {
            self.keys.retain(|_, exhausted| now < exhausted.until);
        }
        if self.keys.len() < MOST || self.keys.contains_key(&key) {
            self.keys.insert(key, Exhausted { policy, quota, until });
        }
    }

    /// The used-up quota and how long it stays so, if that is known.
    pub(crate) fn recall(&mut self, key: KeyId, policy: Policy, now: Instant) -> Option<(Quota, Duration)> {
        let exhausted = self.keys.get(&key)?;
        let left = exhausted.until.saturating_duration_since(now);
        if left.is_zero() || exhausted.policy != policy {
            self.keys.remove(&key);
            return None;
        }
        Some((exhausted.quota, left))
    }
}

#[cfg(test)]
mod tests {
    use onering_clock::Clock;
    use uuid::Uuid;

    use super::*;

    const QUOTA: Quota = Quota { limit: 10, remaining: 0, reset_unix_s: 3600 };

    fn key(n: usize) -> KeyId {
        KeyId::from_uuid(Uuid::from_u128(n as u128))
    }

    #[test]
    fn a_key_is_remembered_until_its_hour_ends_and_for_its_policy_only() {
        let now = Clock::system().monotonic();
        let end = now + Duration::from_secs(60);
        let policy = Policy::hourly(10);
        let mut denied = Denied::default();
        denied.remember(key(1), policy, QUOTA, end, now);
        assert_eq!(denied.recall(key(2), policy, now), None);
        assert_eq!(denied.recall(key(1), policy, now), Some((QUOTA, Duration::from_secs(60))));
        assert_eq!(
            denied.recall(key(1), policy, end - Duration::from_nanos(1)),
            Some((QUOTA, Duration::from_nanos(1)))
        );
        assert_eq!(denied.recall(key(1), policy, end), None);
        denied.remember(key(1), policy, QUOTA, end, now);
        assert_eq!(denied.recall(key(1), Policy::hourly(11), now), None);
        assert_eq!(denied.recall(key(1), policy, now), None, "the limit was changed since");
    }

    #[test]
    fn memory_is_bounded_and_room_is_made_of_what_has_ended() {
        let now = Clock::system().monotonic();
        let (soon, late) = (now + Duration::from_secs(1), now + Duration::from_secs(60));
        let policy = Policy::hourly(10);
        let mut denied = Denied::default();
        for n in 0..MOST {
            denied.remember(key(n), policy, QUOTA, if n < 10 { soon } else { late }, now);
        }
        denied.remember(key(MOST), policy, QUOTA, late, now);
        assert_eq!(denied.recall(key(MOST), policy, now), None, "there is no room");
        denied.remember(key(MOST), policy, QUOTA, late, soon);
        assert!(denied.recall(key(MOST), policy, soon).is_some());
        assert_eq!(denied.keys.len(), MOST - 10 + 1);
    }
}
