//! Which of the waiting events share the next commit. Pure.
//!
//! Publishers take turns: when more waits than a commit may have, who sends one event is in the next one, however many
//! events another one has handed in.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};

use onering_ids::{KeyId, OwnerId};
use onering_webhooks::IdempotencyKey;

use super::prepared_event::PreparedEvent;

/// The most events of one commit.
const MOST_EVENTS: usize = 512;
/// The most bytes of one commit, beyond its first event.
const MOST_BYTES: usize = 4 * 1024 * 1024;
/// The most events of one turn.
const TURN: usize = 32;

/// Something that waits to be written and has an event.
pub(super) trait Waiting {
    /// The event.
    fn event(&self) -> &PreparedEvent;
}

/// What waits to be written, by publisher.
pub(super) struct WaitingEvents<W> {
    /// None is empty.
    by_publisher: HashMap<KeyId, VecDeque<Next<W>>>,
    /// Those with something, in the order of their turns.
    turns: VecDeque<KeyId>,
    /// The idempotency keys that somebody has, each with those that came with it again: they wait until it is their turn to
    /// have it.
    taken_keys: HashMap<ClaimedKey, VecDeque<W>>,
}

/// Something in a publisher's queue.
struct Next<W> {
    submission: W,
    /// The one before it with its idempotency key has left that to it.
    has_its_key: bool,
}

/// An idempotency key, with whose it is.
pub(super) type ClaimedKey = (OwnerId, IdempotencyKey);

impl<W: Waiting> WaitingEvents<W> {
    pub(super) fn new() -> Self {
        Self { by_publisher: HashMap::new(), turns: VecDeque::new(), taken_keys: HashMap::new() }
    }

    /// Whether there is something that waits for its turn alone.
    pub(super) fn has_next(&self) -> bool {
        !self.turns.is_empty()
    }

    pub(super) fn push(&mut self, submission: W) {
        self.own(submission.event().publisher).push_back(Next { submission, has_its_key: false });
    }

    /// Takes what goes into the next commit, each publisher's in order: nothing only when all that waits must wait for commits
    /// under way.
    ///
    /// Of two events with the same idempotency key the later one stays until the commit of the first is over, and finds it
    /// written; within one statement it could not see what the first was, and in another one it could overtake it.
    pub(super) fn next_batch(&mut self) -> Vec<W> {
        let mut batch = Batch { taken: Vec::new(), bytes: 0, taken_keys: &mut self.taken_keys };
        while let Some(publisher) = self.turns.pop_front() {
            let Some(own) = self.by_publisher.get_mut(&publisher) else { continue };
            let turn = batch.take_turn(own);
            if own.is_empty() {
                self.by_publisher.remove(&publisher);
                continue;
            }
            match turn {
                Turn::Over => self.turns.push_back(publisher),
                Turn::NoRoom => {
                    self.turns.push_front(publisher);
                    break;
                }
            }
        }
        batch.taken
    }

    /// Notes that the commit with these keys is over. The first of those that wait for a key has it now, and is its publisher's
    /// next.
    pub(super) fn committed(&mut self, keys: &[ClaimedKey]) {
        for key in keys {
            match self.taken_keys.get_mut(key).and_then(VecDeque::pop_front) {
                Some(submission) => {
                    self.own(submission.event().publisher).push_front(Next { submission, has_its_key: true });
                }
                None => drop(self.taken_keys.remove(key)),
            }
        }
    }

    /// What waits of this publisher, which gets a turn.
    fn own(&mut self, publisher: KeyId) -> &mut VecDeque<Next<W>> {
        let own = self.by_publisher.entry(publisher).or_default();
        if own.is_empty() {
            self.turns.push_back(publisher);
        }
        own
    }
}

/// How a publisher's turn ended.
enum Turn {
    /// It has had what it may have of this round.
    Over,
    /// The commit has no room for anything of it.
    NoRoom,
}

/// A commit that is put together.
struct Batch<'a, W> {
    taken: Vec<W>,
    bytes: usize,
    taken_keys: &'a mut HashMap<ClaimedKey, VecDeque<W>>,
}

impl<W: Waiting> Batch<'_, W> {
    fn take_turn(&mut self, own: &mut VecDeque<Next<W>>) -> Turn {
        let before = self.taken.len();
        while self.taken.len() < before + TURN
            && let Some(next) = own.pop_front()
        {
            let event = next.submission.event();
            if !self.has_room_for(event) {
                own.push_front(next);
                // A publisher that fills a commit by itself must not be the first in the next one as well.
                return if self.taken.len() == before { Turn::NoRoom } else { Turn::Over };
            }
            let weight = event.weight();
            if let Some(submission) = self.with_its_key(next) {
                self.bytes += weight;
                self.taken.push(submission);
            }
        }
        Turn::Over
    }

    /// The event itself when nobody else has its key, which it has from now on; otherwise it waits for that.
    fn with_its_key(&mut self, Next { submission, has_its_key }: Next<W>) -> Option<W> {
        let Some(key) = submission.event().claimed_key().filter(|_| !has_its_key) else { return Some(submission) };
        match self.taken_keys.entry(key) {
            Entry::Vacant(free) => {
                free.insert(VecDeque::new());
                Some(submission)
            }
            Entry::Occupied(taken) => {
                taken.into_mut().push_back(submission);
                None
            }
        }
    }

    fn has_room_for(&self, event: &PreparedEvent) -> bool {
        self.taken.is_empty() || (self.taken.len() < MOST_EVENTS && self.bytes + event.weight() <= MOST_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    impl WaitingEvents<PreparedEvent> {
        /// Whether nothing waits, for its turn or for a commit under way.
        fn is_empty(&self) -> bool {
            self.turns.is_empty() && self.taken_keys.values().all(VecDeque::is_empty)
        }
    }

    impl Waiting for PreparedEvent {
        fn event(&self) -> &PreparedEvent {
            self
        }
    }

    fn event(number: u64, bytes: usize, key: Option<u8>) -> PreparedEvent {
        event_of(0, number, bytes, key)
    }

    fn event_of(publisher: u64, number: u64, bytes: usize, key: Option<u8>) -> PreparedEvent {
        PreparedEvent::sample(publisher, number, bytes, key)
    }

    fn waiting(events: Vec<PreparedEvent>) -> WaitingEvents<PreparedEvent> {
        let mut waiting = WaitingEvents::new();
        events.into_iter().for_each(|event| waiting.push(event));
        waiting
    }

    /// The next commit, over before there is another.
    fn committed(waiting: &mut WaitingEvents<PreparedEvent>) -> Vec<PreparedEvent> {
        let batch = waiting.next_batch();
        waiting.committed(&batch.iter().filter_map(PreparedEvent::claimed_key).collect::<Vec<_>>());
        batch
    }

    fn batches(events: Vec<PreparedEvent>) -> Vec<Vec<PreparedEvent>> {
        let mut waiting = waiting(events);
        std::iter::from_fn(|| (!waiting.is_empty()).then(|| committed(&mut waiting))).collect()
    }

    fn numbers(batch: &[PreparedEvent]) -> Vec<u64> {
        batch.iter().map(|event| event.event_id.unix_ms()).collect()
    }

    #[test]
    fn the_second_with_a_key_waits_and_the_others_do_not() {
        let events = vec![event(1, 1, Some(7)), event(2, 1, Some(7)), event(3, 1, None), event(4, 1, Some(7))];
        let batches = batches(events);
        assert_eq!(batches.iter().map(|batch| numbers(batch)).collect::<Vec<_>>(), [vec![1, 3], vec![2], vec![4]]);
    }

    #[test]
    fn while_the_first_with_a_key_is_under_way_the_second_waits() {
        let mut waiting = waiting(vec![event(1, 1, Some(7))]);
        let first = waiting.next_batch();
        waiting.push(event(2, 1, Some(7)));
        assert!(waiting.next_batch().is_empty() && !waiting.is_empty());
        waiting.push(event(3, 1, None));
        assert_eq!(numbers(&waiting.next_batch()), [3], "others do not");
        waiting.committed(&[first[0].claimed_key().unwrap()]);
        assert_eq!(numbers(&waiting.next_batch()), [2]);
        assert!(waiting.is_empty());
    }

    #[test]
    fn a_commit_is_bounded_and_a_large_event_goes_alone() {
        let many = batches((0..MOST_EVENTS as u64 + 1).map(|number| event(number, 1, None)).collect());
        assert_eq!(many.iter().map(Vec::len).collect::<Vec<_>>(), [MOST_EVENTS, 1]);
        let large = batches(vec![event(1, MOST_BYTES, None), event(2, MOST_BYTES, None), event(3, 1, None)]);
        assert_eq!(large.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 1]);
    }

    #[test]
    fn who_has_one_event_is_in_the_next_commit_beside_any_flood() {
        let flood = (0..2 * MOST_EVENTS as u64).map(|number| event_of(1, number, 1, None));
        let events = flood.chain([event_of(2, 9_998, 1, None), event_of(3, 9_999, 1, None)]).collect();
        let batches = batches(events);
        assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [MOST_EVENTS, MOST_EVENTS, 2]);
        assert_eq!(numbers(&batches[0])[TURN..TURN + 2], [9_998, 9_999]);
    }

    /// Nor may it take one commit after the other whole.
    #[test]
    fn large_events_take_turns_as_well() {
        let flood = (0..32).map(|number| event_of(1, number, MOST_BYTES / 8, None));
        let batches = batches(flood.chain([event_of(2, 99, 1, None)]).collect());
        assert!(batches.iter().take(2).any(|batch| numbers(batch).contains(&99)), "{batches:?}");
        assert_eq!(batches.iter().map(Vec::len).sum::<usize>(), 33);
    }

    /// Each of them needs a commit of its own; what else their publisher has handed in does not wait for these.
    #[test]
    fn many_with_one_key_keep_nothing_else_waiting() {
        let again = (0..1_000).map(|number| event_of(1, number, 1, Some(7)));
        let batches = batches(again.chain((1_000..1_003).map(|number| event_of(1, number, 1, None))).collect());
        assert_eq!(numbers(&batches[0]), [0, 1_000, 1_001, 1_002]);
        let rest: Vec<u64> = batches[1..].iter().flat_map(|batch| numbers(batch)).collect();
        assert_eq!(rest, (1..1_000).collect::<Vec<_>>());
    }

    proptest! {
        #[test]
        fn nothing_is_lost_doubled_or_overtaken_by_its_own_key(
            plan in prop::collection::vec((0_u64..3, 0_usize..3_000_000, prop::option::of(0_u8..3)), 0..60),
        ) {
            let events: Vec<_> = plan
                .iter()
                .zip(1..)
                // Nobody else's key is another's: each publisher has three of its own.
                .map(|((publisher, bytes, key), number)| {
                    event_of(*publisher, number, *bytes, key.map(|key| key + 3 * *publisher as u8))
                })
                .collect();
            let batches = batches(events.clone());
            let mut seen: Vec<u64> = batches.iter().flat_map(|batch| numbers(batch)).collect();
            for key in 0..9_u8 {
                let text = format!("k{key}");
                let of_key = |event: &&PreparedEvent| event.claim.as_ref().is_some_and(|claim| claim.key.as_str() == text);
                let written: Vec<u64> =
                    batches.iter().flatten().filter(of_key).map(|event| event.event_id.unix_ms()).collect();
                prop_assert!(written.is_sorted());
                prop_assert!(batches.iter().all(|batch| batch.iter().filter(of_key).count() <= 1));
            }
            for batch in &batches {
                prop_assert!(!batch.is_empty());
                let bytes: usize = batch.iter().map(PreparedEvent::weight).sum();
                prop_assert!(batch.len() == 1 || bytes <= MOST_BYTES);
            }
            seen.sort_unstable();
            prop_assert_eq!(seen, (1..=events.len() as u64).collect::<Vec<_>>());
        }
    }
}
