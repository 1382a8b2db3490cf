use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// After how many days of failing a subscription's partner is warned, and after how many the platform disables it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailurePolicy {
    warn_days: Vec<u16>,
    disable_days: u16,
}

/// The days make no policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FailurePolicyError {
    /// A warning that came twice or out of order would be skipped.
    #[error("the days of the warnings must be ascending, from 1 on")]
    NotAscending,
    /// Disabling must be the last step.
    #[error("a subscription is disabled later than its last warning")]
    DisabledTooEarly,
}

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureStep {
    /// Warn its partner.
    Warn {
        /// How many warnings count as given then: more than one more where earlier ones were missed.
        warnings: u16,
    },
    /// Disable it: what it misses is held.
    Disable,
}

impl FailurePolicy {
    /// A policy, if the days make one.
    ///
    /// # Errors
    /// [`FailurePolicyError`], which says what is wrong.
    pub fn new(warn_days: Vec<u16>, disable_days: u16) -> Result<Self, FailurePolicyError> {
        if warn_days.first() == Some(&0) || !warn_days.is_sorted_by(|one, next| one < next) {
            return Err(FailurePolicyError::NotAscending);
        }
        if warn_days.last().is_some_and(|last| *last >= disable_days) || disable_days == 0 {
            return Err(FailurePolicyError::DisabledTooEarly);
        }
        Ok(Self { warn_days, disable_days })
    }

    /// How long a subscription fails before anything is due.
    #[must_use]
    pub fn first(&self) -> Duration {
        days(*self.warn_days.first().unwrap_or(&self.disable_days))
    }

    /// What is due for a subscription that has failed for so long and has had so many warnings.
    #[must_use]
    pub fn due(&self, failing_for: Duration, warnings: u16) -> Option<FailureStep> {
        if failing_for >= days(self.disable_days) {
            return Some(FailureStep::Disable);
        }
        let passed = self.warn_days.iter().filter(|warn| failing_for >= days(**warn)).count();
        let passed = u16::try_from(passed).unwrap_or(u16::MAX);
        (passed > warnings).then_some(FailureStep::Warn { warnings: passed })
    }
}

fn days(number: u16) -> Duration {
    DAY * u32::from(number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn two_warnings_and_then_the_end() {
        let policy = FailurePolicy::new(vec![1, 3], 5).unwrap();
        assert_eq!(policy.first(), DAY);
        let moment = Duration::from_secs(1);
        let warn = |warnings| Some(FailureStep::Warn { warnings });
        for (failing_for, warnings, due) in [
            (DAY - moment, 0, None),
            (DAY, 0, warn(1)),
            (DAY, 1, None),
            (3 * DAY - moment, 1, None),
            (3 * DAY, 1, warn(2)),
            (4 * DAY, 0, warn(2)),
            (5 * DAY - moment, 2, None),
            (5 * DAY, 2, Some(FailureStep::Disable)),
            (50 * DAY, 0, Some(FailureStep::Disable)),
        ] {
            assert_eq!(policy.due(failing_for, warnings), due, "{failing_for:?} after {warnings} warnings");
        }
    }

    #[test]
    fn without_warnings_there_is_only_the_end() {
        let policy = FailurePolicy::new(Vec::new(), 2).unwrap();
        assert_eq!((policy.first(), policy.due(2 * DAY - Duration::from_secs(1), 0)), (2 * DAY, None));
        assert_eq!(policy.due(2 * DAY, 0), Some(FailureStep::Disable));
    }

    #[test]
    fn days_that_make_no_policy_are_refused() {
        for warn in [vec![0, 1], vec![1, 1], vec![3, 1]] {
            assert_eq!(FailurePolicy::new(warn, 5), Err(FailurePolicyError::NotAscending));
        }
        for (warn, disable) in [(vec![1, 5], 5), (vec![7], 5), (Vec::new(), 0)] {
            assert_eq!(FailurePolicy::new(warn, disable), Err(FailurePolicyError::DisabledTooEarly));
        }
    }

    proptest! {
        #[test]
        fn a_step_that_was_taken_is_not_due_again(
            warn in prop::collection::btree_set(1_u16..50, 0..6),
            hours in 0_u32..3_000,
            warnings in 0_u16..8,
        ) {
            let policy = FailurePolicy::new(warn.into_iter().collect(), 60).unwrap();
            let failing_for = Duration::from_secs(3_600) * hours;
            match policy.due(failing_for, warnings) {
                Some(FailureStep::Warn { warnings: given }) => {
                    prop_assert!(given > warnings);
                    prop_assert_eq!(policy.due(failing_for, given), None);
                }
                Some(FailureStep::Disable) => prop_assert!(failing_for >= DAY * 60),
                None => prop_assert!(failing_for < DAY * 60),
            }
            prop_assert!(failing_for >= policy.first() || policy.due(failing_for, 0).is_none());
        }
    }
}
