//! How long the sweep's statement takes.

use std::convert::Infallible;
use std::time::Duration;

use onering_clock::Clock;
use onering_store::leases::{self, Wanted};
use onering_store::{AsyncPgConnection, StoreError};

use super::super::report::Report;

/// What a worker takes at once.
const BATCH: u32 = 500;
/// Sweeps timed.
const SWEEPS: u32 = 25;
const LEASE: Duration = Duration::from_secs(30);

/// Why a sweep is not committed.
enum Undone {
    /// It was only to be timed.
    OnPurpose(Duration),
    Store(StoreError),
}

impl From<StoreError> for Undone {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// How long each of several sweeps took. What they leased is given back.
pub(super) async fn measure(
    store: &mut AsyncPgConnection,
    row: &'static str,
    report: &mut Report,
) -> Result<(), StoreError> {
    // The first prepares the statement, which workers did long ago.
    once(store).await?;
    for _ in 0..SWEEPS {
        report.add(row, "ms", once(store).await?.as_secs_f64() * 1000.0);
    }
    Ok(())
}

async fn once(store: &mut AsyncPgConnection) -> Result<Duration, StoreError> {
    let clock = Clock::system();
    let undone: Result<Infallible, Undone> = onering_store::transaction(store, async |store| {
        let started = clock.monotonic();
        leases::sweep(store, "bench", LEASE, &Wanted::at_most(BATCH)).await?;
        Err(Undone::OnPurpose(clock.monotonic().saturating_duration_since(started)))
    })
    .await;
    match undone {
        Ok(never) => match never {},
        Err(Undone::OnPurpose(took)) => Ok(took),
        Err(Undone::Store(error)) => Err(error),
    }
}
