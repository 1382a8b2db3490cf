use std::time::Duration;

use chrono::{DateTime, Utc};
use onering_ids::{DeliveryId, SubscriptionId};

use crate::answer::Answer;
use crate::database_time::DatabaseTime;
use crate::holding::HeldReason;
use crate::lease::Lease;
use crate::outcome::{AttemptOutcome, JudgePolicy, Outcome, judge};
use crate::schedule::{Next, RetrySchedule};
use crate::transition::Transition;
use crate::work::Work;

/// What is to be written about one delivery: plain data for the one statement that settles a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// The delivery.
    pub delivery_id: DeliveryId,
    /// Its subscription.
    pub webhook_id: SubscriptionId,
    /// The fence: nothing is written unless the row still has these values.
    pub lease: Lease,
    /// How the row changes.
    pub transition: Transition,
    /// The attempt that led to it; `None` when nothing was sent.
    pub attempt: Option<AttemptLog>,
}

/// One attempt, as its log row tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptLog {
    /// From 1.
    pub attempt: u16,
    /// What it led to.
    pub outcome: AttemptOutcome,
    /// HTTP status; `None` when there was no answer.
    pub status_code: Option<u16>,
    /// Class of the failure and its cause; `None` after a success.
    pub error: Option<String>,
    /// The beginning of the answer's body.
    pub response_body: Option<String>,
    /// When the request was sent, by the database's clock.
    pub started_at: DateTime<Utc>,
    /// How long the attempt took.
    pub duration_ms: u32,
}

/// One attempt that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// What it brought.
    pub answer: Answer,
    /// When the request was sent, by the database's clock.
    pub started_at: DateTime<Utc>,
    /// How long it took.
    pub duration: Duration,
}

/// What decides besides the answer.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// When to try again.
    pub schedule: &'a RetrySchedule,
    /// The subscription's say.
    pub judge: JudgePolicy,
}

/// Turns one attempt's answer into what is to be written.
///
/// `now` is the database's time at the end of the attempt, `jitter` a random number in `[0, 1)`.
#[must_use]
pub fn settle(work: &Work, attempt: Attempt, rules: &Rules<'_>, now: DatabaseTime, jitter: f64) -> Settlement {
    let number = work.lease.attempt();
    let (transition, outcome) = match judge(&attempt.answer, &rules.judge) {
        Outcome::Delivered => {
            let latency_ms = whole_millis(now.since(work.created_at));
            (Transition::Delivered { at: now, latency_ms }, AttemptOutcome::Delivered)
        }
        Outcome::Retry { retry_after } => match rules.schedule.next(number, retry_after, jitter, now) {
            Next::RetryAt(at) => (Transition::RetryAt { at }, AttemptOutcome::Retry),
            Next::Exhausted => (Transition::Dead { at: now }, AttemptOutcome::Dead),
        },
        Outcome::Dead => (Transition::Dead { at: now }, AttemptOutcome::Dead),
        Outcome::Gone => (Transition::Gone { at: now }, AttemptOutcome::Gone),
        Outcome::ReplayExpired => (Transition::ReplayExpired { at: now }, AttemptOutcome::ReplayExpired),
    };
    let log = AttemptLog {
        attempt: number,
        outcome,
        status_code: attempt.answer.status_code(),
        error: (outcome != AttemptOutcome::Delivered).then(|| attempt.answer.describe()),
        response_body: match attempt.answer {
            Answer::Status { snippet, .. } => snippet.into_non_empty(),
            Answer::Failed { .. } => None,
        },
        started_at: attempt.started_at,
        duration_ms: whole_millis(attempt.duration),
    };
    Settlement { attempt: Some(log), ..Settlement::unattempted(work, transition) }
}

impl Settlement {
    /// Not to be sent for now.
    #[must_use]
    pub fn hold(work: &Work, reason: HeldReason) -> Self {
        Self::unattempted(work, Transition::Hold { reason })
    }

    /// Not to be sent before `until`.
    #[must_use]
    pub fn defer(work: &Work, until: DatabaseTime) -> Self {
        Self::unattempted(work, Transition::Defer { until })
    }

    /// Its subscription is gone.
    #[must_use]
    pub fn cancel(work: &Work, now: DatabaseTime) -> Self {
        Self::unattempted(work, Transition::Cancel { at: now })
    }

    /// Over the subscription's age limit before it could be sent.
    #[must_use]
    pub fn expire(work: &Work, now: DatabaseTime) -> Self {
        Self::unattempted(work, Transition::ReplayExpired { at: now })
    }

    /// The row's `attempt_count` afterwards.
    #[must_use]
    pub const fn attempts_made(&self) -> u16 {
        match &self.attempt {
            Some(log) => log.attempt,
            None => self.lease.attempts_made,
        }
    }

    const fn unattempted(work: &Work, transition: Transition) -> Self {
        Self {
            delivery_id: work.delivery_id,
            webhook_id: work.webhook_id,
            lease: work.lease,
            transition,
            attempt: None,
        }
    }
}

/// Kept within the `integer` columns they go to.
fn whole_millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis().min(i32::MAX as u128)).unwrap_or(u32::MAX)
}

#[cfg(test)]
pub(crate) mod samples {
    use onering_ids::{DeliveryId, EventId, SubscriptionId};
    use uuid::Uuid;

    use crate::{DatabaseTime, Lease, Work};

    pub(crate) fn work(attempts_made: u16) -> Work {
        let created_at = DatabaseTime::from_millis(1_763_769_600_000);
        Work {
            delivery_id: DeliveryId::from_uuid(Uuid::from_u128(1)),
            event_id: EventId::from_uuid(Uuid::from_u128(2)),
            webhook_id: SubscriptionId::from_uuid(Uuid::from_u128(3)),
            lease: Lease { attempts_made, until: created_at.plus(std::time::Duration::from_secs(30)) },
            event_type: "ring.forged".into(),
            created_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::samples::work;
    use super::*;
    use crate::answer::Failure;
    use crate::snippet::Snippet;

    fn attempt(answer: Answer) -> Attempt {
        let started_at = "2026-11-22T00:00:00Z".parse().unwrap();
        Attempt { answer, started_at, duration: Duration::from_micros(12_345) }
    }

    fn settled(attempts_made: u16, answer: Answer) -> (Settlement, DatabaseTime) {
        let work = work(attempts_made);
        let now = work.created_at.plus(Duration::from_millis(250));
        let rules = Rules { schedule: &RetrySchedule::default(), judge: JudgePolicy::default() };
        (settle(&work, attempt(answer), &rules, now, 0.0), now)
    }

    #[test]
    fn success_is_timed_from_acceptance() {
        let (settlement, now) = settled(0, Answer::status(204));
        assert_eq!(settlement.transition, Transition::Delivered { at: now, latency_ms: 250 });
        assert_eq!(settlement.attempts_made(), 1);
        let log = settlement.attempt.unwrap();
        assert_eq!((log.attempt, log.outcome, log.status_code), (1, AttemptOutcome::Delivered, Some(204)));
        assert_eq!((log.error, log.response_body, log.duration_ms), (None, None, 12));
    }

    #[test]
    fn three_failures_end_a_delivery() {
        let (first, now) = settled(0, Answer::status(503));
        assert_eq!(first.transition, Transition::RetryAt { at: now.plus(Duration::from_secs(60)) });
        let (second, now) = settled(1, Answer::failed(Failure::Timeout, "after 10 s"));
        assert_eq!(second.transition, Transition::RetryAt { at: now.plus(Duration::from_secs(300)) });
        let (third, now) = settled(2, Answer::status(503));
        assert_eq!(third.transition, Transition::Dead { at: now });
        let log = third.attempt.unwrap();
        assert_eq!((log.attempt, log.outcome), (3, AttemptOutcome::Dead));
        assert_eq!(log.error.as_deref(), Some("answered 503"));
        assert_eq!(second.attempt.unwrap().error.as_deref(), Some("timeout: after 10 s"));
    }

    #[test]
    fn gone_and_expired_are_their_own_ends() {
        let (gone, now) = settled(0, Answer::status(410));
        assert_eq!(gone.transition, Transition::Gone { at: now });
        let snippet = Snippet::of(b"too old");
        let (expired, now) = settled(0, Answer::Status { code: 409, retry_after: None, replay_expired: true, snippet });
        assert_eq!(expired.transition, Transition::ReplayExpired { at: now });
        assert_eq!(expired.attempt.unwrap().response_body.as_deref(), Some("too old"));
    }

    #[test]
    fn the_fence_is_the_lease_the_work_came_with() {
        let work = work(1);
        let (settlement, _) = settled(1, Answer::status(200));
        assert_eq!((settlement.lease, settlement.delivery_id), (work.lease, work.delivery_id));
    }

    #[test]
    fn what_was_not_sent_spends_no_attempt() {
        let work = work(2);
        let now = work.created_at;
        for settlement in [
            Settlement::hold(&work, HeldReason::DeliveryOff),
            Settlement::defer(&work, now),
            Settlement::cancel(&work, now),
            Settlement::expire(&work, now),
        ] {
            assert_eq!((settlement.attempts_made(), settlement.attempt), (2, None));
        }
    }

    #[test]
    fn absurd_spans_fit_their_columns() {
        let work = work(0);
        let rules = Rules { schedule: &RetrySchedule::default(), judge: JudgePolicy::default() };
        let endless = Attempt { duration: Duration::MAX, ..attempt(Answer::status(200)) };
        let settlement = settle(&work, endless, &rules, DatabaseTime::from_micros(i64::MAX), 0.0);
        let largest = i32::MAX.unsigned_abs();
        assert!(matches!(settlement.transition, Transition::Delivered { latency_ms, .. } if latency_ms == largest));
        assert_eq!(settlement.attempt.unwrap().duration_ms, largest);
        let early = settle(&work, attempt(Answer::status(200)), &rules, DatabaseTime::from_micros(0), 0.0);
        assert!(matches!(early.transition, Transition::Delivered { latency_ms: 0, .. }), "a clock that runs behind");
    }
}
