//! Bringing a database to the schema this program was built with.

use std::time::Duration;

use diesel::migration::{Migration, MigrationSource};
use diesel::pg::Pg;
use diesel_async::{AsyncMigrationHarness, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::{Context, PoolConfig, StoreError, connect};

/// The linear history in `migrations/`, embedded.
pub const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../../migrations");

/// Key of the advisory lock that lets one process migrate at a time ("onering" in ASCII).
const LOCK: i64 = 0x6f_6e65_7269_6e67;

/// What the database has, against what this program knows.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct MigrationStatus {
    /// Versions applied, oldest first.
    pub applied: Vec<String>,
    /// Names of known migrations not applied, oldest first. Not empty: run `onering migrate`.
    pub pending: Vec<String>,
    /// Versions applied that this program does not know: the database is newer than the program.
    pub unknown: Vec<String>,
}

impl MigrationStatus {
    /// Whether the database has everything this program needs.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.pending.is_empty()
    }
}

/// Applies what is missing and answers the names of what it applied, oldest first. Several processes may call it at once: one works,
/// the others wait and find nothing to do. Works on any Tokio runtime.
///
/// # Errors
/// [`StoreError::Connect`], or [`StoreError::Migrate`] when a migration failed; those before it stay applied.
pub async fn migrate(config: &PoolConfig) -> Result<Vec<String>, StoreError> {
    let config = session(config);
    on_own_runtime(async move {
        let connection = locked(&config).await?;
        let mut harness = AsyncMigrationHarness::new(connection);
        let pending = harness.pending_migrations(MIGRATIONS).map_err(|source| StoreError::Migrate { source })?;
        let mut names = Vec::with_capacity(pending.len());
        for migration in &pending {
            harness.run_migration(migration).map_err(|source| StoreError::Migrate { source })?;
            names.push(migration.name().to_string());
        }
        Ok(names)
    })
    .await
}

/// Undoes every migration, newest first, and with them all data: for rehearsals of the way down.
///
/// # Errors
/// As [`migrate`].
pub async fn revert_all(config: &PoolConfig) -> Result<(), StoreError> {
    let config = session(config);
    on_own_runtime(async move {
        let connection = locked(&config).await?;
        let mut harness = AsyncMigrationHarness::new(connection);
        harness.revert_all_migrations(MIGRATIONS).map_err(|source| StoreError::Migrate { source })?;
        Ok(())
    })
    .await
}

/// Compares the database with this program. Changes nothing.
///
/// # Errors
/// [`StoreError::Query`] when the database cannot be read.
pub async fn migration_status(connection: &mut AsyncPgConnection) -> Result<MigrationStatus, StoreError> {
    const READ: &str = "read the migration history";
    let known = known_versions()?;
    let there: bool = diesel::select(diesel::dsl::sql::<diesel::sql_types::Bool>(
        "to_regclass('public.__diesel_schema_migrations') IS NOT NULL",
    ))
    .get_result(connection)
    .await
    .during(READ)?;
    let applied: Vec<String> = if there {
        diesel::dsl::sql::<diesel::sql_types::Text>(
            "SELECT version::text FROM public.__diesel_schema_migrations ORDER BY version",
        )
        .load(connection)
        .await
        .during(READ)?
    } else {
        Vec::new()
    };
    Ok(MigrationStatus {
        pending: known.iter().filter(|(version, _)| !applied.contains(version)).map(|(_, name)| name.clone()).collect(),
        unknown: applied.iter().filter(|version| known.iter().all(|(known, _)| known != *version)).cloned().collect(),
        applied,
    })
}

/// Version and name of every embedded migration, oldest first.
fn known_versions() -> Result<Vec<(String, String)>, StoreError> {
    let migrations: Vec<Box<dyn Migration<Pg>>> =
        MIGRATIONS.migrations().map_err(|source| StoreError::Migrate { source })?;
    let mut known: Vec<_> = migrations
        .iter()
        .map(|migration| (migration.name().version().to_string(), migration.name().to_string()))
        .collect();
    known.sort();
    Ok(known)
}

/// A migration may take as long as it takes.
fn session(config: &PoolConfig) -> PoolConfig {
    config.clone().application_name("onering-migrate").statement_timeout(Duration::ZERO)
}

/// A session that holds the lock until it ends. Diesel takes none, and the history table itself is made unguarded.
async fn locked(config: &PoolConfig) -> Result<AsyncPgConnection, StoreError> {
    let mut connection = connect(config).await?;
    connection
        .batch_execute(&format!("SET search_path TO public; SELECT pg_advisory_lock({LOCK})"))
        .await
        .during("wait for the migration lock")?;
    Ok(connection)
}

/// Diesel's harness blocks its thread inside a runtime, which only a multi-thread runtime allows and `select!` breaks
/// even there. A runtime of its own works wherever the caller is.
async fn on_own_runtime<T, W>(work: W) -> Result<T, StoreError>
where
    T: Send + 'static,
    W: Future<Output = Result<T, StoreError>> + Send + 'static,
{
    tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|source| StoreError::Migrate { source: source.into() })?;
        runtime.block_on(work)
    })
    .await
    .map_err(|source| StoreError::Migrate { source: source.into() })?
}

#[cfg(test)]
mod tests;
