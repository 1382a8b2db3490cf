use std::time::Duration;

use crate::database_time::DatabaseTime;

/// The exclusive right to attempt a delivery until an instant of the database's clock.
///
/// Its two values are also the fence: every renewal sets a new `until` and every attempt a new count, so a statement
/// `WHERE attempt_count = … AND queued_until = …` writes nothing for whoever lost the right meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lease {
    /// Attempts made before this one: the row's `attempt_count`.
    pub attempts_made: u16,
    /// The row's `queued_until`: until then nobody else may attempt the delivery.
    pub until: DatabaseTime,
}

impl Lease {
    /// What must be left of a lease beyond the request's own time limit, so that its result can be written in time.
    pub const MARGIN: Duration = Duration::from_secs(5);
    /// What a renewed lease lasts beyond the request's own time limit, at least.
    pub const RENEWED_MARGIN: Duration = Duration::from_secs(15);

    /// How much is left; zero when it is over.
    #[must_use]
    pub fn left(&self, now: DatabaseTime) -> Duration {
        self.until.since(now)
    }

    /// Whether a request that may take `timeout` can be sent under this lease. If not, renew first.
    #[must_use]
    pub fn covers(&self, timeout: Duration, now: DatabaseTime) -> bool {
        self.left(now) >= timeout.saturating_add(Self::MARGIN)
    }

    /// How long a renewed lease lasts: `lease` is the configured length, `timeout` the subscription's time limit.
    #[must_use]
    pub fn renewal(lease: Duration, timeout: Duration) -> Duration {
        lease.max(timeout.saturating_add(Self::RENEWED_MARGIN))
    }

    /// The number of the attempt made under this lease, from 1.
    #[must_use]
    pub const fn attempt(&self) -> u16 {
        self.attempts_made.saturating_add(1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: DatabaseTime = DatabaseTime::from_millis(1_763_769_600_000);

    fn lease(seconds: u64) -> Lease {
        Lease { attempts_made: 0, until: NOW.plus(Duration::from_secs(seconds)) }
    }

    #[test]
    fn a_request_needs_its_time_limit_and_five_seconds() {
        let timeout = Duration::from_secs(10);
        assert!(lease(15).covers(timeout, NOW));
        assert!(!lease(15).covers(timeout, NOW.plus(Duration::from_micros(1))));
        assert!(!lease(30).covers(Duration::MAX, NOW));
        assert_eq!(lease(0).left(NOW.plus(timeout)), Duration::ZERO);
    }

    proptest! {
        #[test]
        fn a_renewed_lease_covers_its_request(lease in 0_u64..100_000, timeout in 0_u64..100_000, now: i32) {
            let (lease, timeout) = (Duration::from_secs(lease), Duration::from_secs(timeout));
            let now = DatabaseTime::from_millis(i64::from(now));
            let renewed = Lease { attempts_made: 0, until: now.plus(Lease::renewal(lease, timeout)) };
            prop_assert!(renewed.covers(timeout, now));
            prop_assert!(renewed.left(now) >= lease);
        }
    }
}
