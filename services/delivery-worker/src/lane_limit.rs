//! How many attempts a lane may have under way: found out, not configured. Pure.
//!
//! Additive increase, multiplicative decrease: a receiver that answers gets more at once, up to what its subscription
//! allows; one that lets attempts time out gets half, down to one, so that a dead receiver holds one attempt of the worker
//! and not sixty-four.

use std::num::NonZeroU32;
use std::time::Instant;

/// Where a lane starts, if its subscription allows as many.
const START: u32 = 16;

/// How one attempt ended, as far as it says something about the receiver's pace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The receiver took it.
    Taken,
    /// The receiver did not answer in time.
    TimedOut,
    /// Anything else: refused, no connection, an error. It is no reason to send more at once, and how often it is sent to
    /// at all others decide.
    Failed,
}

/// An attempt that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Over {
    /// When it began.
    pub(crate) started: Instant,
    /// How it ended.
    pub(crate) ending: Ending,
}

/// The limit of one lane.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LaneLimit {
    limit: u32,
    /// Successes since it last grew.
    successes: u32,
    /// Until the first timeout every success makes room for one more.
    is_opening: bool,
    /// When it was last halved. What began before says nothing about the limit since.
    halved_at: Option<Instant>,
}

impl LaneLimit {
    /// The limit of a receiver of which nothing is known.
    #[must_use]
    pub(crate) const fn new() -> Self {
        Self { limit: START, successes: 0, is_opening: true, halved_at: None }
    }

    /// How many may be under way, of at most `most`.
    #[must_use]
    pub(crate) fn of(&self, most: NonZeroU32) -> u32 {
        self.limit.min(most.get())
    }

    /// Learns from an attempt that is over. `in_flight` is how many were under way with it.
    pub(crate) fn learn(&mut self, over: Over, in_flight: u32, most: NonZeroU32, now: Instant) {
        if self.halved_at.is_some_and(|halved_at| over.started <= halved_at) {
            return;
        }
        self.limit = self.of(most);
        match over.ending {
            Ending::Taken => self.grow(in_flight, most),
            Ending::TimedOut => {
                *self = Self { limit: (self.limit / 2).max(1), successes: 0, is_opening: false, halved_at: Some(now) };
            }
            Ending::Failed => {}
        }
    }

    /// One more for each success at first, later for as many successes as the limit. Only while more than half of it is in
    /// use: the success of a lane with little to do does not show that it could do more.
    fn grow(&mut self, in_flight: u32, most: NonZeroU32) {
        if in_flight <= self.limit / 2 || self.limit >= most.get() {
            return;
        }
        self.successes += 1;
        if self.is_opening || self.successes >= self.limit {
            self.limit += 1;
            self.successes = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use onering_clock::Clock;
    use proptest::prelude::*;

    use super::*;

    const MOST: NonZeroU32 = NonZeroU32::new(64).unwrap();

    /// A lane that is always full, and its time.
    struct Full {
        limit: LaneLimit,
        now: Instant,
    }

    impl Full {
        fn new() -> Self {
            Self { limit: LaneLimit::new(), now: Clock::system().monotonic() }
        }

        /// A round trip: as many attempts as may be, all ending alike. Answers the limit after it.
        fn round(&mut self, ending: Ending) -> u32 {
            let (started, in_flight) = (self.now, self.limit.of(MOST));
            self.now += Duration::from_secs(1);
            for ended in 0..in_flight {
                self.limit.learn(Over { started, ending }, in_flight - ended, MOST, self.now);
            }
            self.now += Duration::from_millis(1);
            self.limit.of(MOST)
        }
    }

    #[test]
    fn a_burst_of_timeouts_halves_once() {
        let mut lane = Full::new();
        let limits: Vec<u32> = (0..6).map(|_| lane.round(Ending::TimedOut)).collect();
        assert_eq!(limits, [8, 4, 2, 1, 1, 1]);
    }

    #[test]
    fn it_opens_fast_and_after_a_timeout_grows_slowly() {
        let mut lane = Full::new();
        let opening: Vec<u32> = (0..6).map(|_| lane.round(Ending::Taken)).collect();
        assert!(opening[0] >= 20 && opening[5] == 64, "a good part more each round: {opening:?}");
        assert_eq!(lane.round(Ending::TimedOut), 32);
        let slowly: Vec<u32> = (0..4).map(|_| lane.round(Ending::Taken)).collect();
        assert!(slowly[0] <= 33 && slowly[3] > 32 && slowly[3] <= 36, "about one a round: {slowly:?}");
    }

    #[test]
    fn one_at_a_time_grows_again() {
        let mut lane = Full::new();
        while lane.round(Ending::TimedOut) > 1 {}
        assert_eq!(lane.round(Ending::Taken), 2);
    }

    #[test]
    fn what_began_before_a_halving_says_nothing_after_it() {
        let mut lane = Full::new();
        let before = lane.now;
        lane.round(Ending::TimedOut);
        for ending in [Ending::TimedOut, Ending::Taken] {
            lane.limit.learn(Over { started: before, ending }, 8, MOST, lane.now);
            assert_eq!(lane.limit.of(MOST), 8);
        }
    }

    #[test]
    fn a_lane_with_little_to_do_and_failures_do_not_open_it() {
        let mut lane = Full::new();
        for _ in 0..100 {
            lane.limit.learn(Over { started: lane.now, ending: Ending::Taken }, 8, MOST, lane.now);
        }
        assert_eq!(lane.round(Ending::Failed), START);
        assert_eq!(lane.limit.of(NonZeroU32::MIN), 1, "the subscription's own bound holds at once");
    }

    proptest! {
        #[test]
        fn it_stays_between_one_and_what_is_allowed(
            steps in prop::collection::vec((0_u8..3, 0_u64..2_000, 0_u32..100, 1_u32..80), 1..300),
        ) {
            let mut limit = LaneLimit::new();
            let mut now = Clock::system().monotonic();
            for (ending, age_ms, in_flight, most) in steps {
                let started = now;
                now += Duration::from_millis(age_ms);
                let most = NonZeroU32::new(most).unwrap();
                let before = limit.of(most);
                let ending = [Ending::Taken, Ending::TimedOut, Ending::Failed][usize::from(ending)];
                limit.learn(Over { started, ending }, in_flight, most, now);
                let after = limit.of(most);
                prop_assert!((1..=most.get()).contains(&after));
                match ending {
                    Ending::Taken => prop_assert!(after == before || after == before + 1),
                    Ending::TimedOut => prop_assert!(after == before || after == (before / 2).max(1)),
                    Ending::Failed => prop_assert_eq!(after, before),
                }
            }
        }
    }
}
