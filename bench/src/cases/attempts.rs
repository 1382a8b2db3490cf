use std::hint::black_box;
use std::time::Duration;

use onering_delivery::{
    Answer, Attempt, DatabaseTime, JudgePolicy, Lease, RetrySchedule, Rules, Snippet, Work, settle,
};

use crate::samples::{NOW_UNIX_S, delivery_id, event_id, webhook_id};
use crate::{Prepared, routine};

const SENT_AT: DatabaseTime = DatabaseTime::from_millis(NOW_UNIX_S * 1_000);

/// When each attempt of a delivery is followed by the next, without and with a wish of the receiver.
pub(super) fn schedule() -> Prepared {
    let schedule = RetrySchedule::new(8, [5, 60, 300, 900, 3_600].map(Duration::from_secs).to_vec())?;
    routine(move || {
        [1, 2, 3, 4, 5, 6, 7, 8].map(|attempt| {
            let asked = (attempt % 2 == 0).then_some(Duration::from_secs(120));
            black_box(&schedule).next(black_box(attempt), asked, black_box(0.5), SENT_AT)
        })
    })
}

/// What is written about an attempt that succeeded.
pub(super) fn delivered() -> Prepared {
    settled(Answer::status(204))
}

/// What is written about an attempt that the receiver asked to repeat.
pub(super) fn retry() -> Prepared {
    settled(Answer::Status {
        code: 503,
        retry_after: Some(Duration::from_secs(120)),
        replay_expired: false,
        snippet: Snippet::of(br#"{"error":"the database is being moved","retry":true}"#),
    })
}

fn settled(answer: Answer) -> Prepared {
    let schedule = RetrySchedule::default();
    let work = Work {
        delivery_id: delivery_id(),
        event_id: event_id(),
        webhook_id: webhook_id(),
        lease: Lease { attempts_made: 0, until: SENT_AT.plus(Duration::from_secs(60)) },
        event_type: "ring.forged".into(),
        created_at: SENT_AT.minus(Duration::from_millis(3)),
    };
    let duration = Duration::from_millis(12);
    routine(move || {
        let rules = Rules { schedule: &schedule, judge: JudgePolicy::default() };
        let attempt = Attempt { answer: answer.clone(), started_at: SENT_AT.to_utc(), duration };
        settle(black_box(&work), black_box(attempt), black_box(&rules), SENT_AT.plus(duration), 0.5)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seven_attempts_are_followed_by_another() {
        let shown = schedule().unwrap().show();
        assert_eq!(shown.matches("RetryAt").count(), 7, "{shown}");
        assert!(shown.ends_with("Exhausted]"), "{shown}");
    }

    #[test]
    fn one_is_over_and_one_is_not() {
        let shown = delivered().unwrap().show();
        assert!(shown.contains("Delivered {") && shown.contains("latency_ms: 15"), "{shown}");
        let shown = retry().unwrap().show();
        assert!(shown.contains("RetryAt {") && shown.contains(r#"error: Some("answered 503")"#), "{shown}");
    }
}
