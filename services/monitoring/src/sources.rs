//! [`Sources`]: what the figures are read from, and how a read fails.

use std::future::Future;
use std::time::Duration;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use onering_clock::Clock;
use onering_metrics_model::Thresholds;
use onering_store::{Pool, StoreError};
use onering_web::ApiError;

/// For everything but the ledger: these reads take milliseconds, and somebody who watches an incident wants to be told.
/// Postgres gives a statement up before (`statement_timeout` of the service's settings), so that this is for silence.
const READ_DEADLINE: Duration = Duration::from_secs(10);
/// The ledger counts every row of its range.
pub(crate) const LEDGER_DEADLINE: Duration = Duration::from_secs(120);
/// What "24 hours" means in every figure.
pub(crate) const DAY: TimeDelta = TimeDelta::hours(24);

/// Where figures come from. Clones share the connections.
#[derive(Debug, Clone)]
pub(crate) struct Sources {
    /// For short reads.
    pub(crate) pool: Pool,
    /// Few connections for long reads.
    pub(crate) ledger_pool: Pool,
    /// The time.
    pub(crate) clock: Clock,
    /// Above what alerts fire.
    pub(crate) thresholds: Thresholds,
}

/// Why there is no figure.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// Postgres refused or is away.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Postgres did not answer.
    #[error("the database did not answer within {} s", .0.as_secs())]
    TooSlow(Duration),
}

/// Whatever the cause: the caller learns that there is no figure, and may ask again.
impl From<ReadError> for ApiError {
    fn from(error: ReadError) -> Self {
        Self::unavailable(error)
    }
}

impl Sources {
    /// Now, to the millisecond, as answers show it.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now().trunc_subsecs(3)
    }
}

/// Where the 24 hours that end at `now` begin.
pub(crate) fn day_before(now: DateTime<Utc>) -> DateTime<Utc> {
    now - DAY
}

/// Waits for a short read, but not for ever: a network that swallows everything has no error of its own.
pub(crate) async fn read<T>(reading: impl Future<Output = Result<T, StoreError>>) -> Result<T, ReadError> {
    within(READ_DEADLINE, reading).await
}

/// Waits for a read this long.
pub(crate) async fn within<T>(
    deadline: Duration,
    reading: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, ReadError> {
    match tokio::time::timeout(deadline, reading).await {
        Ok(read) => Ok(read?),
        Err(_) => Err(ReadError::TooSlow(deadline)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_database_that_says_nothing_is_an_error() {
        let silence = std::future::pending::<Result<(), StoreError>>();
        let error = within(Duration::from_millis(1), silence).await.unwrap_err();
        assert!(matches!(error, ReadError::TooSlow(_)), "{error}");
        assert_eq!(ApiError::from(error).problem().status(), 503);
    }

    #[tokio::test]
    async fn a_row_nobody_understands_is_unreadable_too() {
        let garbled = StoreError::NotFound { what: "row" };
        let error = read(async { Err::<(), _>(garbled) }).await.unwrap_err();
        assert_eq!(ApiError::from(error).problem().status(), 503);
    }
}
