//! The database's time, as this worker knows it: measured now and then, carried on by the monotonic clock between.
//!
//! Leases are judged by this time alone, so a worker whose wall clock is wrong by minutes still agrees with the others.

use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use onering_clock::Clock;
use onering_delivery::DatabaseTime;
use onering_store::{Pool, StoreError, database_clock};

/// How often the clock is measured again; monotonic clocks drift by far less than a millisecond in that time.
pub const MEASURE_EVERY: Duration = Duration::from_secs(10);

/// One measurement: at this monotonic instant the database's clock said this.
#[derive(Debug, Clone, Copy)]
struct Reading {
    at: Instant,
    time: DatabaseTime,
}

/// The database's clock.
#[derive(Debug)]
pub struct DatabaseClock {
    clock: Clock,
    reading: RwLock<Reading>,
}

impl DatabaseClock {
    /// Measures the database's clock for the first time.
    ///
    /// # Errors
    /// [`StoreError`] when Postgres does not answer.
    pub async fn start(clock: Clock, pool: &Pool) -> Result<Self, StoreError> {
        let reading = measure(&clock, pool).await?;
        Ok(Self { clock, reading: RwLock::new(reading) })
    }

    /// Measures again.
    ///
    /// # Errors
    /// [`StoreError`] when Postgres does not answer; the last measurement stays in use.
    pub async fn refresh(&self, pool: &Pool) -> Result<(), StoreError> {
        let reading = measure(&self.clock, pool).await?;
        *self.reading.write().unwrap_or_else(PoisonError::into_inner) = reading;
        Ok(())
    }

    /// The database's time now.
    #[must_use]
    pub fn now(&self) -> DatabaseTime {
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
    Ok(Reading { at: asked + round_trip / 2, time })
}
