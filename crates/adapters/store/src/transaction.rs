//! One transaction around several functions of this crate: a change and its row of the audit log, say.

use diesel_async::{AsyncConnection, AsyncPgConnection, TransactionManager};

use crate::{Context, StoreError};

type Manager = <AsyncPgConnection as AsyncConnection>::TransactionManager;

/// Commits what `work` did when it answers `Ok`, and undoes it when it answers `Err`. Functions of this crate that use a
/// transaction of their own become part of it.
///
/// Nothing that waits for the outside world belongs in `work`: rows stay locked until it is done. When the future is dropped
/// halfway the connection is in the middle of a transaction, and the pool throws it away.
///
/// # Errors
/// What `work` answers; [`StoreError::Query`] when Postgres fails to begin or to commit, and then nothing has changed.
pub async fn transaction<T, E, W>(connection: &mut AsyncPgConnection, work: W) -> Result<T, E>
where
    W: AsyncFnOnce(&mut AsyncPgConnection) -> Result<T, E>,
    E: From<StoreError>,
{
    Manager::begin_transaction(connection).await.during("begin a transaction")?;
    match work(connection).await {
        Ok(value) => {
            Manager::commit_transaction(connection).await.during("commit a transaction")?;
            Ok(value)
        }
        Err(error) => {
            // The first error is the one that tells; a connection that cannot roll back is thrown away by the pool.
            if let Err(failed) = Manager::rollback_transaction(connection).await {
                tracing::warn!(error = &failed as &dyn std::error::Error, "cannot roll back a transaction");
            }
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use onering_ids::OwnerId;

    use super::*;
    use crate::partners;
    use crate::testing::World;

    #[tokio::test]
    async fn all_or_nothing() {
        let mut world = World::new().await;
        let connection = &mut world.connection;
        let (kept, undone): (OwnerId, OwnerId) = ("kept".parse().unwrap(), "undone".parse().unwrap());
        let failed: Result<(), StoreError> = transaction(connection, async |connection| {
            partners::ensure(connection, &undone).await?;
            Err(StoreError::NotFound { what: "reason to go on" })
        })
        .await;
        assert!(matches!(failed, Err(StoreError::NotFound { .. })));
        let made: Result<bool, StoreError> =
            transaction(connection, async |connection| partners::ensure(connection, &kept).await).await;
        assert!(made.unwrap());
        assert!(partners::get(connection, &undone).await.unwrap().is_none());
        assert!(partners::get(connection, &kept).await.unwrap().is_some());
    }
}
