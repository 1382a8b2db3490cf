//! Lanes: which delivery is sent next.
//!
//! Every subscription has a lane with a bounded queue and a bounded number of attempts under way, so that a slow receiver
//! fills its own lane and no other. Lanes that may send take turns. Pure: time is an argument, nothing here waits.
//!
//! Invariant: an item that was taken occupies its lane until [`Lanes::finished`] is called for it, and one that was not
//! taken is either queued here or was given back by [`Lanes::offer`]: none disappears.

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use onering_ids::SubscriptionId;

/// A lane queues this many deliveries for each one it may have under way, and never more than there is room left for: the
/// fuller the worker, the less a single lane may queue (down to this many), so however many receivers are slow, the others
/// find room. What is beyond overflows to Postgres.
const QUEUED_PER_SLOT: usize = 16;
/// What overflows comes back at the pace at which its lane gets on, as far as that is known: until it is, this many a
/// second for each attempt it may have under way.
const SUPPOSED_PACE: u64 = 100;
/// It comes back no sooner and no later than this.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(120);

/// How fast a subscription may be sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pace {
    /// Attempts under way at once.
    pub(crate) max_in_flight: NonZeroU32,
    /// Attempts started a second.
    pub(crate) per_second: Option<NonZeroU32>,
}

impl Pace {
    const fn queue_limit(self) -> usize {
        self.max_in_flight.get() as usize * QUEUED_PER_SLOT
    }
}

/// All lanes of one worker, holding items of type `T`.
#[derive(Debug)]
pub(crate) struct Lanes<T> {
    lanes: HashMap<SubscriptionId, Lane<T>>,
    /// Lanes with something queued, in the order of their turns. A lane stands here at most once.
    turns: VecDeque<SubscriptionId>,
    queued: usize,
    room: usize,
}

/// An item whose lane is full, given back.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Overflow<T> {
    /// The item.
    pub(crate) item: T,
    /// After how long its lane may have got to it.
    pub(crate) pause: Duration,
}

#[derive(Debug)]
struct Lane<T> {
    queue: VecDeque<T>,
    in_flight: u32,
    /// Since when it has had something to do without a break, what it has done since, and what it gave back since it was
    /// last half empty.
    busy_since: Instant,
    done: u64,
    overflowed: u64,
    pace: Pace,
    /// With a rate limit: when the next attempt may start.
    next_start: Option<Instant>,
    has_turn: bool,
}

impl<T> Lanes<T> {
    /// No lanes yet; about `room` items may be queued in all of them together.
    #[must_use]
    pub(crate) fn new(room: usize) -> Self {
        Self { lanes: HashMap::new(), turns: VecDeque::new(), queued: 0, room }
    }

    /// Queues an item in its subscription's lane, or gives it back when the lane is full.
    ///
    /// # Errors
    /// [`Overflow`] with the item, when its lane's queue is full.
    pub(crate) fn offer(
        &mut self,
        subscription: SubscriptionId,
        pace: Pace,
        item: T,
        now: Instant,
    ) -> Result<(), Overflow<T>> {
        let limit = pace.queue_limit().min(self.room.saturating_sub(self.queued)).max(QUEUED_PER_SLOT);
        let lane = self.lanes.entry(subscription).or_insert_with(|| Lane {
            queue: VecDeque::new(),
            in_flight: 0,
            busy_since: now,
            done: 0,
            overflowed: 0,
            pace,
            next_start: None,
            has_turn: false,
        });
        lane.pace = pace;
        if lane.queue.len() >= limit {
            lane.overflowed += 1;
            return Err(Overflow { item, pause: lane.pause(now) });
        }
        if lane.queue.len() <= limit / 2 {
            lane.overflowed = 0;
        }
        lane.queue.push_back(item);
        self.queued += 1;
        if !lane.has_turn {
            lane.has_turn = true;
            self.turns.push_back(subscription);
        }
        Ok(())
    }

    /// Takes the next item that may be sent; its lane counts it as under way.
    pub(crate) fn take(&mut self, now: Instant) -> Option<T> {
        for _ in 0..self.turns.len() {
            let subscription = self.turns.pop_front()?;
            let Some(lane) = self.lanes.get_mut(&subscription) else { continue };
            let item = lane.may_start(now).then(|| lane.queue.pop_front()).flatten();
            lane.has_turn = !lane.queue.is_empty();
            if lane.has_turn {
                self.turns.push_back(subscription);
            }
            if let Some(item) = item {
                lane.started(now);
                self.queued -= 1;
                return Some(item);
            }
        }
        None
    }

    /// Frees the place of an item that was taken.
    pub(crate) fn finished(&mut self, subscription: SubscriptionId) {
        if let Some(lane) = self.lanes.get_mut(&subscription) {
            lane.in_flight = lane.in_flight.saturating_sub(1);
            lane.done += 1;
            // A lane with a rate limit is kept until it has paid for its last attempt.
            if lane.in_flight == 0 && lane.queue.is_empty() && lane.next_start.is_none() {
                self.lanes.remove(&subscription);
            }
        }
    }

    /// Forgets idle lanes whose rate limit no longer matters; called now and then.
    pub(crate) fn forget_idle(&mut self, now: Instant) {
        self.lanes.retain(|_, lane| {
            lane.in_flight > 0 || !lane.queue.is_empty() || lane.next_start.is_some_and(|start| start > now)
        });
    }

    /// How long until a lane that only waits for its rate limit may send; `None` when none does.
    #[must_use]
    pub(crate) fn next_wake(&self, now: Instant) -> Option<Duration> {
        self.turns
            .iter()
            .filter_map(|subscription| self.lanes.get(subscription))
            .filter(|lane| lane.in_flight < lane.pace.max_in_flight.get())
            .filter_map(|lane| lane.next_start.map(|start| start.saturating_duration_since(now)))
            .min()
    }

    /// Gives back everything that is queued: on shutdown it goes back to Postgres.
    pub(crate) fn drain(&mut self) -> Vec<T> {
        self.turns.clear();
        self.queued = 0;
        self.lanes
            .values_mut()
            .flat_map(|lane| {
                lane.has_turn = false;
                lane.queue.drain(..)
            })
            .collect()
    }

    /// Items queued in all lanes.
    #[must_use]
    pub(crate) const fn queued(&self) -> usize {
        self.queued
    }

    /// Lanes that exist.
    #[must_use]
    pub(crate) fn count(&self) -> usize {
        self.lanes.len()
    }
}

impl<T> Lane<T> {
    fn may_start(&self, now: Instant) -> bool {
        self.in_flight < self.pace.max_in_flight.get() && self.next_start.is_none_or(|start| start <= now)
    }

    fn started(&mut self, now: Instant) {
        self.in_flight += 1;
        self.next_start = self.pace.per_second.map(|rate| {
            let interval = Duration::from_secs(1) / rate.get();
            // Paced from the last due start while busy, so that rounding up to timer ticks does not lower the rate.
            match self.next_start {
                Some(due) if now.saturating_duration_since(due) < interval => due + interval,
                _ => now + interval,
            }
        });
    }

    /// How long an item that does not fit has to wait, with all that did not fit before it.
    fn pause(&self, now: Instant) -> Duration {
        let busy_ms = u64::try_from(now.saturating_duration_since(self.busy_since).as_millis()).unwrap_or(u64::MAX);
        // As if it had been busy for one second more, at the supposed pace.
        let done = self.done.saturating_add(SUPPOSED_PACE * u64::from(self.pace.max_in_flight.get()));
        let wait_ms = self.overflowed.saturating_mul(busy_ms.saturating_add(1_000)) / done;
        SHORTEST_PAUSE.saturating_add(Duration::from_millis(wait_ms)).min(LONGEST_PAUSE)
    }
}

#[cfg(test)]
mod tests {
    use onering_clock::Clock;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    const ROOM: usize = 1_000;

    fn subscription(number: u8) -> SubscriptionId {
        SubscriptionId::from_uuid(Uuid::from_u128(u128::from(number)))
    }

    fn pace(max_in_flight: u32, per_second: Option<u32>) -> Pace {
        Pace {
            max_in_flight: NonZeroU32::new(max_in_flight).unwrap(),
            per_second: per_second.and_then(NonZeroU32::new),
        }
    }

    fn now() -> Instant {
        Clock::system().monotonic()
    }

    #[test]
    fn a_full_lane_leaves_the_others_alone() {
        let mut lanes = Lanes::new(ROOM);
        for item in 0..100 {
            let offered = lanes.offer(subscription(1), pace(1, None), (1, item), now());
            assert_eq!(offered.is_ok(), item < 16, "item {item}");
        }
        lanes.offer(subscription(2), pace(1, None), (2, 0), now()).unwrap();
        assert_eq!(lanes.take(now()), Some((1, 0)));
        assert_eq!(lanes.take(now()), Some((2, 0)));
        assert_eq!(lanes.take(now()), None, "lane 1 has its one attempt under way");
        lanes.finished(subscription(1));
        assert_eq!(lanes.take(now()), Some((1, 1)));
    }

    #[test]
    fn lanes_take_turns() {
        let mut lanes = Lanes::new(ROOM);
        for number in 1..=3 {
            for item in 0..2 {
                lanes.offer(subscription(number), pace(64, None), (number, item), now()).unwrap();
            }
        }
        let order: Vec<_> = std::iter::from_fn(|| lanes.take(now())).collect();
        assert_eq!(order, [(1, 0), (2, 0), (3, 0), (1, 1), (2, 1), (3, 1)]);
    }

    #[test]
    fn a_rate_limit_spaces_starts() {
        let mut lanes = Lanes::new(ROOM);
        let start = now();
        for item in 0..3 {
            lanes.offer(subscription(1), pace(64, Some(10)), item, start).unwrap();
        }
        assert_eq!(lanes.take(start), Some(0));
        assert_eq!(lanes.take(start), None);
        assert_eq!(lanes.next_wake(start), Some(Duration::from_millis(100)));
        // Woken late, the next start is still counted from when this one was due.
        assert_eq!(lanes.take(start + Duration::from_millis(130)), Some(1));
        assert_eq!(lanes.take(start + Duration::from_millis(199)), None);
        assert_eq!(lanes.take(start + Duration::from_millis(200)), Some(2));
    }

    #[test]
    fn an_idle_lane_is_forgotten_but_not_its_rate() {
        let mut lanes = Lanes::new(ROOM);
        let start = now();
        lanes.offer(subscription(1), pace(1, Some(1)), 0, start).unwrap();
        lanes.take(start).unwrap();
        lanes.finished(subscription(1));
        lanes.forget_idle(start + Duration::from_millis(500));
        assert_eq!(lanes.count(), 1, "it may not start again before its second is over");
        lanes.forget_idle(start + Duration::from_secs(2));
        assert_eq!(lanes.count(), 0);
    }

    #[test]
    fn however_many_lanes_are_full_another_finds_room() {
        let mut lanes = Lanes::new(ROOM);
        let mut queued = Vec::new();
        for number in 0..30 {
            let before = lanes.queued();
            while lanes.offer(subscription(number), pace(64, None), number, now()).is_ok() {}
            queued.push(lanes.queued() - before);
        }
        assert_eq!(queued[..3], [500, 250, 125]);
        assert!(queued.iter().all(|count| *count >= QUEUED_PER_SLOT), "{queued:?}");
        assert!(lanes.queued() <= ROOM + 30 * QUEUED_PER_SLOT);
    }

    /// A backlog that came back every few seconds would keep Postgres busy for nothing.
    #[test]
    fn a_backlog_comes_back_at_the_pace_of_its_lane() {
        let mut lanes = Lanes::new(ROOM);
        let start = now();
        let flood = |lanes: &mut Lanes<u32>, count: u32, at| {
            let refused = (0..count).filter_map(|item| lanes.offer(subscription(1), pace(2, None), item, at).err());
            refused.map(|overflow| overflow.pause).collect::<Vec<_>>()
        };
        let at_first = flood(&mut lanes, 1_032, start);
        assert_eq!((at_first.len(), at_first[0]), (1_000, Duration::from_millis(1_005)));
        assert_eq!(at_first[999], Duration::from_secs(6), "supposed: 200 a second");
        // In 99 s it got through ten: it is a slow one.
        for _ in 0..10 {
            lanes.take(start).unwrap();
            lanes.finished(subscription(1));
        }
        let later = flood(&mut lanes, 1_000, start + Duration::from_secs(99));
        assert_eq!(*later.last().unwrap(), LONGEST_PAUSE);
        assert!(later.is_sorted());
    }

    proptest! {
        #[test]
        fn nothing_disappears_and_no_lane_exceeds_its_bound(
            steps in prop::collection::vec((0_u8..4, 0_u8..3), 1..400),
            max_in_flight in 1_u32..5,
        ) {
            let mut lanes = Lanes::new(ROOM);
            let mut in_flight: Vec<u8> = Vec::new();
            let (mut offered, mut refused, mut done, mut taken) = (0_usize, 0_usize, 0_usize, 0_usize);
            let at = now();
            for (number, step) in steps {
                match step {
                    0 => {
                        offered += 1;
                        let pace = pace(max_in_flight, None);
                        refused += usize::from(lanes.offer(subscription(number), pace, number, at).is_err());
                    }
                    1 => {
                        if let Some(item) = lanes.take(at) {
                            taken += 1;
                            in_flight.push(item);
                            let under_way = in_flight.iter().filter(|other| **other == item).count();
                            prop_assert!(under_way <= max_in_flight as usize);
                        }
                    }
                    _ => {
                        if let Some(item) = in_flight.pop() {
                            done += 1;
                            lanes.finished(subscription(item));
                        }
                    }
                }
                prop_assert_eq!(offered, refused + lanes.queued() + in_flight.len() + done);
            }
            let drained = lanes.drain().len();
            prop_assert_eq!(offered, refused + taken + drained);
            prop_assert_eq!(lanes.queued(), 0);
        }
    }
}
