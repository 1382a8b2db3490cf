//! One lane: a subscription's queue in this worker, and how it gets on.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use super::Freed;
use crate::lane_limit::LaneLimit;

/// A lane queues this many deliveries for each one it may have under way.
pub(super) const QUEUED_PER_SLOT: usize = 16;
/// With a rate limit it queues what that lets out in this many seconds: more would only keep places from others.
const QUEUED_SECONDS: usize = 2;
/// What does not fit comes back at the pace at which its lane gets on, as far as that is known: until it is, this many a
/// second for each attempt it may have under way.
const SUPPOSED_PACE: u64 = 100;
/// It comes back no sooner than this …
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
/// … and no later, because a slow receiver may be a fast one again …
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// … unless the pace is set: then there is nothing to find out meanwhile.
const LONGEST_PACED_PAUSE: Duration = Duration::from_secs(900);
/// What is older than this counts ever less when the pace is reckoned.
const PACE_WINDOW: Duration = Duration::from_secs(20);
/// A lane with nothing to do is remembered for so long, for the sake of its limit.
const REMEMBERED: Duration = Duration::from_secs(60);

/// How fast a subscription may be sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pace {
    /// Attempts under way at once.
    pub(crate) max_in_flight: NonZeroU32,
    /// Attempts started a second.
    pub(crate) per_second: Option<NonZeroU32>,
}

/// When what does not fit comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Waiting {
    /// The first of it, after all that did not fit before.
    pub(crate) pause: Duration,
    /// Each further one so much later.
    pub(crate) step: Duration,
    /// None later than this.
    pub(crate) longest: Duration,
}

impl Waiting {
    /// Of a subscription of which nothing is known.
    pub(crate) const UNKNOWN: Self =
        Self { pause: SHORTEST_PAUSE, step: Duration::from_millis(1), longest: LONGEST_PAUSE };
}

/// What all lanes together have left.
#[derive(Debug, Clone, Copy)]
pub(super) struct Left {
    pub(super) items: usize,
    pub(super) bytes: usize,
}

#[derive(Debug)]
pub(super) struct Lane<T> {
    /// Each with the bytes it holds.
    queue: VecDeque<(T, usize)>,
    /// Of what is queued and of what is under way.
    pub(super) bytes: usize,
    /// Of one item, about: so much had each when the last one came.
    each: usize,
    pub(super) in_flight: u32,
    pub(super) limit: LaneLimit,
    pub(super) pace: Pace,
    /// Since when it has had something to do without a break, or the part of that which counts; what it has done in it, and
    /// what did not fit since it was last half empty.
    busy_since: Instant,
    done: u64,
    pub(super) turned_away: u64,
    /// Whether there is more for it where that came from, for when it has room again.
    pub(super) is_wanted: bool,
    /// With a rate limit: when the next attempt may start.
    next_start: Option<Instant>,
    pub(super) has_turn: bool,
    idle_since: Option<Instant>,
}

impl<T> Lane<T> {
    pub(super) fn new(pace: Pace, now: Instant) -> Self {
        Self {
            queue: VecDeque::new(),
            bytes: 0,
            each: 0,
            in_flight: 0,
            limit: LaneLimit::new(),
            pace,
            busy_since: now,
            done: 0,
            turned_away: 0,
            is_wanted: false,
            next_start: None,
            has_turn: false,
            idle_since: None,
        }
    }

    pub(super) fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Whether an item of so many bytes may be queued. An idle lane takes one in any case, whatever its size.
    pub(super) fn takes(&self, bytes: usize, left: Left) -> bool {
        self.queued() < self.item_limit(left) && (self.is_idle() || self.bytes + bytes <= left.bytes)
    }

    /// How many more it may be brought. What its items weigh is known by those it had last.
    pub(super) fn room(&self, left: Left) -> usize {
        let items = self.item_limit(left).saturating_sub(self.queued());
        let bytes = self.byte_limit(left).saturating_sub(self.bytes) / self.each.max(1);
        items.min(bytes.max(usize::from(self.is_idle())))
    }

    /// Whether it has got room again that is worth bringing something for.
    pub(super) fn is_half_empty(&self, left: Left) -> bool {
        self.queued() <= self.item_limit(left) / 2 && self.bytes <= self.byte_limit(left) / 2
    }

    fn item_limit(&self, left: Left) -> usize {
        self.queue_limit().min(left.items).max(1)
    }

    /// Until it has as much as is left for the others.
    const fn byte_limit(&self, left: Left) -> usize {
        self.bytes.saturating_add(left.bytes) / 2
    }

    /// How many it may queue, of its own.
    fn queue_limit(&self) -> usize {
        let limit = self.limit.of(self.pace.max_in_flight) as usize * QUEUED_PER_SLOT;
        match self.pace.per_second {
            Some(rate) => limit.min(rate.get() as usize * QUEUED_SECONDS),
            None => limit,
        }
    }

    pub(super) fn push(&mut self, item: T, bytes: usize, now: Instant) {
        if self.idle_since.take().is_some() {
            self.busy_since = now;
            self.done = 0;
        }
        self.queue.push_back((item, bytes));
        self.bytes += bytes;
        self.each = self.bytes / (self.queued() + self.in_flight as usize);
    }

    pub(super) fn pop(&mut self) -> Option<(T, usize)> {
        self.queue.pop_front()
    }

    /// Whether it may start another attempt, with `left` slots for those that have some already.
    pub(super) fn may_start(&self, left: usize, now: Instant) -> bool {
        self.has_slot(left) && self.next_start.is_none_or(|start| start <= now)
    }

    /// No lane has more under way than is left for the others, or one.
    fn has_slot(&self, left: usize) -> bool {
        self.in_flight < self.limit.of(self.pace.max_in_flight) && (self.in_flight as usize) < left.max(1)
    }

    /// When it may start, if it waits for nothing but its rate.
    pub(super) fn paced_start(&self, left: usize) -> Option<Instant> {
        self.next_start.filter(|_| self.has_slot(left))
    }

    pub(super) fn started(&mut self, now: Instant) {
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

    pub(super) fn finished(&mut self, freed: Freed, now: Instant) {
        if let Some(over) = freed.over {
            self.limit.learn(over, self.in_flight, self.pace.max_in_flight, now);
        }
        self.in_flight = self.in_flight.saturating_sub(1);
        self.bytes -= freed.bytes;
        self.done += 1;
        let busy = now.saturating_duration_since(self.busy_since);
        if busy > PACE_WINDOW {
            self.busy_since += busy / 2;
            self.done /= 2;
        }
        if self.is_idle() {
            self.idle_since = Some(now);
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.in_flight == 0 && self.queue.is_empty()
    }

    /// Whether nothing that it knows matters any more.
    pub(super) fn is_forgettable(&self, now: Instant) -> bool {
        let rests = |since| now.saturating_duration_since(since) >= REMEMBERED;
        self.is_idle() && self.idle_since.is_none_or(rests) && self.next_start.is_none_or(|start| start <= now)
    }

    /// When what does not fit comes back.
    pub(super) fn waiting(&self, now: Instant) -> Waiting {
        let slots = u64::from(self.limit.of(self.pace.max_in_flight));
        let busy_us = u64::try_from(now.saturating_duration_since(self.busy_since).as_micros()).unwrap_or(u64::MAX);
        // As if it had been busy for one second more, at the supposed pace.
        let done = self.done.saturating_add(SUPPOSED_PACE * slots);
        let step = Duration::from_micros(busy_us.saturating_add(1_000_000) / done);
        let (step, longest) = match self.pace.per_second {
            Some(rate) => (step.max(Duration::from_secs(1) / rate.get()), LONGEST_PACED_PAUSE),
            None => (step, LONGEST_PAUSE),
        };
        let before = u32::try_from(self.turned_away).unwrap_or(u32::MAX);
        let pause = SHORTEST_PAUSE.saturating_add(step.saturating_mul(before)).min(longest);
        Waiting { pause, step, longest }
    }
}
