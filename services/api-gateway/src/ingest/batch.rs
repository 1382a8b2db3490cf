//! Which of the waiting events share the next commit. Pure.

use std::collections::{HashSet, VecDeque};

use super::prepared_event::PreparedEvent;

/// The most events of one commit.
pub(super) const MOST_EVENTS: usize = 512;
/// The most bytes of one commit, beyond its first event.
pub(super) const MOST_BYTES: usize = 4 * 1024 * 1024;

/// Something that waits to be written and has an event.
pub(super) trait Waiting {
    /// The event.
    fn event(&self) -> &PreparedEvent;
}

/// Takes from `waiting` what goes into the next commit, in order: never nothing while something waits.
///
/// Of two events with the same idempotency key the later one stays for the next commit, where it finds the first one
/// written; within one statement it could not see what the first was.
pub(super) fn next_batch<W: Waiting>(waiting: &mut VecDeque<W>) -> Vec<W> {
    let mut batch = Vec::with_capacity(waiting.len().min(MOST_EVENTS));
    let mut later = VecDeque::new();
    let mut claimed = HashSet::new();
    let mut bytes = 0;
    while let Some(next) = waiting.pop_front() {
        let event = next.event();
        let full = batch.len() == MOST_EVENTS || (!batch.is_empty() && bytes + event.weight() > MOST_BYTES);
        if full {
            waiting.push_front(next);
            break;
        }
        let claim = event.claim.as_ref().map(|claim| (claim.owner.clone(), claim.key.clone()));
        if claim.is_some_and(|claim| !claimed.insert(claim)) {
            later.push_back(next);
            continue;
        }
        bytes += event.weight();
        batch.push(next);
    }
    later.append(waiting);
    *waiting = later;
    batch
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use chrono::DateTime;
    use onering_ids::{EventId, KeyId, OwnerId};
    use proptest::prelude::*;

    use super::*;
    use crate::ingest::prepared_event::Claim;

    impl Waiting for PreparedEvent {
        fn event(&self) -> &PreparedEvent {
            self
        }
    }

    fn event(number: u64, bytes: usize, key: Option<u8>) -> PreparedEvent {
        let owner = OwnerId::default_partner();
        PreparedEvent {
            event_id: EventId::floor(number),
            recipient: owner.clone().into(),
            event_type: "ring.forged".parse().unwrap(),
            body: Bytes::from(vec![b' '; bytes]),
            occurred_at: DateTime::UNIX_EPOCH,
            publisher: KeyId::floor(0),
            claim: key.map(|key| Claim { owner, key: format!("k{key}").parse().unwrap(), digest: [0; 32].into() }),
        }
    }

    fn batches(events: Vec<PreparedEvent>) -> Vec<Vec<PreparedEvent>> {
        let mut waiting: VecDeque<_> = events.into();
        std::iter::from_fn(|| (!waiting.is_empty()).then(|| next_batch(&mut waiting))).collect()
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
    fn a_commit_is_bounded_and_a_large_event_goes_alone() {
        let many = batches((0..MOST_EVENTS as u64 + 1).map(|number| event(number, 1, None)).collect());
        assert_eq!(many.iter().map(Vec::len).collect::<Vec<_>>(), [MOST_EVENTS, 1]);
        let large = batches(vec![event(1, MOST_BYTES, None), event(2, MOST_BYTES, None), event(3, 1, None)]);
        assert_eq!(large.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1, 1]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_doubled_or_overtaken_by_its_own_key(
            plan in prop::collection::vec((0_usize..3_000_000, prop::option::of(0_u8..3)), 0..60),
        ) {
            let events: Vec<_> =
                plan.iter().zip(1..).map(|((bytes, key), number)| event(number, *bytes, *key)).collect();
            let batches = batches(events.clone());
            let mut seen: Vec<u64> = batches.iter().flat_map(|batch| numbers(batch)).collect();
            for key in 0..3_u8 {
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
