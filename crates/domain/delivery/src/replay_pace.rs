use std::time::Duration;

use crate::database_time::DatabaseTime;

/// Deliveries a replay makes in a second, at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplayRate(u32);

/// The rate is out of range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be from 1 to {}", ReplayRate::MAX)]
pub struct ReplayRateError;

impl ReplayRate {
    /// The highest rate.
    pub const MAX: u32 = 10_000;

    /// Deliveries a second.
    #[must_use]
    pub const fn per_second(self) -> u32 {
        self.0
    }

    /// The most one step makes: a tenth of a second's worth, so that a slow replay flows and a fast one stays in statements
    /// of a size that hold nobody up.
    const fn step(self) -> u32 {
        let tenth = self.0 / 10;
        if tenth == 0 {
            1
        } else if tenth > LARGEST_STEP {
            LARGEST_STEP
        } else {
            tenth
        }
    }

    /// How long so many take, rounded up.
    fn time_for(self, deliveries: u32) -> Duration {
        Duration::from_micros((u64::from(deliveries) * SECOND_US).div_ceil(u64::from(self.0)))
    }
}

impl Default for ReplayRate {
    fn default() -> Self {
        Self(100)
    }
}

impl TryFrom<u32> for ReplayRate {
    type Error = ReplayRateError;

    fn try_from(per_second: u32) -> Result<Self, ReplayRateError> {
        if (1..=Self::MAX).contains(&per_second) { Ok(Self(per_second)) } else { Err(ReplayRateError) }
    }
}

const SECOND_US: u64 = 1_000_000;
const LARGEST_STEP: u32 = 500;
/// What a replay may catch up after a pause. A worker that was killed leaves a gap of seconds; the receivers' part in that
/// is not to get all of it at once.
const MOST_SAVED: Duration = Duration::from_secs(1);
/// A replay looks at its row at least this often: whether it was cancelled, and to keep its lease.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// The token bucket of a replay, as its row keeps it: up to which instant of the database's clock the rate is used up. It is
/// the same whichever worker goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplayPace {
    /// Deliveries a second.
    pub rate: ReplayRate,
    /// Until when the rate is used up.
    pub used_until: DatabaseTime,
}

impl ReplayPace {
    /// How many deliveries the next step may make.
    #[must_use]
    pub fn allowance(&self, now: DatabaseTime) -> u32 {
        let saved = u64::try_from(now.since(self.start(now)).as_micros()).unwrap_or(u64::MAX);
        let allowed = saved.saturating_mul(u64::from(self.rate.0)) / SECOND_US;
        u32::try_from(allowed).unwrap_or(u32::MAX).min(LARGEST_STEP)
    }

    /// The bucket after a step that made so many.
    #[must_use]
    pub fn spend(&self, deliveries: u32, now: DatabaseTime) -> Self {
        Self { used_until: self.start(now).plus(self.rate.time_for(deliveries)), ..*self }
    }

    /// How long to wait before the next step: until a step's worth may be made, and not longer than a cancelled replay may
    /// go unnoticed.
    #[must_use]
    pub fn pause(&self, now: DatabaseTime) -> Duration {
        let ready = self.used_until.plus(self.rate.time_for(self.rate.step()));
        ready.since(now).min(LONGEST_PAUSE)
    }

    fn start(&self, now: DatabaseTime) -> DatabaseTime {
        self.used_until.max(now.minus(MOST_SAVED))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: DatabaseTime = DatabaseTime::from_millis(1_763_769_600_000);

    fn pace(per_second: u32) -> ReplayPace {
        ReplayPace { rate: ReplayRate::try_from(per_second).unwrap(), used_until: START }
    }

    #[test]
    fn rates_are_bounded() {
        assert_eq!(ReplayRate::try_from(0), Err(ReplayRateError));
        assert_eq!(ReplayRate::try_from(10_001).unwrap_err().to_string(), "must be from 1 to 10000");
        assert_eq!(ReplayRate::default().per_second(), 100);
    }

    #[test]
    fn what_is_saved_is_allowed_and_then_used_up() {
        let pace = pace(100);
        let at = |ms| START.plus(Duration::from_millis(ms));
        assert_eq!((pace.allowance(START), pace.allowance(at(9)), pace.allowance(at(100))), (0, 0, 10));
        let spent = pace.spend(10, at(100));
        assert_eq!((spent.used_until, spent.allowance(at(100))), (at(100), 0));
        // What a step did not need stays for the next one.
        assert_eq!(pace.spend(4, at(100)).allowance(at(100)), 6);
        assert_eq!(pace.allowance(at(60_000)), 100, "a second's worth and not more");
        assert_eq!(pace.spend(0, at(60_000)).used_until, at(59_000));
    }

    #[test]
    fn a_slow_one_waits_for_one_and_a_fast_one_for_a_batch() {
        assert_eq!(pace(100).pause(START), Duration::from_millis(100));
        assert_eq!(pace(10_000).pause(START), Duration::from_millis(50));
        assert_eq!(pace(20).pause(START), Duration::from_millis(100));
        assert_eq!(pace(1).pause(START), LONGEST_PAUSE);
        assert_eq!(pace(1).pause(START.plus(Duration::from_millis(990))), Duration::from_millis(10));
        assert_eq!(pace(100).pause(START.plus(Duration::from_secs(9))), Duration::ZERO);
    }

    proptest! {
        /// Steps at any times, taking any part of what they may: never more than the rate and a second's worth on top.
        #[test]
        fn the_rate_is_never_exceeded(
            per_second in 1..=ReplayRate::MAX,
            steps in prop::collection::vec((0..3_000_000_u64, 0.0..=1.0_f64), 1..60),
        ) {
            let mut pace = pace(per_second);
            let (mut elapsed_us, mut made) = (0, 0);
            for (wait_us, part) in steps {
                elapsed_us += wait_us;
                let now = START.plus(Duration::from_micros(elapsed_us));
                let allowed = pace.allowance(now);
                let taken = (f64::from(allowed) * part) as u32;
                pace = pace.spend(taken, now);
                made += u64::from(taken);
                prop_assert!(allowed <= LARGEST_STEP);
                prop_assert!(pace.used_until <= now, "nothing is borrowed from the future");
                prop_assert!(made * SECOND_US <= u64::from(per_second) * (elapsed_us + SECOND_US));
            }
        }

        /// A worker that waits as it is told reaches the rate.
        #[test]
        fn the_rate_is_reached(per_second in 1..=ReplayRate::MAX) {
            let mut pace = pace(per_second);
            let (mut now, mut made) = (START, 0);
            while now.since(START) < Duration::from_secs(20) {
                now = now.plus(pace.pause(now));
                let allowed = pace.allowance(now);
                pace = pace.spend(allowed, now);
                made += u64::from(allowed);
            }
            prop_assert!(made * 100 >= u64::from(per_second) * 20 * 94, "{} instead of {}", made, per_second * 20);
        }
    }
}
