//! [`DatabaseLine`]: one Postgres connection of one task, opened again when it breaks.

use std::time::{Duration, Instant};

use onering_clock::Clock;
use onering_store::pool::PoolConfig;
use onering_store::{AsyncPgConnection, StoreError, connect};

/// For how long after a failed attempt nobody tries again, at first and at most. Callers are told at once meanwhile.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A connection that lives on the runtime of its user.
pub(super) struct DatabaseLine {
    config: PoolConfig,
    clock: Clock,
    connection: Option<AsyncPgConnection>,
    pause: Duration,
    not_before: Option<Instant>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoLine {
    /// It could not be opened.
    #[error("no connection for accepting events")]
    Refused(#[source] StoreError),
    /// It could not be opened a moment ago.
    #[error("there was no connection for accepting events a moment ago")]
    Resting,
}

impl DatabaseLine {
    /// A line that is not open yet.
    pub(super) fn new(config: PoolConfig, clock: Clock) -> Self {
        Self { config, clock, connection: None, pause: FIRST_PAUSE, not_before: None }
    }

    /// The connection, opened if need be.
    ///
    /// # Errors
    /// When it cannot be opened, or could not be a moment ago.
    pub(super) async fn open(&mut self) -> Result<&mut AsyncPgConnection, NoLine> {
        if self.connection.is_none() {
            if self.not_before.is_some_and(|not_before| self.clock.monotonic() < not_before) {
                return Err(NoLine::Resting);
            }
            match connect(&self.config).await {
                Ok(connection) => {
                    self.connection = Some(connection);
                    self.pause = FIRST_PAUSE;
                    self.not_before = None;
                }
                Err(error) => {
                    self.not_before = Some(self.clock.monotonic() + self.pause);
                    self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                    return Err(NoLine::Refused(error));
                }
            }
        }
        self.connection.as_mut().ok_or(NoLine::Resting)
    }

    /// Gives the connection up: the next use opens another.
    pub(super) fn hang_up(&mut self) {
        self.connection = None;
    }
}
