//! [`by_index`]: reads that follow an index in its order, whatever Postgres takes the tables for.

use diesel::QueryResult;
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};

use crate::{Context, StoreError, transaction};

/// Processes of its own for a read of some milliseconds take longer than it does.
const SETTINGS: &str = "SET LOCAL enable_seqscan TO off; SET LOCAL enable_bitmapscan TO off; \
                        SET LOCAL max_parallel_workers_per_gather TO 0";

/// Runs one statement that an index answers in its order, up to a limit.
///
/// By its estimates Postgres may read and sort everything instead: every day has new tables, all of which it takes to be due
/// until they are analysed, and it takes the row comparisons that bound an owner's rows for a ninth of the table, so that a
/// limit of 20,000 looks like none. Not for what reads most of a table, nor for what filters by two indexes at once.
///
/// # Errors
/// [`StoreError::Query`], during `what`.
pub(crate) async fn by_index<T>(
    connection: &mut AsyncPgConnection,
    what: &'static str,
    read: impl AsyncFnOnce(&mut AsyncPgConnection) -> QueryResult<T>,
) -> Result<T, StoreError> {
    transaction(connection, async |connection| {
        connection.batch_execute(SETTINGS).await.during("choose how to read")?;
        read(connection).await.during(what)
    })
    .await
}
