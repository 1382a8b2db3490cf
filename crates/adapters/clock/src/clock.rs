//! [`Clock`]: the wall clock, the stopwatch and what is made from them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use onering_ids::TypedId;

use crate::id_sequence::IdSequence;
use crate::randomness;

/// A source of time, ids and randomness. Cheap to clone; clones share everything.
#[derive(Debug, Clone)]
pub struct Clock {
    hands: Hands,
    ids: Arc<IdSequence>,
}

/// Where the time comes from.
#[derive(Debug, Clone)]
enum Hands {
    /// The machine's clock, shown `skew` ahead (or behind, when negative).
    System { skew: TimeDelta },
    /// A clock that stands still until a test moves it.
    Manual(Arc<Mutex<ManualHands>>),
}

#[derive(Debug)]
struct ManualHands {
    wall: DateTime<Utc>,
    monotonic: Instant,
}

impl Clock {
    /// The machine's clock: what every program uses.
    #[must_use]
    pub fn system() -> Self {
        Self::with_hands(Hands::System { skew: TimeDelta::zero() })
    }

    /// A clock that shows `start` until [`advance`](Self::advance) or [`set`](Self::set) moves it. For tests.
    #[must_use]
    pub fn manual(start: DateTime<Utc>) -> Self {
        Self::with_hands(Hands::Manual(Arc::new(Mutex::new(ManualHands { wall: start, monotonic: Instant::now() }))))
    }

    /// The same clock with its wall time moved by `skew` (negative: behind). For fault drills, which show
    /// that a machine with a wrong clock does no harm; the stopwatch stays as it is.
    #[must_use]
    pub fn skewed(&self, skew: TimeDelta) -> Self {
        match &self.hands {
            Hands::System { skew: already } => {
                Self::with_hands(Hands::System { skew: already.checked_add(&skew).unwrap_or(skew) })
            }
            Hands::Manual(hands) => {
                let start = lock(hands).wall;
                Self::manual(start.checked_add_signed(skew).unwrap_or(start))
            }
        }
    }

    /// The wall time, in whole microseconds: the finest that Postgres keeps.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        let now = match &self.hands {
            Hands::System { skew } => {
                let now = Utc::now();
                now.checked_add_signed(*skew).unwrap_or(now)
            }
            Hands::Manual(hands) => lock(hands).wall,
        };
        now - TimeDelta::nanoseconds(i64::from(now.timestamp_subsec_nanos() % 1_000))
    }

    /// The wall time as whole milliseconds since 1970; 0 for anything before.
    #[must_use]
    pub fn unix_ms(&self) -> u64 {
        u64::try_from(self.now().timestamp_millis()).unwrap_or(0)
    }

    /// The stopwatch: for measuring how long something took, and for deadlines inside this process.
    #[must_use]
    pub fn monotonic(&self) -> Instant {
        match &self.hands {
            Hands::System { .. } => Instant::now(),
            Hands::Manual(hands) => lock(hands).monotonic,
        }
    }

    /// A new id for this moment. Ids made by clones of one clock sort in the order they were made.
    #[must_use]
    pub fn fresh_id<T: TypedId>(&self) -> T {
        T::from_uuid(self.ids.next(self.unix_ms()))
    }

    /// 32 bytes straight from the operating system's generator: for tokens and secrets.
    #[must_use]
    pub fn entropy32(&self) -> [u8; 32] {
        randomness::entropy32()
    }

    /// 32 random bytes of the thread's generator: for ids that only have to differ. Not for secrets.
    #[must_use]
    pub fn noise32(&self) -> [u8; 32] {
        randomness::noise32()
    }

    /// A random number in `[0, 1)`: for spreading retries. Not for secrets.
    #[must_use]
    pub fn jitter(&self) -> f64 {
        randomness::unit_interval()
    }

    /// Moves a manual clock and its stopwatch forward. The system clock moves by itself and ignores it.
    pub fn advance(&self, by: Duration) {
        if let Some(mut hands) = self.manual_hands() {
            let wall = TimeDelta::from_std(by).ok();
            hands.wall = wall.and_then(|delta| hands.wall.checked_add_signed(delta)).unwrap_or(hands.wall);
            hands.monotonic = hands.monotonic.checked_add(by).unwrap_or(hands.monotonic);
        }
    }

    /// Sets the wall time of a manual clock, back as well as forward, as an administrator might; its
    /// stopwatch is not touched. The system clock ignores it.
    pub fn set(&self, wall: DateTime<Utc>) {
        if let Some(mut hands) = self.manual_hands() {
            hands.wall = wall;
        }
    }

    fn with_hands(hands: Hands) -> Self {
        Self { hands, ids: Arc::default() }
    }

    fn manual_hands(&self) -> Option<MutexGuard<'_, ManualHands>> {
        match &self.hands {
            Hands::System { .. } => {
                debug_assert!(false, "only a manual clock can be moved");
                None
            }
            Hands::Manual(hands) => Some(lock(hands)),
        }
    }
}

/// The hands are two plain values, so a panic elsewhere cannot leave them half moved.
fn lock(hands: &Mutex<ManualHands>) -> MutexGuard<'_, ManualHands> {
    hands.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use onering_ids::EventId;

    use super::*;

    fn noon() -> DateTime<Utc> {
        "2026-03-01T12:00:00.123456789Z".parse().unwrap()
    }

    #[test]
    fn a_manual_clock_stands_still_until_it_is_moved() {
        let clock = Clock::manual(noon());
        let (wall, stopwatch) = (clock.now(), clock.monotonic());
        assert_eq!(clock.now(), wall);
        assert_eq!(clock.monotonic(), stopwatch);
        let twin = clock.clone();
        twin.advance(Duration::from_millis(1500));
        assert_eq!(clock.now() - wall, TimeDelta::milliseconds(1500));
        assert_eq!(clock.monotonic() - stopwatch, Duration::from_millis(1500));
    }

    #[test]
    fn setting_the_wall_back_leaves_the_stopwatch() {
        let clock = Clock::manual(noon());
        let stopwatch = clock.monotonic();
        clock.set(noon() - TimeDelta::hours(1));
        assert!(clock.now() < noon());
        assert_eq!(clock.monotonic(), stopwatch);
    }

    #[test]
    fn now_has_microseconds_and_no_more() {
        let clock = Clock::manual(noon());
        assert_eq!(clock.now().timestamp_subsec_nanos(), 123_456_000);
        assert_eq!(clock.unix_ms() % 1000, 123);
    }

    #[test]
    fn a_skewed_clock_is_ahead_or_behind_by_what_was_asked() {
        let clock = Clock::system();
        let ahead = clock.skewed(TimeDelta::seconds(600)).now() - clock.now();
        assert!((ahead - TimeDelta::seconds(600)).abs() < TimeDelta::seconds(5));
        let behind = clock.skewed(TimeDelta::seconds(-600)).now() - clock.now();
        assert!((behind + TimeDelta::seconds(600)).abs() < TimeDelta::seconds(5));
        let manual = Clock::manual(noon()).skewed(TimeDelta::seconds(-5));
        assert_eq!(manual.now(), Clock::manual(noon()).now() - TimeDelta::seconds(5));
    }

    #[test]
    fn ids_sort_in_the_order_they_were_made_and_carry_the_time() {
        let clock = Clock::manual(noon());
        let ids: Vec<EventId> = (0..10_000).map(|_| clock.fresh_id()).collect();
        assert!(ids.is_sorted_by(|a, b| a < b));
        assert_eq!(ids[0].unix_ms(), clock.unix_ms());
        assert_eq!(ids[0].uuid().get_version_num(), 7);
    }

    #[test]
    fn time_before_1970_reads_as_zero() {
        let clock = Clock::manual("1960-01-01T00:00:00Z".parse().unwrap());
        assert_eq!(clock.unix_ms(), 0);
    }
}
