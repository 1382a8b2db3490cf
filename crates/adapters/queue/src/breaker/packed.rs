//! How a breaker stands in Redis: its kind, a count, until when, the probe, and when it was changed last; see `change.lua`.

use std::time::Duration;

use onering_delivery::{Breaker, DatabaseTime};
use onering_ids::DeliveryId;
use uuid::Uuid;

/// Reads a breaker; `None` for what is none. Its times are by Redis' clock, in Unix milliseconds, and are told here by the
/// database's: `redis_ms` and `now` are the same instant by the one and the other.
pub(crate) fn unpack(packed: &str, redis_ms: u64, now: DatabaseTime) -> Option<Breaker> {
    let mut parts = packed.split(' ');
    let (kind, count, until, probe) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let count = count.parse().ok()?;
    let until = translate(until.parse().ok()?, redis_ms, now);
    match kind {
        "c" => Some(Breaker::Closed { failures: count }),
        "o" => Some(Breaker::Open { opens: count, until }),
        "h" => {
            let probe = DeliveryId::from_uuid(Uuid::parse_str(probe).ok()?);
            Some(Breaker::HalfOpen { opens: count, probe, until })
        }
        _ => None,
    }
}

fn translate(until_ms: u64, redis_ms: u64, now: DatabaseTime) -> DatabaseTime {
    match until_ms.checked_sub(redis_ms) {
        Some(ahead) => now.plus(Duration::from_millis(ahead)),
        None => now.minus(Duration::from_millis(redis_ms - until_ms)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: DatabaseTime = DatabaseTime::from_millis(5_000_000);

    #[test]
    fn times_are_told_by_the_databases_clock() {
        let unpacked = |until| unpack(&format!("o 2 {until} - 1"), 70_000, NOW);
        let open = |until| Some(Breaker::Open { opens: 2, until: DatabaseTime::from_millis(until) });
        assert_eq!(unpacked(70_000), open(5_000_000));
        assert_eq!(unpacked(71_500), open(5_001_500));
        assert_eq!(unpacked(69_000), open(4_999_000), "over for a second");
        let probe = DeliveryId::from_uuid(Uuid::from_u128(7));
        let half_open = Breaker::HalfOpen { opens: 1, probe, until: NOW };
        assert_eq!(unpack(&format!("h 1 70000 {} 1", probe.uuid()), 70_000, NOW), Some(half_open));
        assert_eq!(unpack("c 3 0 - 1", 70_000, NOW), Some(Breaker::Closed { failures: 3 }));
    }

    proptest! {
        #[test]
        fn whatever_stands_there_is_read_or_refused(text in "[cohx]? ?[0-9a-f -]{0,60}", redis_ms: u64, micros: i64) {
            let _ = unpack(&text, redis_ms, DatabaseTime::from_micros(micros));
        }
    }
}
