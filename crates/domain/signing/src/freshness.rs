use std::time::Duration;

use crate::verify::VerifyError;

/// How far a stamp may be from the receiver's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freshness {
    /// Older stamps are refused.
    pub window: Duration,
    /// Stamps further in the future are refused: clocks differ, but not by much.
    pub ahead: Duration,
}

impl Default for Freshness {
    /// Five minutes back, 30 seconds ahead.
    fn default() -> Self {
        Self { window: Duration::from_secs(300), ahead: Duration::from_secs(30) }
    }
}

impl Freshness {
    /// The default, with another window.
    #[must_use]
    pub fn within(window: Duration) -> Self {
        Self { window, ..Self::default() }
    }

    /// Judges a stamp. Both are Unix seconds; any value is fine.
    ///
    /// # Errors
    /// When the stamp is too old or too far ahead.
    pub fn check(&self, stamp: i64, now: i64) -> Result<(), VerifyError> {
        let distance_s = stamp.abs_diff(now);
        if stamp <= now && distance_s > self.window.as_secs() {
            Err(VerifyError::TooOld { age_s: distance_s })
        } else if stamp > now && distance_s > self.ahead.as_secs() {
            Err(VerifyError::TooFarAhead { ahead_s: distance_s })
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_themselves_are_fresh() {
        let (freshness, now) = (Freshness::default(), 1_763_769_600);
        for stamp in [now - 300, now, now + 30] {
            assert_eq!(freshness.check(stamp, now), Ok(()), "{}", stamp - now);
        }
        assert_eq!(freshness.check(now - 301, now), Err(VerifyError::TooOld { age_s: 301 }));
        assert_eq!(freshness.check(now + 31, now), Err(VerifyError::TooFarAhead { ahead_s: 31 }));
    }

    #[test]
    fn absurd_stamps_do_not_overflow() {
        let freshness = Freshness::default();
        assert_eq!(freshness.check(i64::MIN, i64::MAX), Err(VerifyError::TooOld { age_s: u64::MAX }));
        assert_eq!(freshness.check(i64::MAX, i64::MIN), Err(VerifyError::TooFarAhead { ahead_s: u64::MAX }));
    }
}
