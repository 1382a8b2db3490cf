//! [`Tally`]: the counts of one HTTP worker.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use onering_keys::KeyRecord;
use onering_problem::Code;
use onering_queue::Decision;
use onering_rate_limit::Cost;

use super::counts::Counts;

/// One answer, as it is counted.
#[derive(Debug)]
pub(crate) struct Answer<'a> {
    /// When it was given.
    pub(crate) at: DateTime<Utc>,
    /// Why the gateway refused; `None` when it did not.
    pub(crate) code: Option<Code>,
    /// The caller, if recognised.
    pub(crate) key: Option<&'a KeyRecord>,
    /// The limiter's word.
    pub(crate) decision: Option<Decision>,
    /// What was taken, or was to be; `None` for a look.
    pub(crate) cost: Option<Cost>,
    /// From the request's head to the answer's.
    pub(crate) took: Duration,
}

/// Counts of one worker, shared with the bookkeeper alone, so its lock is free nearly always.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    counts: Arc<Mutex<Counts>>,
}

impl Tally {
    /// Counts one answer.
    pub(crate) fn count(&self, answer: &Answer<'_>) {
        self.counts().count(answer);
    }

    /// Takes out what was counted.
    pub(super) fn take(&self) -> Counts {
        std::mem::take(&mut *self.counts())
    }

    /// Never held across an await; sums that a panic left behind are still sums.
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
