//! What this process knows of the stream's length without asking Redis. Pure.
//!
//! Redis counts entries; what matters is deliveries. How many of them an entry has is known of those that this process
//! pushed: the latest ones are taken for those that are in the stream. That is exact where one gateway pushes. Of several,
//! each counts the others' entries as if they were like its own: together they stay near the bound all the same, because each
//! stops when its own part, scaled up, reaches it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// So many packs are remembered. Of more entries than that the average of these counts.
const REMEMBERED: usize = 4_096;

/// With more deliveries than this waiting, as far as is known, each push asks: well below what anybody calls long.
const ASK_ABOVE: u64 = 1_024;

/// What is known is good for so long: meanwhile others push no more than an eighth or so of what anybody calls long.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// The stream's lengths as Redis tells them, in entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lengths {
    /// All.
    pub(crate) len: u64,
    /// Those that nobody has taken.
    pub(crate) waiting: u64,
}

/// The lengths as last heard, and what was pushed since.
#[derive(Debug, Default)]
pub(crate) struct StreamLength {
    len: u64,
    waiting: u64,
    heard_at: Option<Instant>,
    /// How many deliveries had been pushed before each of the latest packs.
    before: VecDeque<u64>,
    pushed: u64,
}

impl StreamLength {
    /// Notes what Redis says.
    pub(crate) fn heard(&mut self, lengths: Lengths, now: Instant) {
        (self.len, self.waiting) = (lengths.len, lengths.waiting);
        self.heard_at = Some(now);
    }

    /// Notes a pack that went into the stream.
    pub(crate) fn pushed(&mut self, deliveries: usize) {
        if self.before.len() >= REMEMBERED {
            self.before.pop_front();
        }
        self.before.push_back(self.pushed);
        self.pushed += deliveries as u64;
        self.len += 1;
        self.waiting += 1;
    }

    /// Whether to ask Redis with a push of so many further deliveries.
    pub(crate) fn is_to_be_asked(&self, further: usize, now: Instant) -> bool {
        let is_fresh = self.heard_at.is_some_and(|at| now.saturating_duration_since(at) < ASK_EVERY);
        !is_fresh || self.waiting() + further as u64 > ASK_ABOVE
    }

    /// About how many deliveries are in the stream.
    pub(crate) fn deliveries(&self) -> u64 {
        self.in_latest(self.len)
    }

    /// About how many deliveries nobody has taken.
    pub(crate) fn waiting(&self) -> u64 {
        self.in_latest(self.waiting)
    }

    /// How many deliveries the latest entries have. Each has one at least.
    fn in_latest(&self, entries: u64) -> u64 {
        let known = self.before.len() as u64;
        let first = usize::try_from(known.saturating_sub(entries)).ok().and_then(|first| self.before.get(first));
        let Some(before) = first else { return if known == 0 { entries } else { 0 } };
        let deliveries = self.pushed - before;
        if entries <= known { deliveries } else { deliveries.saturating_mul(entries) / known }
    }
}

#[cfg(test)]
mod tests {
    use onering_clock::Clock;
    use proptest::prelude::*;

    use super::*;

    fn lengths(len: u64, waiting: u64) -> Lengths {
        Lengths { len, waiting }
    }

    #[test]
    fn entries_of_others_are_like_its_own() {
        let now = Clock::system().monotonic();
        let mut length = StreamLength::default();
        length.heard(lengths(30, 20), now);
        assert_eq!((length.deliveries(), length.waiting()), (30, 20), "nothing is known of them");
        length.pushed(10);
        length.pushed(32);
        assert_eq!((length.deliveries(), length.waiting()), (42 * 16, 42 * 11));
        length.heard(lengths(2, 1), now);
        assert_eq!((length.deliveries(), length.waiting()), (42, 32));
        length.heard(lengths(0, 0), now);
        assert_eq!((length.deliveries(), length.waiting()), (0, 0));
    }

    #[test]
    fn it_asks_at_first_when_much_waits_and_now_and_then() {
        let now = Clock::system().monotonic();
        let mut length = StreamLength::default();
        assert!(length.is_to_be_asked(1, now));
        length.heard(lengths(0, 0), now);
        assert!(!length.is_to_be_asked(1_024, now));
        assert!(length.is_to_be_asked(1_025, now));
        assert!(length.is_to_be_asked(1, now + ASK_EVERY));
        for _ in 0..32 {
            length.pushed(32);
        }
        assert!(length.is_to_be_asked(1, now));
        length.heard(lengths(40, 31), now);
        assert!(!length.is_to_be_asked(1, now), "what was taken does not wait");
    }

    proptest! {
        /// One gateway knows exactly what waits, however much was taken.
        #[test]
        fn alone_it_is_exact(packs in prop::collection::vec(1_usize..33, 1..200), taken: prop::sample::Index) {
            let mut length = StreamLength::default();
            packs.iter().for_each(|deliveries| length.pushed(*deliveries));
            prop_assert_eq!(length.waiting(), packs.iter().sum::<usize>() as u64);
            let taken = taken.index(packs.len());
            length.heard(lengths(packs.len() as u64, (packs.len() - taken) as u64), Clock::system().monotonic());
            prop_assert_eq!(length.waiting(), packs[taken..].iter().sum::<usize>() as u64);
        }

        #[test]
        fn what_it_remembers_is_bounded_and_an_entry_has_one_at_least(
            packs in prop::collection::vec(1_usize..33, 0..9_000),
            entries in 0_u64..100_000,
        ) {
            let mut length = StreamLength::default();
            packs.iter().for_each(|deliveries| length.pushed(*deliveries));
            prop_assert!(length.before.len() <= REMEMBERED);
            prop_assert!((entries..=entries * 32).contains(&length.in_latest(entries)));
        }
    }
}
