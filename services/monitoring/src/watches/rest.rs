//! [`Rest`]: what is looked at again and again takes a bounded share of a connection's time, however long a look takes.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use onering_store::StoreError;

use crate::sources::ReadError;

/// A long look is made up for by so many times its length: it takes at most about a tenth of the time.
const SHARE: u32 = 9;

/// Until when the next look is left out.
#[derive(Debug, Default)]
pub(super) struct Rest(Mutex<Option<Instant>>);

impl Rest {
    /// Whether it is time to look.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.until().is_none_or(|end| now >= end)
    }

    /// Notes a look. A database that is away costs nothing, and is asked again at once when it is back.
    pub(super) fn after<T>(&self, began: Instant, ended: Instant, read: &Result<T, ReadError>) {
        let away = matches!(read, Err(ReadError::Store(StoreError::Connect { .. } | StoreError::Pool { .. })));
        *self.until() = (!away).then(|| rest_until(began, ended));
    }

    /// Never held across an await.
    fn until(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn rest_until(began: Instant, ended: Instant) -> Instant {
    let took: Duration = ended.saturating_duration_since(began);
    ended + took * SHARE
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;
    use onering_clock::Clock;

    #[test]
    fn a_long_look_is_made_up_for() {
        let began = Clock::manual(DateTime::UNIX_EPOCH).monotonic();
        let (second, rest) = (Duration::from_secs(1), Rest::default());
        assert!(rest.is_over(began));
        rest.after(began, began + 7 * second, &Ok(()));
        assert!(!rest.is_over(began + 69 * second));
        assert!(rest.is_over(began + 70 * second));
        rest.after(began, began, &Ok(()));
        assert!(rest.is_over(began), "what took no time is looked at each round");
        rest.after::<()>(began, began + second, &Err(ReadError::TooSlow(second)));
        assert!(!rest.is_over(began + second), "what was given up has cost as much");
        let ended_by_postgres = StoreError::NotFound { what: "time left of its statement_timeout" };
        rest.after::<()>(began, began + second, &Err(ended_by_postgres.into()));
        assert!(!rest.is_over(began + second), "so has what Postgres gave up");
        let refused = StoreError::Connect { source: "refused".into() };
        rest.after::<()>(began, began + second, &Err(refused.into()));
        assert!(rest.is_over(began + second));
    }
}
