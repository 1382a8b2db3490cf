//! [`by_index`]: reads that follow an index, whatever Postgres takes the tables for.

use diesel::QueryResult;
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};

use crate::{Context, StoreError, transaction};

/// Which way a read is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Along {
    /// Along one index in its order, up to a limit.
    ItsOrder,
    /// Along indexes that bring just what is wanted, and all of it: in the order of the pages where that is cheaper.
    AnyOrder,
}

impl Along {
    /// Processes of its own for a read of some milliseconds take longer than it does. Whoever asked may have gone halfway:
    /// the pool finds that out when it hands the connection out again, and until then it would keep its locks.
    const fn settings(self) -> &'static str {
        match self {
            Self::ItsOrder => {
                "SET LOCAL enable_seqscan TO off; SET LOCAL enable_bitmapscan TO off; \
                 SET LOCAL max_parallel_workers_per_gather TO 0; SET LOCAL idle_in_transaction_session_timeout TO '5s'"
            }
            Self::AnyOrder => {
                "SET LOCAL enable_seqscan TO off; SET LOCAL max_parallel_workers_per_gather TO 0; \
                 SET LOCAL idle_in_transaction_session_timeout TO '5s'"
            }
        }
    }
}

/// Runs one statement that indexes answer, in a transaction of its own: in another's the settings would stay until its end.
///
/// By its estimates Postgres may read and sort everything instead: every day has new tables, all of which it takes to be due
/// until they are analysed, and it takes the row comparisons that bound an owner's rows for a ninth of the table, so that a
/// limit of 20,000 looks like none. Not for what reads most of a table.
///
/// # Errors
/// [`StoreError::Query`]: during `what`, or when Postgres fails before or after it.
pub(crate) async fn by_index<T>(
    connection: &mut AsyncPgConnection,
    along: Along,
    what: &'static str,
    read: impl AsyncFnOnce(&mut AsyncPgConnection) -> QueryResult<T>,
) -> Result<T, StoreError> {
    transaction(connection, async |connection| {
        connection.batch_execute(along.settings()).await.during("choose how to read")?;
        read(connection).await.during(what)
    })
    .await
}

#[cfg(test)]
mod tests {
    use diesel::dsl::sql;
    use diesel::sql_types::Text;
    use diesel_async::RunQueryDsl;

    use super::*;
    use crate::testing::World;

    const SHOWN: &str = "SELECT concat_ws(' ', current_setting('enable_seqscan'), current_setting('enable_bitmapscan'), \
                         current_setting('max_parallel_workers_per_gather'), current_setting('idle_in_transaction_session_timeout'))";

    #[tokio::test]
    async fn the_settings_are_there_for_the_read_and_gone_after_it() {
        let mut world = World::new().await;
        let before = world.text(SHOWN).await.unwrap();
        for (along, expected) in [(Along::ItsOrder, "off off 0 5s"), (Along::AnyOrder, "off on 0 5s")] {
            let read = async |connection: &mut AsyncPgConnection| sql::<Text>(SHOWN).get_result(connection).await;
            let shown: String = by_index(&mut world.connection, along, "show settings", read).await.unwrap();
            assert_eq!(shown, expected);
            assert_eq!(world.text(SHOWN).await.unwrap(), before);
        }
    }
}
