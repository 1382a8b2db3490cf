use std::time::Duration;

use crate::breaker::Breaker;
use crate::database_time::DatabaseTime;

/// When a breaker opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerPolicy {
    failures: u32,
    first_pause: Duration,
    longest_pause: Duration,
}

/// Why a policy cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BreakerPolicyError {
    /// It would never close, or never open.
    #[error("the number of failures must be between 1 and {}, not {given}", BreakerPolicy::MOST_FAILURES)]
    Failures {
        /// The number given.
        given: u64,
    },
    /// There would be no pause, or one without end.
    #[error("the pause must be between a second and {} seconds", BreakerPolicy::LONGEST_PAUSE.as_secs())]
    Pause,
    /// Pauses grow, they do not shrink.
    #[error("the longest pause must not be shorter than the first")]
    LongestBelowFirst,
}

impl BreakerPolicy {
    /// The most failures that may be asked for.
    pub const MOST_FAILURES: u64 = 1_000;
    /// The longest pause that may be asked for: a day.
    pub const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 3600);

    /// Opens after `failures` in a row for `first_pause`, which doubles up to `longest_pause` with each failed probe.
    ///
    /// # Errors
    /// When a number is out of range.
    pub fn new(failures: u64, first_pause: Duration, longest_pause: Duration) -> Result<Self, BreakerPolicyError> {
        let allowed = u32::try_from(failures).ok().filter(|_| (1..=Self::MOST_FAILURES).contains(&failures));
        let Some(allowed) = allowed else { return Err(BreakerPolicyError::Failures { given: failures }) };
        if first_pause < Duration::from_secs(1) || longest_pause > Self::LONGEST_PAUSE {
            return Err(BreakerPolicyError::Pause);
        }
        if longest_pause < first_pause {
            return Err(BreakerPolicyError::LongestBelowFirst);
        }
        Ok(Self { failures: allowed, first_pause, longest_pause })
    }

    /// Failures in a row that open it.
    #[must_use]
    pub const fn failures(&self) -> u32 {
        self.failures
    }

    /// How long it stays open at first.
    #[must_use]
    pub const fn first_pause(&self) -> Duration {
        self.first_pause
    }

    /// How long it stays open at most.
    #[must_use]
    pub const fn longest_pause(&self) -> Duration {
        self.longest_pause
    }

    /// How long it stays open the `opens`th time, from 1.
    #[must_use]
    pub fn pause(&self, opens: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(opens.saturating_sub(1));
        self.first_pause.saturating_mul(doubled).min(self.longest_pause)
    }

    pub(super) fn open(&self, opens: u32, now: DatabaseTime) -> Breaker {
        Breaker::Open { opens, until: now.plus(self.pause(opens)) }
    }
}

impl Default for BreakerPolicy {
    /// Five failures; a minute, doubling to a quarter of an hour.
    fn default() -> Self {
        Self { failures: 5, first_pause: Duration::from_secs(60), longest_pause: Duration::from_secs(900) }
    }
}
