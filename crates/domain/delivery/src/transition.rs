use crate::database_time::DatabaseTime;
use crate::holding::HeldReason;
use crate::status::Status;
use crate::text_enum::text_enum;

/// One change of a delivery's row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transition {
    /// A 2xx answer arrived. Final.
    Delivered {
        /// When it arrived.
        at: DatabaseTime,
        /// From acceptance to the answer.
        latency_ms: u32,
    },
    /// Failed, and due again.
    RetryAt {
        /// When it is due: the row's `next_attempt_at` and `queued_until`.
        at: DatabaseTime,
    },
    /// Refused for good, or out of attempts. Final.
    Dead {
        /// When that was known.
        at: DatabaseTime,
    },
    /// Answered 410: dead, and the subscription is disabled as well. Final.
    Gone {
        /// When the answer arrived.
        at: DatabaseTime,
    },
    /// Too old. Final.
    ReplayExpired {
        /// When that was known.
        at: DatabaseTime,
    },
    /// Not to be sent for now: waits without a due time, and spends no attempt.
    Hold {
        /// Why.
        reason: HeldReason,
    },
    /// Not to be sent yet: queued again then, and spends no attempt.
    Defer {
        /// Until when.
        until: DatabaseTime,
    },
    /// Its subscription is gone. Final.
    Cancel {
        /// When that was known.
        at: DatabaseTime,
    },
}

text_enum! {
    /// What a change counts as in the per-minute statistics.
    StatsOutcome("outcome") {
        /// Delivered.
        Delivered = "DELIVERED",
        /// Failed; another attempt is due.
        Retry = "RETRY",
        /// Failed, and given up.
        Dead = "DEAD",
        /// Failed with 410, and the subscription was disabled.
        Gone = "GONE",
        /// Too old.
        ReplayExpired = "REPLAY_EXPIRED",
        /// Its subscription is gone.
        Cancelled = "CANCELLED",
    }
}

impl Transition {
    /// The status that follows `from`; `None` when `from` is final, which nothing changes.
    #[must_use]
    pub const fn apply(&self, from: Status) -> Option<Status> {
        if from.is_terminal() {
            return None;
        }
        Some(match self {
            Self::Delivered { .. } => Status::Delivered,
            Self::RetryAt { .. } => Status::Retrying,
            Self::Dead { .. } | Self::Gone { .. } => Status::Dead,
            Self::ReplayExpired { .. } => Status::ReplayExpired,
            Self::Cancel { .. } => Status::Cancelled,
            // Only a pending delivery may be held: its next due time goes, its attempts stay.
            Self::Hold { .. } => Status::Pending,
            Self::Defer { .. } => from,
        })
    }

    /// When the delivery becomes final by this; `None` when it goes on.
    #[must_use]
    pub const fn settled_at(&self) -> Option<DatabaseTime> {
        match self {
            Self::Delivered { at, .. }
            | Self::Dead { at }
            | Self::Gone { at }
            | Self::ReplayExpired { at }
            | Self::Cancel { at } => Some(*at),
            Self::RetryAt { .. } | Self::Hold { .. } | Self::Defer { .. } => None,
        }
    }

    /// The row's `queued_until` afterwards; `None` when it is held or final.
    #[must_use]
    pub const fn queued_until(&self) -> Option<DatabaseTime> {
        match self {
            Self::RetryAt { at } => Some(*at),
            Self::Defer { until } => Some(*until),
            _ => None,
        }
    }

    /// What this counts as; `None` for a delivery that merely waits longer.
    #[must_use]
    pub const fn stats_outcome(&self) -> Option<StatsOutcome> {
        match self {
            Self::Delivered { .. } => Some(StatsOutcome::Delivered),
            Self::RetryAt { .. } => Some(StatsOutcome::Retry),
            Self::Dead { .. } => Some(StatsOutcome::Dead),
            Self::Gone { .. } => Some(StatsOutcome::Gone),
            Self::ReplayExpired { .. } => Some(StatsOutcome::ReplayExpired),
            Self::Cancel { .. } => Some(StatsOutcome::Cancelled),
            Self::Hold { .. } | Self::Defer { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn transitions() -> impl Strategy<Value = Transition> {
        let at = || any::<i64>().prop_map(DatabaseTime::from_micros);
        prop_oneof![
            (at(), any::<u32>()).prop_map(|(at, latency_ms)| Transition::Delivered { at, latency_ms }),
            at().prop_map(|at| Transition::RetryAt { at }),
            at().prop_map(|at| Transition::Dead { at }),
            at().prop_map(|at| Transition::Gone { at }),
            at().prop_map(|at| Transition::ReplayExpired { at }),
            prop::sample::select(HeldReason::ALL).prop_map(|reason| Transition::Hold { reason }),
            at().prop_map(|until| Transition::Defer { until }),
            at().prop_map(|at| Transition::Cancel { at }),
        ]
    }

    proptest! {
        #[test]
        fn what_is_final_stays(path in prop::collection::vec(transitions(), 0..50)) {
            let mut status = Status::Pending;
            let mut ended = None;
            for transition in &path {
                match transition.apply(status) {
                    Some(next) => {
                        prop_assert_eq!(ended, None);
                        status = next;
                    }
                    None => prop_assert_eq!(ended, Some(status)),
                }
                ended = status.is_terminal().then_some(status);
            }
        }

        /// The same rules as the CHECKs of the migration.
        #[test]
        fn a_row_is_final_or_due_or_held(transition in transitions(), retrying: bool) {
            let from = if retrying { Status::Retrying } else { Status::Pending };
            let status = transition.apply(from).unwrap();
            let held = matches!(transition, Transition::Hold { .. });
            prop_assert_eq!(status.is_terminal(), transition.settled_at().is_some());
            prop_assert_eq!(!status.is_terminal(), transition.queued_until().is_some() || held);
            prop_assert!(!held || (status == Status::Pending && transition.queued_until().is_none()));
            prop_assert_eq!(transition.stats_outcome().is_none(), held || matches!(transition, Transition::Defer { .. }));
        }
    }
}
