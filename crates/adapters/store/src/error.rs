//! What can go wrong between this process and Postgres.

use diesel::result::{DatabaseErrorInformation, DatabaseErrorKind, Error as QueryError};

/// A failure of the store: which operation, in which context, and what Postgres or the driver said.
///
/// No variant holds a value of a row or a password: all of it may be logged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The settings of the connection are wrong; trying again will not help.
    #[error("the database address is not usable: {problem}")]
    Address {
        /// What is wrong with it, without its password.
        problem: String,
    },
    /// No connection could be opened.
    #[error("cannot connect to the database")]
    Connect {
        /// What the driver said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No pooled connection came free in time, or none could be opened.
    #[error("no database connection from the pool")]
    Pool {
        /// What the pool said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A statement failed.
    #[error("cannot {operation}")]
    Query {
        /// What was being done, such as `settle deliveries`.
        operation: &'static str,
        /// What Postgres or the driver said.
        #[source]
        source: QueryError,
    },
    /// The thing asked for is not there.
    #[error("no such {what}")]
    NotFound {
        /// Kind of thing, such as `delivery`.
        what: &'static str,
    },
    /// The change contradicts what is already there.
    #[error("cannot {operation}: it conflicts with what is there")]
    Conflict {
        /// What was being done.
        operation: &'static str,
        /// Name of the violated constraint, where Postgres gave one.
        constraint: Option<String>,
    },
    /// A row's day has no partition, so that nothing can be written for it until somebody makes one.
    #[error("cannot {operation}: {table} has no partition for that day (delivery workers make them ahead)")]
    MissingPartition {
        /// What was being done.
        operation: &'static str,
        /// The partitioned table.
        table: String,
    },
    /// A row holds what this program cannot understand, so it was written by something else or by a newer version.
    #[error("a row of {table} is not understood: {problem}")]
    Row {
        /// The table.
        table: &'static str,
        /// Which column and why; never a payload.
        problem: String,
    },
    /// Rows for a benchmark could not be copied.
    #[error("cannot {operation}")]
    Copy {
        /// What was being done, such as `seed a day`.
        operation: &'static str,
        /// What Postgres or the driver said.
        #[source]
        source: tokio_postgres::Error,
    },
    /// A migration failed.
    #[error("cannot migrate the database")]
    Migrate {
        /// What the migration said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl StoreError {
    /// Whether the same call may succeed later without anybody changing it: Postgres is away, restarting, two
    /// transactions got in each other's way, or a partition is still to be made.
    ///
    /// The driver hands on the SQLSTATE of constraints and serialisation failures only; everything else is `Unknown` to
    /// it, a shutdown (57P01), a full disk (53100) or a deadlock (40P01) as well as a column that does not exist (42703).
    /// What it does hand on is the position in the statement, which Postgres gives for what it cannot parse or analyse: a
    /// statement with a position stays wrong, everything else is tried again. That errs for data that an operation refuses
    /// while it runs (22xxx, no position), so whoever must not be held up by one row bounds what it sends: counts are capped
    /// and texts made storable before they get here.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Pool { .. } | Self::MissingPartition { .. } => true,
            Self::Query { source, .. } => match source {
                QueryError::DatabaseError(DatabaseErrorKind::Unknown, details) => !is_wrong(&**details),
                QueryError::DatabaseError(kind, _) => matches!(
                    kind,
                    DatabaseErrorKind::SerializationFailure
                        | DatabaseErrorKind::ClosedConnection
                        | DatabaseErrorKind::UnableToSendCommand
                        | DatabaseErrorKind::ReadOnlyTransaction
                ),
                QueryError::BrokenTransactionManager | QueryError::RollbackErrorOnCommit { .. } => true,
                _ => false,
            },
            Self::Address { .. }
            | Self::NotFound { .. }
            | Self::Conflict { .. }
            | Self::Row { .. }
            | Self::Copy { .. }
            | Self::Migrate { .. } => false,
        }
    }

    /// For conversions of rows: `column` of `table` holds something else than the domain allows.
    pub(crate) fn row(table: &'static str, column: &str, problem: impl std::fmt::Display) -> Self {
        Self::Row { table, problem: format!("{column}: {problem}") }
    }
}

/// Whether the statement itself is at fault. A wait for a table's lock that ends while the statement is analysed gets the
/// table's position too; of those the text tells (in the language of the server: in another one they are taken for wrong).
fn is_wrong(details: &(dyn DatabaseErrorInformation + Send + Sync)) -> bool {
    const WAITED: [&str; 3] = ["canceling", "terminating", "deadlock"];
    let waited = WAITED.iter().any(|beginning| details.message().starts_with(beginning));
    details.statement_position().is_some() && !waited
}

/// Only for `?` inside `AsyncConnection::transaction`, whose BEGIN and COMMIT fail as plain driver errors. Statements
/// say what they were doing with [`Context::during`].
impl From<QueryError> for StoreError {
    fn from(source: QueryError) -> Self {
        Self::Query { operation: "begin or commit a transaction", source }
    }
}

/// Gives a driver's error its context.
pub trait Context<T> {
    /// Names the operation that failed, as in "cannot …".
    ///
    /// # Errors
    /// The failure, as [`StoreError::Conflict`] when a unique, foreign-key, exclusion or check constraint refused the
    /// change, as [`StoreError::MissingPartition`] where there is no partition for a row, else as [`StoreError::Query`].
    fn during(self, operation: &'static str) -> Result<T, StoreError>;
}

impl<T> Context<T> for Result<T, QueryError> {
    fn during(self, operation: &'static str) -> Result<T, StoreError> {
        self.map_err(|source| match &source {
            // Postgres has one SQLSTATE for both: a constraint has a name, and a rule of the table's own triggers no table.
            QueryError::DatabaseError(DatabaseErrorKind::CheckViolation, details)
                if details.constraint_name().is_none() && details.table_name().is_some() =>
            {
                StoreError::MissingPartition { operation, table: details.table_name().unwrap_or_default().to_owned() }
            }
            QueryError::DatabaseError(
                DatabaseErrorKind::UniqueViolation
                | DatabaseErrorKind::ForeignKeyViolation
                | DatabaseErrorKind::ExclusionViolation
                | DatabaseErrorKind::CheckViolation,
                details,
            ) => StoreError::Conflict { operation, constraint: details.constraint_name().map(str::to_owned) },
            _ => StoreError::Query { operation, source },
        })
    }
}

#[cfg(test)]
mod tests {
    use diesel_async::SimpleAsyncConnection;

    use super::*;
    use crate::testing::World;

    fn failed(kind: DatabaseErrorKind) -> StoreError {
        let refused: Result<(), _> = Err(QueryError::DatabaseError(kind, Box::new("because".to_owned())));
        refused.during("test the store").unwrap_err()
    }

    #[test]
    fn constraints_are_conflicts_and_the_rest_keeps_its_source() {
        assert!(matches!(failed(DatabaseErrorKind::UniqueViolation), StoreError::Conflict { .. }));
        let query = failed(DatabaseErrorKind::NotNullViolation);
        assert_eq!(query.to_string(), "cannot test the store");
        assert_eq!(std::error::Error::source(&query).map(ToString::to_string).as_deref(), Some("because"));
    }

    #[test]
    fn only_what_may_pass_by_itself_is_transient() {
        assert!(failed(DatabaseErrorKind::SerializationFailure).is_transient());
        assert!(failed(DatabaseErrorKind::ClosedConnection).is_transient());
        assert!(!failed(DatabaseErrorKind::UniqueViolation).is_transient());
        assert!(!failed(DatabaseErrorKind::NotNullViolation).is_transient());
        assert!(!StoreError::NotFound { what: "delivery" }.is_transient());
    }

    /// As Postgres itself says it; each in a transaction of its own.
    async fn said(world: &mut World, statements: &str) -> StoreError {
        let refused = world.connection.batch_execute(statements).await.during("test the store").expect_err(statements);
        world.connection.batch_execute("ROLLBACK").await.ok();
        refused
    }

    #[tokio::test]
    async fn a_broken_statement_stays_broken() {
        let mut world = World::new().await;
        world
            .sql("CREATE FUNCTION broken() RETURNS void LANGUAGE plpgsql AS 'BEGIN PERFORM no_such_column; END'")
            .await;
        for statement in [
            "SELECT no_such_column",
            "SELECT * FROM no_such_table",
            "SELEC 1",
            "SELECT no_such_function()",
            "SELECT 'x'::no_such_type",
            "SELECT 1 + 'x'::text",
            "SELECT 'not a number'::integer",
            "SELECT broken()",
        ] {
            let refused = said(&mut world, statement).await;
            assert!(!refused.is_transient(), "{statement}: {refused:?}");
        }
    }

    #[tokio::test]
    async fn what_the_server_is_in_the_way_of_is_tried_again() {
        let mut world = World::new().await;
        let mut other = world.another_connection().await;
        other.batch_execute("BEGIN; LOCK TABLE partners").await.unwrap();
        for statements in [
            "SET statement_timeout = '1 ms'; SELECT pg_sleep(5)",
            "RESET statement_timeout; SET lock_timeout = '1 ms'; SELECT * FROM partners",
            "RESET lock_timeout; DO $$ BEGIN RAISE EXCEPTION 'no room' USING ERRCODE = '53100'; END $$",
            "DO $$ BEGIN RAISE EXCEPTION 'two in each other''s way' USING ERRCODE = '40P01'; END $$",
        ] {
            let refused = said(&mut world, statements).await;
            assert!(refused.is_transient(), "{statements}: {refused:?}");
        }
        let shut_down = said(&mut world, "SELECT pg_terminate_backend(pg_backend_pid())").await;
        assert!(shut_down.is_transient(), "{shut_down:?}");
        let gone = said(&mut world, "SELECT 1").await;
        assert!(gone.is_transient(), "{gone:?}");
    }
}
