use crate::answer::{Answer, Failure};
use crate::outcome::{JudgePolicy, Outcome, judge};

/// What an attempt says about its receiver, whatever it meant for the delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Somebody is there: it took the delivery, or refused it for good.
    Reached,
    /// Nobody was there, or not able to answer for now.
    Failed,
}

impl Reach {
    /// From an answer: what is worth another attempt is a failure, also when there is none left. `None` when the request
    /// could not even be built, which says nothing about the receiver.
    #[must_use]
    pub fn of(answer: &Answer, policy: &JudgePolicy) -> Option<Self> {
        if matches!(answer, Answer::Failed { failure: Failure::InvalidRequest, .. }) {
            return None;
        }
        Some(match judge(answer, policy) {
            Outcome::Retry { .. } => Self::Failed,
            Outcome::Delivered | Outcome::Dead | Outcome::Gone | Outcome::ReplayExpired => Self::Reached,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRICT: JudgePolicy = JudgePolicy { retry_client_errors: false };

    #[test]
    fn whoever_refuses_for_good_is_there() {
        for code in [200, 204, 302, 400, 401, 404, 410, 422] {
            assert_eq!(Reach::of(&Answer::status(code), &STRICT), Some(Reach::Reached), "{code}");
        }
        for code in [408, 409, 425, 429, 500, 502, 503, 504] {
            assert_eq!(Reach::of(&Answer::status(code), &STRICT), Some(Reach::Failed), "{code}");
        }
        let lenient = JudgePolicy { retry_client_errors: true };
        assert_eq!(Reach::of(&Answer::status(404), &lenient), Some(Reach::Failed), "its owner says: for now");
    }

    #[test]
    fn no_answer_is_a_failure_unless_nothing_could_be_sent() {
        for failure in Failure::ALL {
            let expected = (*failure != Failure::InvalidRequest).then_some(Reach::Failed);
            assert_eq!(Reach::of(&Answer::failed(*failure, ""), &STRICT), expected, "{failure}");
        }
    }
}
