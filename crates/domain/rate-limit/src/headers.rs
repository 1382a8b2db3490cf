//! The headers every answer carries. Names are lower case, as HTTP/2 wants them.

use std::ops::Range;

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

/// The five headers of one decision, their values one behind the other in one text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitHeaders {
    /// All values.
    pub text: String,
    /// Where each ends.
    ends: [usize; 5],
}

const NAMES: [&str; 5] = [LIMIT_HEADER, REMAINING_HEADER, RESET_HEADER, POLICY_HEADER, QUOTA_HEADER];
/// Enough for the numbers that limits are.
const USUAL_BYTES: usize = 96;

impl LimitHeaders {
    /// Each header's name, and where its value stands in the text.
    pub fn places(&self) -> impl Iterator<Item = (&'static str, Range<usize>)> + use<> {
        let ends = self.ends;
        NAMES
            .into_iter()
            .enumerate()
            .map(move |(at, name)| (name, at.checked_sub(1).map_or(0, |at| ends[at])..ends[at]))
    }
}

/// The headers of one decision.
#[must_use]
pub fn headers(quota: &Quota, now_unix_s: u64) -> LimitHeaders {
    let Quota { limit, remaining, reset_unix_s } = *quota;
    let mut text = String::with_capacity(USUAL_BYTES);
    let wait_s = reset_unix_s.saturating_sub(now_unix_s);
    let mut end_after = |parts: &[(&str, u64)]| {
        for (word, number) in parts {
            text.push_str(word);
            push_number(&mut text, *number);
        }
        text.len()
    };
    let ends = [
        end_after(&[("", limit)]),
        end_after(&[("", remaining)]),
        end_after(&[("", reset_unix_s)]),
        end_after(&[("\"hour\";q=", limit), (";w=", HourWindow::SECONDS)]),
        end_after(&[("\"hour\";r=", remaining), (";t=", wait_s)]),
    ];
    LimitHeaders { text, ends }
}

/// As `write!` does, in a tenth of the instructions: every answer has seven of them.
fn push_number(text: &mut String, mut number: u64) {
    let mut digits = ['0'; 20];
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = char::from(b'0' + (number % 10) as u8);
        number /= 10;
        if number == 0 {
            break;
        }
    }
    text.extend(&digits[first..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(quota: Quota, now_unix_s: u64) -> Vec<(&'static str, String)> {
        let headers = headers(&quota, now_unix_s);
        headers.places().map(|(name, place)| (name, headers.text[place].to_owned())).collect()
    }

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
        assert_eq!(shown(quota, 1_700_001_566), expected.map(|(name, value)| (name, value.to_owned())));
    }

    #[test]
    fn a_late_answer_does_not_count_below_zero() {
        let quota = Quota { limit: 1, remaining: 0, reset_unix_s: 3_600 };
        assert_eq!(shown(quota, 3_601)[4].1, "\"hour\";r=0;t=0");
    }

    #[test]
    fn the_largest_numbers_are_written_out() {
        let quota = Quota { limit: u64::MAX, remaining: 10, reset_unix_s: u64::MAX };
        assert_eq!(shown(quota, 0)[3].1, format!("\"hour\";q={};w=3600", u64::MAX));
        assert_eq!(shown(quota, 0)[4].1, format!("\"hour\";r=10;t={}", u64::MAX));
    }
}
