use std::time::Duration;

use crate::answer::{Answer, Failure};
use crate::text_enum::text_enum;

/// What an answer means for its delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver has it.
    Delivered,
    /// Try again while attempts are left.
    Retry {
        /// The wait the receiver asked for, as sent: the schedule caps it.
        retry_after: Option<Duration>,
    },
    /// Refused for good.
    Dead,
    /// The receiver is gone for good (410): the subscription is disabled as well.
    Gone,
    /// The receiver finds the event too old.
    ReplayExpired,
}

/// A subscription's say in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct JudgePolicy {
    /// Retries 4xx answers that otherwise end a delivery. 410 stays final.
    pub retry_client_errors: bool,
}

text_enum! {
    /// What an attempt led to, as the attempt log names it.
    AttemptOutcome("attempt outcome") {
        /// The receiver has it.
        Delivered = "DELIVERED",
        /// Failed; another attempt is due.
        Retry = "RETRY",
        /// Failed, and given up.
        Dead = "DEAD",
        /// Failed with 410, and the subscription was disabled.
        Gone = "GONE",
        /// Too old for the receiver.
        ReplayExpired = "REPLAY_EXPIRED",
    }
}

/// The table of answers: total over every status and every failure.
///
/// `X-Webhook-Error: REPLAY_EXPIRED` outranks the status. Statuses that no server should end a request with (1xx, 600
/// and above) say as little as no answer at all, and are retried like one.
#[must_use]
pub fn judge(answer: &Answer, policy: &JudgePolicy) -> Outcome {
    match answer {
        Answer::Status { replay_expired: true, .. } => Outcome::ReplayExpired,
        Answer::Status { code, retry_after, .. } => {
            let retry = Outcome::Retry { retry_after: *retry_after };
            match code {
                200..=299 => Outcome::Delivered,
                410 => Outcome::Gone,
                408 | 409 | 425 | 429 => retry,
                400..=499 if policy.retry_client_errors => retry,
                300..=499 => Outcome::Dead,
                _ => retry,
            }
        }
        Answer::Failed { failure, .. } => match failure {
            // The same request cannot be built the next time either.
            Failure::InvalidRequest => Outcome::Dead,
            // A refused address is retried: names resolve differently from one minute to the next, and while the guard
            // refuses, nothing is sent.
            Failure::Timeout
            | Failure::Connect
            | Failure::Tls
            | Failure::Dns
            | Failure::AddressRefused
            | Failure::InvalidResponse => Outcome::Retry { retry_after: None },
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::snippet::Snippet;

    const STRICT: JudgePolicy = JudgePolicy { retry_client_errors: false };
    const LENIENT: JudgePolicy = JudgePolicy { retry_client_errors: true };
    const RETRY: Outcome = Outcome::Retry { retry_after: None };

    fn expected(code: u16) -> Outcome {
        match code {
            200..=299 => Outcome::Delivered,
            408 | 409 | 425 | 429 | 100..=199 | 500..=999 => RETRY,
            410 => Outcome::Gone,
            300..=499 => Outcome::Dead,
            _ => unreachable!("three digits"),
        }
    }

    #[test]
    fn the_table_over_every_status() {
        for code in 100..=999 {
            let answer = Answer::status(code);
            assert_eq!(judge(&answer, &STRICT), expected(code), "{code}");
            let opted_in = if (400..500).contains(&code) && code != 410 { RETRY } else { expected(code) };
            assert_eq!(judge(&answer, &LENIENT), opted_in, "{code} with retries of client errors");
        }
    }

    #[test]
    fn the_expiry_header_outranks_every_status() {
        for code in 100..=999 {
            let answer = Answer::Status { code, retry_after: None, replay_expired: true, snippet: Snippet::default() };
            assert_eq!(judge(&answer, &LENIENT), Outcome::ReplayExpired, "{code}");
        }
    }

    #[test]
    fn only_what_can_never_work_is_not_tried_again() {
        for failure in Failure::ALL {
            let expected = if *failure == Failure::InvalidRequest { Outcome::Dead } else { RETRY };
            assert_eq!(judge(&Answer::failed(*failure, "cause"), &STRICT), expected, "{failure}");
        }
    }

    proptest! {
        #[test]
        fn any_number_is_judged_and_a_wish_is_kept(code: u16, seconds: u64, retry_client_errors: bool) {
            let retry_after = Some(Duration::from_secs(seconds));
            let answer = Answer::Status { code, retry_after, replay_expired: false, snippet: Snippet::default() };
            match judge(&answer, &JudgePolicy { retry_client_errors }) {
                Outcome::Retry { retry_after: kept } => prop_assert_eq!(kept, retry_after),
                Outcome::Delivered => prop_assert!((200..300).contains(&code)),
                Outcome::Gone => prop_assert_eq!(code, 410),
                Outcome::Dead => prop_assert!((300..500).contains(&code)),
                Outcome::ReplayExpired => prop_assert!(false, "there was no such header"),
            }
        }
    }
}
