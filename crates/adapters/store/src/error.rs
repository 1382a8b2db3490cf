//! What can go wrong between this process and Postgres.

use diesel::result::{DatabaseErrorKind, Error as QueryError};

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
    /// A row holds what this program cannot understand, so it was written by something else or by a newer version.
    #[error("a row of {table} is not understood: {problem}")]
    Row {
        /// The table.
        table: &'static str,
        /// Which column and why; never a payload.
        problem: String,
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
    /// Whether the same call may succeed later without anybody changing it: Postgres is away, restarting, or two
    /// transactions got in each other's way.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Pool { .. } => true,
            Self::Query { source, .. } => match source {
                QueryError::DatabaseError(kind, _) => matches!(
                    kind,
                    DatabaseErrorKind::SerializationFailure
                        | DatabaseErrorKind::ClosedConnection
                        | DatabaseErrorKind::UnableToSendCommand
                        | DatabaseErrorKind::ReadOnlyTransaction
                        | DatabaseErrorKind::Unknown
                ),
                QueryError::BrokenTransactionManager | QueryError::RollbackErrorOnCommit { .. } => true,
                _ => false,
            },
            Self::Address { .. }
            | Self::NotFound { .. }
            | Self::Conflict { .. }
            | Self::Row { .. }
            | Self::Migrate { .. } => false,
        }
    }

    /// For conversions of rows: `column` of `table` holds something else than the domain allows.
    pub(crate) fn row(table: &'static str, column: &str, problem: impl std::fmt::Display) -> Self {
        Self::Row { table, problem: format!("{column}: {problem}") }
    }
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
    /// change, else as [`StoreError::Query`].
    fn during(self, operation: &'static str) -> Result<T, StoreError>;
}

impl<T> Context<T> for Result<T, QueryError> {
    fn during(self, operation: &'static str) -> Result<T, StoreError> {
        self.map_err(|source| match &source {
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
    use super::*;

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
}
