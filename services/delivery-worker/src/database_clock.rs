//! The database's time, as this worker knows it: measured now and then, carried on by the monotonic clock between.
//!
//! Leases are judged and requests are stamped by this time alone, so a worker whose wall clock is wrong by minutes still
//! agrees with the others and with the receivers.

use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use onering_clock::Clock;
use onering_delivery::DatabaseTime;
use onering_store::{Pool, StoreError, database_clock};

/// How often the clock is measured again; monotonic clocks drift by far less than a millisecond in that time.
pub(crate) const MEASURE_EVERY: Duration = Duration::from_secs(10);

/// A round trip longer than this says too little: the answer may be wrong by half of it.
const LONGEST_ROUND_TRIP: Duration = Duration::from_secs(1);

/// One measurement: at this monotonic instant the database's clock said this.
#[derive(Debug, Clone, Copy)]
struct Reading {
    at: Instant,
    time: DatabaseTime,
    /// How far the database's time may be off.
    round_trip: Duration,
}

/// The database's clock.
#[derive(Debug)]
pub(crate) struct DatabaseClock {
    clock: Clock,
    reading: RwLock<Reading>,
}

impl DatabaseClock {
    /// Measures the database's clock for the first time.
    ///
    /// # Errors
    /// [`StoreError`] when Postgres does not answer.
    pub(crate) async fn start(clock: Clock, pool: &Pool) -> Result<Self, StoreError> {
        let reading = measure(&clock, pool).await?;
        Ok(Self { clock, reading: RwLock::new(reading) })
    }

    /// Measures again.
    ///
    /// # Errors
    /// [`StoreError`] when Postgres does not answer; the last measurement stays in use, as it does after a slow answer.
    pub(crate) async fn refresh(&self, pool: &Pool) -> Result<(), StoreError> {
        let reading = measure(&self.clock, pool).await?;
        self.learn(reading);
        Ok(())
    }

    fn learn(&self, reading: Reading) {
        let mut kept = self.reading.write().unwrap_or_else(PoisonError::into_inner);
        if reading.round_trip <= LONGEST_ROUND_TRIP.max(kept.round_trip) {
            *kept = reading;
        }
    }

    /// The database's time now.
    #[must_use]
    pub(crate) fn now(&self) -> DatabaseTime {
        let reading = *self.reading.read().unwrap_or_else(PoisonError::into_inner);
        reading.time.plus(self.clock.monotonic().saturating_duration_since(reading.at))
    }
}

/// Asks the database, and counts its answer from the middle of the round trip.
async fn measure(clock: &Clock, pool: &Pool) -> Result<Reading, StoreError> {
    let mut connection = pool.get().await?;
    let asked = clock.monotonic();
    let time = database_clock::read(&mut connection).await?;
    let round_trip = clock.monotonic().saturating_duration_since(asked);
    Ok(Reading { at: asked + round_trip / 2, time, round_trip })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_answer_does_not_replace_a_quick_one() {
        let clock = Clock::system();
        let start = DatabaseTime::from_millis(1_763_769_600_000);
        let reading = |hours: u64, round_trip| {
            let time = start.plus(Duration::from_secs(hours * 3600));
            Reading { at: clock.monotonic(), time, round_trip: Duration::from_millis(round_trip) }
        };
        let known = DatabaseClock { reading: RwLock::new(reading(0, 3_000)), clock: clock.clone() };
        let hours = || known.now().since(start).as_secs() / 3600;
        known.learn(reading(1, 2_000));
        assert_eq!(hours(), 1, "better than what there was");
        known.learn(reading(2, 3));
        known.learn(reading(3, 5_000));
        assert_eq!(hours(), 2);
        known.learn(reading(4, 900));
        assert_eq!(hours(), 4);
    }
}
