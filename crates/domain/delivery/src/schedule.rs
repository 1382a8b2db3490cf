use std::time::Duration;

use crate::database_time::DatabaseTime;
use crate::retry_after;

/// How often a delivery is tried, and how long it waits in between.
///
/// Entry n of the backoff is the wait after failed attempt n; the last entry repeats. Up to 10 % is added to spread
/// the load, never subtracted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetrySchedule {
    max_attempts: u16,
    backoff: Vec<Duration>,
}

/// What follows a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Try again then.
    RetryAt(DatabaseTime),
    /// That was the last attempt.
    Exhausted,
}

/// Why a schedule cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// The number of attempts is out of range.
    #[error("the number of attempts must be between 1 and {}, not {given}", RetrySchedule::MOST_ATTEMPTS)]
    Attempts {
        /// The number given.
        given: u64,
    },
    /// There is no entry, or there are too many.
    #[error("the backoff must have between 1 and {} entries, not {given}", RetrySchedule::MOST_ENTRIES)]
    Entries {
        /// The number of entries given.
        given: usize,
    },
    /// An entry is too long.
    #[error("entry {position} of the backoff is longer than {} seconds", RetrySchedule::LONGEST_ENTRY.as_secs())]
    Entry {
        /// Which entry, from 1.
        position: usize,
    },
}

impl RetrySchedule {
    /// The most attempts a delivery may have.
    pub const MOST_ATTEMPTS: u16 = 1000;
    /// The most entries a backoff may have.
    pub const MOST_ENTRIES: usize = 100;
    /// The longest entry: a week.
    pub const LONGEST_ENTRY: Duration = Duration::from_secs(7 * 24 * 3600);

    /// A schedule of `max_attempts` in all, with these waits in between.
    ///
    /// # Errors
    /// When a number is out of range.
    pub fn new(max_attempts: u64, backoff: Vec<Duration>) -> Result<Self, ScheduleError> {
        let attempts = u16::try_from(max_attempts).ok().filter(|given| (1..=Self::MOST_ATTEMPTS).contains(given));
        let Some(max_attempts) = attempts else {
            return Err(ScheduleError::Attempts { given: max_attempts });
        };
        if backoff.is_empty() || backoff.len() > Self::MOST_ENTRIES {
            return Err(ScheduleError::Entries { given: backoff.len() });
        }
        if let Some(index) = backoff.iter().position(|entry| *entry > Self::LONGEST_ENTRY) {
            return Err(ScheduleError::Entry { position: index + 1 });
        }
        Ok(Self { max_attempts, backoff })
    }

    /// Attempts in all, the first included.
    #[must_use]
    pub const fn max_attempts(&self) -> u16 {
        self.max_attempts
    }

    /// The waits, at least one.
    #[must_use]
    pub fn backoff(&self) -> &[Duration] {
        &self.backoff
    }

    /// The wait after failed attempt `attempt` (from 1), before jitter.
    #[must_use]
    pub fn entry(&self, attempt: u16) -> Duration {
        let index = usize::from(attempt.max(1)) - 1;
        self.backoff[index.min(self.backoff.len() - 1)]
    }

    /// What follows failed attempt `attempt` (from 1).
    ///
    /// `retry_after` is the receiver's wish: it only lengthens the wait, and counts for an hour at most. `jitter` is a
    /// random number in `[0, 1)`; anything else is taken as the nearest bound.
    #[must_use]
    pub fn next(&self, attempt: u16, retry_after: Option<Duration>, jitter: f64, now: DatabaseTime) -> Next {
        if attempt >= self.max_attempts {
            return Next::Exhausted;
        }
        let entry = self.entry(attempt);
        let jitter = if jitter.is_nan() { 0.0 } else { jitter.clamp(0.0, 1.0) };
        let spread = entry.saturating_add(entry.mul_f64(jitter / 10.0));
        let asked = retry_after.unwrap_or(Duration::ZERO).min(retry_after::LONGEST);
        Next::RetryAt(now.plus(spread.max(asked)))
    }
}

impl Default for RetrySchedule {
    /// Three attempts; waits of 1, 5 and 15 minutes, the last of which counts once more attempts are allowed.
    fn default() -> Self {
        Self { max_attempts: 3, backoff: [60, 300, 900].map(Duration::from_secs).to_vec() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: DatabaseTime = DatabaseTime::from_millis(1_763_769_600_000);

    fn wait(schedule: &RetrySchedule, attempt: u16, retry_after: Option<Duration>, jitter: f64) -> Option<Duration> {
        match schedule.next(attempt, retry_after, jitter, NOW) {
            Next::RetryAt(at) => Some(at.since(NOW)),
            Next::Exhausted => None,
        }
    }

    #[test]
    fn the_default_waits_one_then_five_minutes_and_then_gives_up() {
        let schedule = RetrySchedule::default();
        assert_eq!(wait(&schedule, 1, None, 0.0), Some(Duration::from_secs(60)));
        assert_eq!(wait(&schedule, 2, None, 0.0), Some(Duration::from_secs(300)));
        assert_eq!(wait(&schedule, 3, None, 0.0), None);
        assert_eq!(RetrySchedule::new(3, schedule.backoff().to_vec()), Ok(schedule));
    }

    #[test]
    fn the_third_entry_counts_with_more_attempts_and_repeats() {
        let schedule = RetrySchedule::new(6, RetrySchedule::default().backoff().to_vec()).unwrap();
        for attempt in [3, 4, 5] {
            assert_eq!(wait(&schedule, attempt, None, 0.0), Some(Duration::from_secs(900)), "{attempt}");
        }
        assert_eq!(wait(&schedule, 6, None, 0.0), None);
    }

    #[test]
    fn retry_after_lengthens_never_shortens_and_counts_for_an_hour() {
        let schedule = RetrySchedule::default();
        for (asked, seconds) in [(0, 60), (59, 60), (61, 61), (3600, 3600), (3601, 3600), (u64::MAX, 3600)] {
            let asked = Some(Duration::from_secs(asked));
            assert_eq!(wait(&schedule, 1, asked, 0.0), Some(Duration::from_secs(seconds)));
        }
        assert_eq!(wait(&schedule, 3, Some(Duration::from_secs(5)), 0.0), None, "a wish buys no attempt");
    }

    #[test]
    fn a_jitter_out_of_range_is_taken_as_the_nearest_bound() {
        let schedule = RetrySchedule::default();
        for (jitter, millis) in [
            (0.5, 63_000),
            (1.0, 66_000),
            (7.0, 66_000),
            (f64::INFINITY, 66_000),
            (-1.0, 60_000),
            (f64::NEG_INFINITY, 60_000),
            (f64::NAN, 60_000),
        ] {
            assert_eq!(wait(&schedule, 1, None, jitter), Some(Duration::from_millis(millis)), "{jitter}");
        }
    }

    #[test]
    fn schedules_that_cannot_be_used() {
        let minute = vec![Duration::from_secs(60)];
        assert_eq!(RetrySchedule::new(0, minute.clone()), Err(ScheduleError::Attempts { given: 0 }));
        assert_eq!(RetrySchedule::new(65_537, minute.clone()), Err(ScheduleError::Attempts { given: 65_537 }));
        assert_eq!(RetrySchedule::new(3, Vec::new()), Err(ScheduleError::Entries { given: 0 }));
        assert_eq!(RetrySchedule::new(3, vec![Duration::ZERO; 101]), Err(ScheduleError::Entries { given: 101 }));
        let endless = vec![minute[0], Duration::MAX];
        let refused = RetrySchedule::new(3, endless).unwrap_err();
        assert_eq!(refused.to_string(), "entry 2 of the backoff is longer than 604800 seconds");
    }

    proptest! {
        #[test]
        fn never_earlier_than_the_entry_and_never_much_later(
            max_attempts in 1_u64..=1000,
            backoff in prop::collection::vec(0_u64..=604_800, 1..=100),
            attempt: u16,
            asked in prop::option::of(any::<u64>()),
            jitter in prop::num::f64::ANY,
            now: i64,
        ) {
            let backoff: Vec<_> = backoff.into_iter().map(Duration::from_secs).collect();
            let schedule = RetrySchedule::new(max_attempts, backoff).unwrap();
            let now = DatabaseTime::from_micros(now);
            match schedule.next(attempt, asked.map(Duration::from_secs), jitter, now) {
                Next::Exhausted => prop_assert!(u64::from(attempt) >= max_attempts),
                Next::RetryAt(at) => {
                    let entry = schedule.entry(attempt);
                    prop_assert!(u64::from(attempt) < max_attempts);
                    prop_assert!(at >= now.plus(entry));
                    prop_assert!(at <= now.plus((entry + entry / 10).max(retry_after::LONGEST)));
                }
            }
        }
    }
}
