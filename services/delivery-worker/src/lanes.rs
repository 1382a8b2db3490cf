//! Lanes: which delivery is sent next.
//!
//! Every subscription has a lane with a bounded queue and a bounded number of attempts under way, so that a slow receiver
//! fills its own lane and no other. Lanes that may send take turns. How much of the worker's room and slots one lane may
//! have depends on what is left: the fuller the worker, the less, so however many receivers are slow, another finds both.
//! Pure: time is an argument, nothing here waits.
//!
//! Invariant: an item that was taken occupies its lane until [`Lanes::finished`] is called for it, and one that was not
//! taken is either queued here or was given back by [`Lanes::offer`]: none disappears.

mod lane;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use onering_ids::SubscriptionId;

use self::lane::{Lane, Left, QUEUED_PER_SLOT};
pub(crate) use self::lane::{Pace, Waiting};
use crate::lane_limit::Over;

/// For a subscription without a lane the sweep brings no more than this at once: how much it may queue is not known yet.
const FIRST_ROOM: usize = 128;
/// This part of the slots is kept for lanes that have nothing under way.
const SLOTS_KEPT: usize = 8;

/// What all lanes of a worker may hold together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    /// Attempts under way.
    pub(crate) attempts: usize,
    /// About so many items queued.
    pub(crate) items: usize,
    /// About so many bytes, queued and under way.
    pub(crate) bytes: usize,
}

/// All lanes of one worker, holding items of type `T`.
#[derive(Debug)]
pub(crate) struct Lanes<T> {
    lanes: HashMap<SubscriptionId, Lane<T>>,
    /// Lanes with something queued, in the order of their turns. A lane stands here at most once.
    turns: VecDeque<SubscriptionId>,
    queued: usize,
    in_flight: usize,
    /// Of what is queued and of what is under way.
    bytes: usize,
    /// Lanes that are not idle.
    busy: usize,
    room: Room,
    /// A lane for which there is more has got room.
    has_room_for_more: bool,
}

/// An item whose lane is full, given back.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Overflow<T> {
    /// The item.
    pub(crate) item: T,
    /// After how long its lane may have got to it.
    pub(crate) pause: Duration,
}

/// What an item that was taken gives back to its lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Freed {
    /// Whose lane.
    pub(crate) subscription: SubscriptionId,
    /// The bytes it held.
    pub(crate) bytes: usize,
    /// How its attempt went, if one was made.
    pub(crate) over: Option<Over>,
}

/// How much may be brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Vacancies {
    /// For these subscriptions no more than this.
    pub(crate) known: Vec<Vacancy>,
    /// For each other one.
    pub(crate) otherwise: usize,
    /// Bytes for all together that no single lane has to refuse: half of what is left.
    pub(crate) bytes: usize,
}

/// The room of one lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Vacancy {
    /// Whose.
    pub(crate) subscription: SubscriptionId,
    /// How many more it may queue.
    pub(crate) room: usize,
    /// When what does not fit comes back.
    pub(crate) waiting: Waiting,
}

impl<T> Lanes<T> {
    /// No lanes yet.
    #[must_use]
    pub(crate) fn new(room: Room) -> Self {
        Self {
            lanes: HashMap::new(),
            turns: VecDeque::new(),
            queued: 0,
            in_flight: 0,
            bytes: 0,
            busy: 0,
            room,
            has_room_for_more: false,
        }
    }

    /// Queues an item that holds so many bytes in its subscription's lane, or gives it back when the lane is full.
    ///
    /// # Errors
    /// [`Overflow`] with the item, when its lane's queue is full.
    pub(crate) fn offer(
        &mut self,
        subscription: SubscriptionId,
        pace: Pace,
        item: T,
        bytes: usize,
        now: Instant,
    ) -> Result<(), Overflow<T>> {
        let left = self.left();
        let lane = self.lanes.entry(subscription).or_insert_with(|| Lane::new(pace, now));
        lane.pace = pace;
        if !lane.takes(bytes, left) {
            lane.turned_away += 1;
            lane.is_wanted = true;
            return Err(Overflow { item, pause: lane.waiting(now).pause });
        }
        if lane.is_half_empty(left) {
            lane.turned_away = 0;
        }
        self.busy += usize::from(lane.is_idle());
        lane.push(item, bytes, now);
        self.queued += 1;
        self.bytes += bytes;
        if !lane.has_turn {
            lane.has_turn = true;
            self.turns.push_back(subscription);
        }
        Ok(())
    }

    /// What one lane may queue of what is left; every lane a few items, however full the worker is.
    fn left(&self) -> Left {
        Left {
            items: self.room.items.saturating_sub(self.queued).max(QUEUED_PER_SLOT),
            bytes: self.room.bytes.saturating_sub(self.bytes),
        }
    }

    /// Notes for the sweep when a lane for which there is more has got room.
    fn note_room(&mut self, subscription: SubscriptionId) {
        let left = self.left();
        let Some(lane) = self.lanes.get_mut(&subscription) else { return };
        if lane.is_wanted && lane.is_half_empty(left) {
            lane.is_wanted = false;
            self.has_room_for_more = true;
        }
    }

    /// Free slots for lanes that have something under way. The others find some kept for them.
    const fn slots_left(&self) -> usize {
        let kept = self.room.attempts / SLOTS_KEPT;
        (self.room.attempts - kept).saturating_sub(self.in_flight)
    }

    /// Takes the next item that may be sent; its lane counts it as under way.
    pub(crate) fn take(&mut self, now: Instant) -> Option<T> {
        if self.in_flight >= self.room.attempts {
            return None;
        }
        let slots_left = self.slots_left();
        for _ in 0..self.turns.len() {
            let subscription = self.turns.pop_front()?;
            let Some(lane) = self.lanes.get_mut(&subscription) else { continue };
            let taken = lane.may_start(slots_left, now).then(|| lane.pop()).flatten();
            lane.has_turn = lane.queued() > 0;
            if lane.has_turn {
                self.turns.push_back(subscription);
            }
            if let Some((item, _)) = taken {
                lane.started(now);
                self.queued -= 1;
                self.in_flight += 1;
                self.note_room(subscription);
                return Some(item);
            }
        }
        None
    }

    /// Frees the place of an item that was taken.
    pub(crate) fn finished(&mut self, freed: Freed, now: Instant) {
        let Some(lane) = self.lanes.get_mut(&freed.subscription) else { return };
        if lane.in_flight > 0 {
            self.in_flight -= 1;
            self.bytes -= freed.bytes;
            lane.finished(freed, now);
            self.busy -= usize::from(lane.is_idle());
            self.note_room(freed.subscription);
        }
    }

    /// Forgets lanes that have been idle for a while; called now and then.
    pub(crate) fn forget_idle(&mut self, now: Instant) {
        self.lanes.retain(|_, lane| !lane.is_forgettable(now));
    }

    /// How long until a lane that only waits for its rate limit may send; `None` when none does. As long as everything is
    /// under way that may be, all wait for the end of an attempt.
    #[must_use]
    pub(crate) fn next_wake(&self, now: Instant) -> Option<Duration> {
        if self.in_flight >= self.room.attempts {
            return None;
        }
        let lanes = self.turns.iter().filter_map(|subscription| self.lanes.get(subscription));
        let starts = lanes.filter_map(|lane| lane.paced_start(self.slots_left()));
        starts.map(|start| start.saturating_duration_since(now)).min()
    }

    /// How much each subscription may be brought.
    #[must_use]
    pub(crate) fn vacancies(&self, now: Instant) -> Vacancies {
        let left = self.left();
        let otherwise = left.items.min(FIRST_ROOM);
        // Those that get on have room for more than a stranger, and those that do not for less.
        let known = self.lanes.iter().filter_map(|(subscription, lane)| {
            let room = lane.room(left);
            let is_known = room < otherwise || !lane.is_idle();
            is_known.then(|| Vacancy { subscription: *subscription, room, waiting: lane.waiting(now) })
        });
        Vacancies { known: known.collect(), otherwise, bytes: left.bytes / 2 }
    }

    /// Notes that so many deliveries of a subscription were left where they are, or put off, for want of room.
    pub(crate) fn left_behind(&mut self, subscription: SubscriptionId, put_off: u64) {
        if let Some(lane) = self.lanes.get_mut(&subscription) {
            lane.turned_away = lane.turned_away.saturating_add(put_off);
            lane.is_wanted = true;
        }
    }

    /// Whether a lane has got room for which there is more; asked once for each time.
    pub(crate) const fn has_room_for_more(&mut self) -> bool {
        std::mem::replace(&mut self.has_room_for_more, false)
    }

    /// Gives back everything that is queued: on shutdown it goes back to Postgres.
    pub(crate) fn drain(&mut self) -> Vec<T> {
        self.turns.clear();
        self.queued = 0;
        let mut drained = Vec::new();
        for lane in self.lanes.values_mut() {
            let was_idle = lane.is_idle();
            lane.has_turn = false;
            while let Some((item, bytes)) = lane.pop() {
                lane.bytes -= bytes;
                self.bytes -= bytes;
                drained.push(item);
            }
            self.busy -= usize::from(!was_idle && lane.is_idle());
        }
        drained
    }

    /// Items queued in all lanes.
    #[must_use]
    pub(crate) const fn queued(&self) -> usize {
        self.queued
    }

    /// Lanes with something to do.
    #[must_use]
    pub(crate) const fn busy(&self) -> usize {
        self.busy
    }
}
