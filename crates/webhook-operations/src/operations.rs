use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use onering_clock::Clock;
use onering_flags::FlagsHandle;
use onering_queue::Queue;
use onering_secrets::KeyRing;
use onering_store::pool::{Connection, Pool};
use onering_webhook_client::AddressGuard;

use crate::error::OperationError;

/// What the operations work with.
pub struct Parts {
    /// Postgres.
    pub pool: Pool,
    /// Redis: new deliveries are queued here, and changes announced.
    pub queue: Queue,
    /// The switches: with delivery off nothing is queued.
    pub flags: FlagsHandle,
    /// What seals new signing secrets.
    pub key_ring: KeyRing,
    /// The judge of targets.
    pub guard: AddressGuard,
    /// Time, ids, randomness.
    pub clock: Clock,
    /// The process's name, for what it cancels.
    pub process: String,
    /// How long a new delivery may take into the queue before the sweep takes it.
    pub lease: Duration,
}

/// All operations on subscriptions and deliveries; one a process. Clones share everything, and may be used from any
/// runtime.
#[derive(Clone)]
pub struct WebhookOperations {
    parts: Arc<Parts>,
}

impl WebhookOperations {
    /// Operations that work with these.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self { parts: Arc::new(parts) }
    }

    pub(crate) fn parts(&self) -> &Parts {
        &self.parts
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.parts.clock
    }

    pub(crate) async fn connection(&self) -> Result<Connection, OperationError> {
        Ok(self.parts.pool.get().await?)
    }
}

impl fmt::Debug for WebhookOperations {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("WebhookOperations").field("process", &self.parts.process).finish_non_exhaustive()
    }
}
