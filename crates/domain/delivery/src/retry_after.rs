//! Reads `Retry-After` (RFC 9110, section 10.2.3): seconds, or one of the three forms of an HTTP date.

use std::time::Duration;

use chrono::{DateTime, NaiveDateTime, Utc};

/// The longest wait a receiver can ask for. Longer wishes are shortened to it.
pub const LONGEST: Duration = Duration::from_secs(3600);

/// The three forms of section 5.6.7: preferred, RFC 850, asctime. All are in GMT.
const DATE_FORMS: [&str; 3] = ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];

/// Longer texts are no value a server means seriously.
const MAX_LENGTH: usize = 64;

/// The wait that the header asks for, at most [`LONGEST`]; `None` when it is not understood and therefore ignored.
///
/// Absurdly large numbers are shortened like any other; a date that has passed asks for no wait. `now` is the time at
/// which the answer arrived.
#[must_use]
pub fn parse(value: &str, now: DateTime<Utc>) -> Option<Duration> {
    let value = value.trim_matches([' ', '\t']);
    if value.is_empty() || value.len() > MAX_LENGTH {
        return None;
    }
    if value.bytes().all(|byte| byte.is_ascii_digit()) {
        // Only digits: the one thing that can fail is overflow, and that is a very long wait.
        let seconds = value.parse::<u64>().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(LONGEST));
    }
    let date = DATE_FORMS.iter().find_map(|form| NaiveDateTime::parse_from_str(value, form).ok())?.and_utc();
    Some(date.signed_duration_since(now).to_std().unwrap_or(Duration::ZERO).min(LONGEST))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn now() -> DateTime<Utc> {
        "1994-11-06T08:49:00Z".parse().unwrap()
    }

    #[test]
    fn seconds() {
        for (text, seconds) in [("0", 0), ("120", 120), (" 7\t", 7), ("3600", 3600), ("3601", 3600)] {
            assert_eq!(parse(text, now()), Some(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(parse("99999999999999999999999999999999999999", now()), Some(LONGEST));
    }

    #[test]
    fn dates_in_their_three_forms() {
        for text in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            assert_eq!(parse(text, now()), Some(Duration::from_secs(37)), "{text}");
        }
        assert_eq!(parse("Fri, 31 Dec 9999 23:59:59 GMT", now()), Some(LONGEST));
        assert_eq!(parse("Thu, 01 Jan 1970 00:00:00 GMT", now()), Some(Duration::ZERO));
    }

    #[test]
    fn what_is_not_understood_is_ignored() {
        for text in ["", "  ", "-1", "+5", "1.5", "1e3", "soon", "0x10", "٣", "1994-11-06T08:49:37Z", &"9".repeat(65)]
        {
            assert_eq!(parse(text, now()), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_gives_an_hour_at_most(text in "\\PC{0,80}") {
            prop_assert!(parse(&text, now()).is_none_or(|wait| wait <= LONGEST));
        }

        #[test]
        fn any_number_gives_an_hour_at_most(digits in "[0-9]{1,60}") {
            prop_assert!(parse(&digits, now()).unwrap() <= LONGEST);
        }
    }
}
