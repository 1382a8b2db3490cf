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

    /// What is due for a subscription that has failed for so long and has had so many warnings, the last one so long ago.
    ///
    /// All warnings come before the end, and the last of them as long before it as the days say: also when nothing was sent
    /// for weeks, and the failure is found old when it is first seen.
    #[must_use]
    pub fn due(&self, failing_for: Duration, warnings: u16, since_warning: Option<Duration>) -> Option<FailureStep> {
        let passed = self.warn_days.iter().filter(|warn| failing_for >= days(**warn)).count();
        let passed = u16::try_from(passed).unwrap_or(u16::MAX);
        if passed > warnings {
            return Some(FailureStep::Warn { warnings: passed });
        }
        let notice = days(self.disable_days - self.warn_days.last().copied().unwrap_or(0));
        let had_notice = self.warn_days.is_empty() || since_warning.is_none_or(|since| since >= notice);
        (failing_for >= days(self.disable_days) && had_notice).then_some(FailureStep::Disable)
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
        let (none, disable) = (Duration::ZERO, Some(FailureStep::Disable));
        for (failing_for, warnings, since_warning, due) in [
            (DAY - moment, 0, None, None),
            (DAY, 0, None, warn(1)),
            (DAY, 1, Some(none), None),
            (3 * DAY - moment, 1, Some(2 * DAY - moment), None),
            (3 * DAY, 1, Some(2 * DAY), warn(2)),
            (4 * DAY, 0, None, warn(2)),
            (5 * DAY - moment, 2, Some(2 * DAY - moment), None),
            (5 * DAY, 2, Some(2 * DAY), disable),
            // Nothing was sent for long: it is warned first, and has the last days that everybody has.
            (50 * DAY, 0, None, warn(2)),
            (50 * DAY, 1, Some(49 * DAY), warn(2)),
            (50 * DAY, 2, Some(none), None),
            (52 * DAY - moment, 2, Some(2 * DAY - moment), None),
            (52 * DAY, 2, Some(2 * DAY), disable),
            // When it was warned is not known: by a worker of an older version.
            (52 * DAY, 2, None, disable),
        ] {
            let found = policy.due(failing_for, warnings, since_warning);
            assert_eq!(found, due, "{failing_for:?} after {warnings} warnings, {since_warning:?} ago");
        }
    }

    #[test]
    fn without_warnings_there_is_only_the_end() {
        let policy = FailurePolicy::new(Vec::new(), 2).unwrap();
        assert_eq!((policy.first(), policy.due(2 * DAY - Duration::from_secs(1), 0, None)), (2 * DAY, None));
        assert_eq!(policy.due(2 * DAY, 0, None), Some(FailureStep::Disable));
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
            since_warning in prop::option::of(0_u32..3_000),
        ) {
            let warnings_there_are = warn.len();
            let policy = FailurePolicy::new(warn.into_iter().collect(), 60).unwrap();
            let since_warning = since_warning.map(|hours| Duration::from_secs(3_600) * hours);
            let failing_for = Duration::from_secs(3_600) * hours;
            match policy.due(failing_for, warnings, since_warning) {
                Some(FailureStep::Warn { warnings: given }) => {
                    prop_assert!(given > warnings);
                    prop_assert_eq!(policy.due(failing_for, given, Some(Duration::ZERO)), None);
                }
                Some(FailureStep::Disable) => {
                    prop_assert!(failing_for >= DAY * 60 && usize::from(warnings) >= warnings_there_are);
                }
                None => prop_assert!(failing_for < DAY * 60 || since_warning.is_some()),
            }
            prop_assert!(failing_for >= policy.first() || policy.due(failing_for, 0, None).is_none());
        }
    }
}
