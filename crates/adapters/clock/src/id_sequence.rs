//! UUIDv7s that sort in the order they were made.
//!
//! The 12 bits behind the milliseconds count within the millisecond (RFC 9562, 6.2, method 1), so a batch
//! keeps its order when it is listed by id; the 62 bits behind them are random, so processes do not collide.

use std::sync::atomic::{AtomicU64, Ordering};

use uuid::{Builder, Uuid};

use crate::randomness;

/// Bits of the counter within one millisecond.
const COUNTER_BITS: u32 = 12;

/// How far ids may run ahead of the wall clock, ms. Reached only when the clock was set back: a small step
/// is bridged by counting on, after a large one ids follow the clock again, for they name the day's partition.
const LEAD_MAX_MS: u64 = 1_000;

/// The last (millisecond, counter) given out, packed so that one atomic step moves both.
#[derive(Debug, Default)]
pub(crate) struct IdSequence {
    last: AtomicU64,
}

impl IdSequence {
    /// The next id at `unix_ms`.
    pub(crate) fn next(&self, unix_ms: u64) -> Uuid {
        let step = |last| Some(successor(last, unix_ms));
        // The closure always answers, so both arms carry the value that was replaced.
        let (Ok(last) | Err(last)) = self.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step);
        let position = successor(last, unix_ms);
        let counter = u16::try_from(position & ((1 << COUNTER_BITS) - 1)).unwrap_or(0);

        let mut tail = [0; 10];
        tail[..2].copy_from_slice(&counter.to_be_bytes());
        tail[2..].copy_from_slice(&randomness::eight_bytes());
        Builder::from_unix_timestamp_millis(position >> COUNTER_BITS, &tail).into_uuid()
    }
}

/// The position after `last` at `unix_ms`: greater than `last`, unless the clock went back a long way.
fn successor(last: u64, unix_ms: u64) -> u64 {
    let floor = unix_ms << COUNTER_BITS;
    let counted_on = last.saturating_add(1);
    let runs_away = counted_on >> COUNTER_BITS > unix_ms.saturating_add(LEAD_MAX_MS);
    if runs_away { floor } else { floor.max(counted_on) }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn unix_ms(id: Uuid) -> u64 {
        let bytes = id.as_bytes();
        bytes[..6].iter().fold(0, |ms, byte| ms << 8 | u64::from(*byte))
    }

    #[test]
    fn a_full_millisecond_counts_on_into_the_next() {
        let ids = IdSequence::default();
        let made: Vec<Uuid> = (0..5_000).map(|_| ids.next(1_000)).collect();
        assert!(made.is_sorted_by(|a, b| a < b));
        assert_eq!((unix_ms(made[0]), unix_ms(made[4_999])), (1_000, 1_001));
    }

    #[test]
    fn a_small_step_back_is_bridged_and_a_large_one_followed() {
        let ids = IdSequence::default();
        let first = ids.next(5_000_000);
        assert!(ids.next(5_000_000 - LEAD_MAX_MS) > first);
        assert_eq!(unix_ms(ids.next(1_000_000)), 1_000_000);
    }

    #[test]
    fn threads_never_share_an_id() {
        let ids = IdSequence::default();
        let make = || (0..2_000).map(|_| ids.next(77)).collect::<Vec<_>>();
        let all: Vec<Uuid> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(make)).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        assert!(all.chunks(2_000).all(|made| made.is_sorted_by(|a, b| a < b)));
        // The first 8 bytes hold time and counter only: these alone must already differ.
        let positions: HashSet<_> = all.iter().map(|id| id.as_u64_pair().0).collect();
        assert_eq!(positions.len(), all.len());
    }

    proptest! {
        #[test]
        fn the_successor_is_greater_while_the_clock_does_not_jump_back(
            last_ms in 0u64..1 << 47,
            ahead in 0u64..10_000,
        ) {
            let last = last_ms << COUNTER_BITS;
            prop_assert!(successor(last, last_ms + ahead) > last);
        }
    }
}
