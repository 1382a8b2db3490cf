//! After Postgres was away: results first.
//!
//! While it is away leases run out, and with them what keeps a delivery from being sent again although its result only
//! waits to be written. A lease that is over is its holder's until somebody takes the row; so after an outage that leases
//! may not have outlasted, nothing is swept and no ended lease renewed until every worker had time to write its results. A
//! statement that was sent before and is only heard afterwards takes nothing: it says until when it is good.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use onering_delivery::Lease;

/// Longer than the longest pause between two tries to write results.
const RESULTS_FIRST: Duration = Duration::from_secs(4);

/// When Postgres was last seen, and until when results go first.
#[derive(Debug)]
pub(crate) struct Recovery(Mutex<State>);

#[derive(Debug, Clone, Copy)]
struct State {
    seen: Instant,
    results_until: Instant,
}

impl Recovery {
    /// Postgres answers at this moment.
    #[must_use]
    pub(crate) const fn new(now: Instant) -> Self {
        Self(Mutex::new(State { seen: now, results_until: now }))
    }

    /// Notes that Postgres answers. The sweep does, each second.
    pub(crate) fn seen(&self, now: Instant) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A lease is only sent under with this much to spare, so it outlasts a shorter absence.
        if now.saturating_duration_since(state.seen) > Lease::MARGIN {
            state.results_until = now + RESULTS_FIRST;
        }
        state.seen = now;
    }

    /// Whether deliveries whose lease is over may be taken.
    #[must_use]
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        let state = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        now >= state.results_until && now.saturating_duration_since(state.seen) <= Lease::MARGIN
    }
}

#[cfg(test)]
mod tests {
    use onering_clock::Clock;

    use super::*;

    #[test]
    fn a_short_absence_delays_nothing_and_a_long_one_does() {
        let start = Clock::system().monotonic();
        let at = |seconds| start + Duration::from_secs(seconds);
        let recovery = Recovery::new(start);
        assert!(recovery.is_over(at(0)));
        recovery.seen(at(5));
        assert!(recovery.is_over(at(5)));
        assert!(!recovery.is_over(at(11)), "it may be away");
        recovery.seen(at(20));
        assert!(!recovery.is_over(at(20)));
        recovery.seen(at(22));
        assert!(!recovery.is_over(at(23)));
        recovery.seen(at(24));
        assert!(recovery.is_over(at(24)));
    }
}
