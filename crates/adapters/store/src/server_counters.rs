//! What the server itself counts, for measurements: transactions and written-ahead log.

use diesel::sql_types::BigInt;
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::statement::statement;
use crate::{Context, StoreError};

statement! {
    /// No row of the statistics means that nothing was counted yet.
    struct ReadCounters {} -> (BigInt, BigInt) =
        "SELECT coalesce(sum(xact_commit + xact_rollback), 0)::bigint, \
                pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint \
         FROM pg_stat_database WHERE datname = current_database()";
}

/// Totals since the server was made; only their differences say something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerCounters {
    /// Transactions of this database, whatever became of them. A connection tells of its own once a second while it works,
    /// and when it has rested for ten.
    pub transactions: u64,
    /// Bytes of log of the whole server.
    pub wal_bytes: u64,
}

/// Reads them.
///
/// # Errors
/// [`StoreError::Query`].
pub async fn read(connection: &mut AsyncPgConnection) -> Result<ServerCounters, StoreError> {
    let (transactions, wal_bytes): (i64, i64) =
        ReadCounters {}.get_result(connection).await.during("read the server's counters")?;
    Ok(ServerCounters { transactions: transactions.unsigned_abs(), wal_bytes: wal_bytes.unsigned_abs() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::World;

    #[tokio::test]
    async fn what_is_written_is_counted() {
        let mut world = World::new().await;
        let before = read(&mut world.connection).await.unwrap();
        world.sql("CREATE TABLE counted AS SELECT generate_series(1, 1000)").await;
        world.sql("SELECT pg_stat_force_next_flush()").await;
        let after = read(&mut world.connection).await.unwrap();
        assert!(after.transactions >= before.transactions + 2, "{before:?} {after:?}");
        assert!(after.wal_bytes > before.wal_bytes + 10_000, "{before:?} {after:?}");
    }
}
