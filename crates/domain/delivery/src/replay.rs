//! Sending again what was sent before: which final statuses a replay goes over, and how far it is.

use serde::{Serialize, Serializer};

use crate::status::Status;
use crate::text_enum::text_enum;

text_enum! {
    /// Where a replay stands.
    ReplayState("replay state") {
        /// Workers are at it, or will be.
        Running = "RUNNING",
        /// Went over all it was asked to. Final.
        Done = "DONE",
        /// An operator stopped it. Final.
        Cancelled = "CANCELLED",
        /// Could not go on; its row says why. Final.
        Failed = "FAILED",
    }
}

impl ReplayState {
    /// Whether nothing more comes of it.
    #[must_use]
    pub const fn is_over(self) -> bool {
        !matches!(self, Self::Running)
    }
}

/// The final statuses a replay goes over: at least one, each once, in the order of [`Status`]. By default what failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayStatuses(Vec<Status>);

/// The statuses cannot be replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReplayStatusesError {
    /// None is named.
    #[error("name at least one status")]
    Empty,
    /// What waits is sent anyway.
    #[error("{0} is not final; only DELIVERED, DEAD, REPLAY_EXPIRED and CANCELLED can be replayed")]
    NotFinal(Status),
}

impl ReplayStatuses {
    /// The statuses.
    #[must_use]
    pub fn as_slice(&self) -> &[Status] {
        &self.0
    }

    /// Whether it goes over deliveries that have a status of their own among these, and no others.
    ///
    /// A delivery counts as delivered once it or a repeat of it was. So where DELIVERED is wanted, a delivery that is
    /// DEAD itself may belong to it by its repeat.
    #[must_use]
    pub fn own_status_decides(&self) -> bool {
        !self.0.contains(&Status::Delivered)
    }
}

impl Default for ReplayStatuses {
    fn default() -> Self {
        Self(vec![Status::Dead, Status::ReplayExpired])
    }
}

impl TryFrom<Vec<Status>> for ReplayStatuses {
    type Error = ReplayStatusesError;

    fn try_from(mut statuses: Vec<Status>) -> Result<Self, ReplayStatusesError> {
        if let Some(waiting) = statuses.iter().find(|status| !status.is_terminal()) {
            return Err(ReplayStatusesError::NotFinal(*waiting));
        }
        statuses.sort_unstable();
        statuses.dedup();
        if statuses.is_empty() { Err(ReplayStatusesError::Empty) } else { Ok(Self(statuses)) }
    }
}

impl Serialize for ReplayStatuses {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// Deliveries a replay came to and did not repeat, by the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReplaySkips {
    /// The subscription was deleted.
    pub subscription_deleted: u64,
    /// The event is not stored any more.
    pub event_gone: u64,
    /// A repeat of it waits already.
    pub still_waiting: u64,
    /// A repeat of it was delivered since the replay began.
    pub already_delivered: u64,
}

impl ReplaySkips {
    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.subscription_deleted
            .saturating_add(self.event_gone)
            .saturating_add(self.still_waiting)
            .saturating_add(self.already_delivered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_final_statuses_each_once() {
        let parsed = |statuses: &[Status]| ReplayStatuses::try_from(statuses.to_vec());
        assert_eq!(parsed(&[]), Err(ReplayStatusesError::Empty));
        assert_eq!(parsed(&[Status::Dead, Status::Retrying]), Err(ReplayStatusesError::NotFinal(Status::Retrying)));
        let statuses = parsed(&[Status::Dead, Status::Delivered, Status::Dead]).unwrap();
        assert_eq!(statuses.as_slice(), [Status::Delivered, Status::Dead]);
        assert_eq!(serde_json::to_string(&statuses).unwrap(), r#"["DELIVERED","DEAD"]"#);
        assert!(!statuses.own_status_decides());
    }

    #[test]
    fn by_default_what_failed() {
        let statuses = ReplayStatuses::default();
        assert_eq!(statuses.as_slice(), [Status::Dead, Status::ReplayExpired]);
        assert_eq!(ReplayStatuses::try_from(statuses.as_slice().to_vec()), Ok(statuses.clone()));
        assert!(statuses.own_status_decides());
    }

    /// The words are in a CHECK of the migration.
    #[test]
    fn the_words_of_the_contract() {
        let words: Vec<_> = ReplayState::ALL.iter().map(|state| state.as_str()).collect();
        assert_eq!(words, ["RUNNING", "DONE", "CANCELLED", "FAILED"]);
        assert_eq!(ReplayState::ALL.iter().filter(|state| state.is_over()).count(), 3);
    }

    #[test]
    fn skips_add_up() {
        let skips =
            ReplaySkips { subscription_deleted: 1, event_gone: 2, still_waiting: 3, already_delivered: u64::MAX };
        assert_eq!(skips.total(), u64::MAX);
        assert_eq!(ReplaySkips { already_delivered: 4, ..skips }.total(), 10);
    }
}
