//! How much this worker has in hand and how often it has looked for more: what tells `--once` that nothing is due.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use onering_delivery::DatabaseTime;

/// Items taken up and done with, and rounds of looking for more.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    taken: AtomicU64,
    done: AtomicU64,
    reads: AtomicU64,
    sweeps: AtomicU64,
    /// The latest time an item was put off to, in microseconds.
    deferred_until: AtomicI64,
}

/// The tally at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Snapshot {
    taken: u64,
    held: u64,
    reads: u64,
    sweeps: u64,
    deferred_until: i64,
}

impl Tally {
    /// Counts an item in.
    pub(crate) fn take(&self) {
        self.taken.fetch_add(1, Ordering::Release);
    }

    /// Counts an item out.
    pub(crate) fn finish(&self) {
        self.done.fetch_add(1, Ordering::Release);
    }

    /// Counts a read of the stream that is over, whatever it brought: the truth is in Postgres.
    pub(crate) fn read(&self) {
        self.reads.fetch_add(1, Ordering::Release);
    }

    /// Counts a sweep that found nothing.
    pub(crate) fn swept_nothing(&self) {
        self.sweeps.fetch_add(1, Ordering::Release);
    }

    /// Notes that an item was put off.
    pub(crate) fn defer(&self, until: DatabaseTime) {
        self.deferred_until.fetch_max(until.micros(), Ordering::Relaxed);
    }

    /// Whether something that was put off is still to come.
    #[must_use]
    pub(crate) fn is_deferring(&self, now: DatabaseTime) -> bool {
        self.deferred_until.load(Ordering::Relaxed) > now.micros()
    }

    /// The tally now.
    #[must_use]
    pub(crate) fn snapshot(&self) -> Snapshot {
        // Rounds first and done before taken: what happens in between makes the worker look busier, never idler.
        let (reads, sweeps) = (self.reads.load(Ordering::Acquire), self.sweeps.load(Ordering::Acquire));
        let done = self.done.load(Ordering::Acquire);
        let taken = self.taken.load(Ordering::Acquire);
        let deferred_until = self.deferred_until.load(Ordering::Relaxed);
        Snapshot { taken, held: taken.saturating_sub(done), reads, sweeps, deferred_until }
    }
}

impl Snapshot {
    /// Whether nothing is in hand and nothing that was put off is still to come.
    #[must_use]
    pub(crate) fn is_quiet(&self, now: DatabaseTime) -> bool {
        self.held == 0 && self.deferred_until <= now.micros()
    }

    /// Whether between `self` and `later` something was taken up.
    #[must_use]
    pub(crate) const fn something_came_until(&self, later: &Self) -> bool {
        later.taken != self.taken
    }

    /// Whether between `self`, a quiet moment, and `later` both stream and sweep were looked at from beginning to end,
    /// and brought nothing.
    #[must_use]
    pub(crate) fn nothing_came_until(&self, later: &Self) -> bool {
        // The round under way at the first moment may have looked before it; the one after it cannot have.
        !self.something_came_until(later) && later.reads >= self.reads + 2 && later.sweeps >= self.sweeps + 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: DatabaseTime = DatabaseTime::from_millis(1_763_769_600_000);

    fn look(tally: &Tally, rounds: usize) {
        for _ in 0..rounds {
            tally.read();
            tally.swept_nothing();
        }
    }

    #[test]
    fn idle_is_two_whole_rounds_that_brought_nothing() {
        let tally = Tally::default();
        let before = tally.snapshot();
        assert!(before.is_quiet(NOW));
        look(&tally, 1);
        assert!(!before.nothing_came_until(&tally.snapshot()), "that round may have begun before");
        tally.read();
        assert!(!before.nothing_came_until(&tally.snapshot()), "the sweep has not answered");
        look(&tally, 1);
        assert!(before.nothing_came_until(&tally.snapshot()));
        tally.take();
        tally.finish();
        assert!(!before.nothing_came_until(&tally.snapshot()), "something came and went");
    }

    #[test]
    fn what_is_in_hand_or_put_off_is_not_quiet() {
        let tally = Tally::default();
        tally.take();
        assert!(!tally.snapshot().is_quiet(NOW));
        tally.finish();
        tally.defer(NOW.plus(std::time::Duration::from_secs(1)));
        assert!(!tally.snapshot().is_quiet(NOW));
        assert!(tally.snapshot().is_quiet(NOW.plus(std::time::Duration::from_secs(1))));
    }
}
