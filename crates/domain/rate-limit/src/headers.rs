//! The headers every answer carries. Names are lower case, as HTTP/2 wants them.

use crate::window::{HourWindow, Quota};

/// Units of cost an hour.
pub const LIMIT_HEADER: &str = "x-ratelimit-limit";
/// Units left in this hour.
pub const REMAINING_HEADER: &str = "x-ratelimit-remaining";
/// When the next hour begins, in Unix seconds.
pub const RESET_HEADER: &str = "x-ratelimit-reset";
/// The policy in the form of the IETF draft.
pub const POLICY_HEADER: &str = "ratelimit-policy";
/// What is left, in the form of the IETF draft.
pub const QUOTA_HEADER: &str = "ratelimit";
/// `true` on answers given by one replica's own count while Redis was away.
pub const DEGRADED_HEADER: &str = "x-ratelimit-degraded";

/// The five headers of one decision, names and values.
#[must_use]
pub fn headers(quota: &Quota, now_unix_s: u64) -> [(&'static str, String); 5] {
    let Quota { limit, remaining, reset_unix_s } = *quota;
    let wait_s = reset_unix_s.saturating_sub(now_unix_s);
    [
        (LIMIT_HEADER, limit.to_string()),
        (REMAINING_HEADER, remaining.to_string()),
        (RESET_HEADER, reset_unix_s.to_string()),
        (POLICY_HEADER, format!("\"hour\";q={limit};w={}", HourWindow::SECONDS)),
        (QUOTA_HEADER, format!("\"hour\";r={remaining};t={wait_s}")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_of_the_contract() {
        let quota = Quota { limit: 100, remaining: 99, reset_unix_s: 1_700_002_800 };
        let expected = [
            ("x-ratelimit-limit", "100"),
            ("x-ratelimit-remaining", "99"),
            ("x-ratelimit-reset", "1700002800"),
            ("ratelimit-policy", "\"hour\";q=100;w=3600"),
            ("ratelimit", "\"hour\";r=99;t=1234"),
        ];
        assert_eq!(headers(&quota, 1_700_001_566), expected.map(|(name, value)| (name, value.to_owned())));
    }

    #[test]
    fn a_late_answer_does_not_count_below_zero() {
        let quota = Quota { limit: 1, remaining: 0, reset_unix_s: 3_600 };
        assert_eq!(headers(&quota, 3_601)[4].1, "\"hour\";r=0;t=0");
    }
}
