use onering_clock::Clock;
use onering_flags::FlagsHandle;
use onering_queue::{Announcement, Announcer};
use onering_store::pool::{Connection, Pool};
use onering_store::{AsyncPgConnection, transaction};
use onering_webhook_operations::{AuditStamp, AuditedChange, OperationError, WebhookOperations};

/// What the operations work with.
pub(crate) struct AdminState {
    pub(crate) pool: Pool,
    pub(crate) announcer: Announcer,
    pub(crate) flags: FlagsHandle,
    pub(crate) clock: Clock,
    pub(crate) webhooks: WebhookOperations,
}

impl AdminState {
    pub(crate) async fn connection(&self) -> Result<Connection, OperationError> {
        Ok(self.pool.get().await?)
    }

    /// A change with its row of the audit log, both or neither. `change` answers what the row is to say beside what it made.
    pub(crate) async fn change<T>(
        &self,
        stamp: &AuditStamp,
        change: impl AsyncFnOnce(&mut AsyncPgConnection) -> Result<(T, AuditedChange), OperationError>,
    ) -> Result<T, OperationError> {
        let mut connection = self.connection().await?;
        transaction(&mut connection, async |connection| {
            let (made, audited) = change(connection).await?;
            stamp.append(connection, &self.clock, audited).await?;
            Ok(made)
        })
        .await
    }

    /// Tells all processes. The change holds all the same when they cannot be told: what they remember expires in seconds.
    pub(crate) async fn announce(&self, announcements: impl IntoIterator<Item = Announcement>) {
        for announcement in announcements {
            if let Err(error) = self.announcer.announce(&announcement).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "a change was not announced");
            }
        }
    }
}
