//! Connections between two requests.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use onering_clock::Clock;
use onering_http_exchange::{Idle, Origin};

use crate::exchange::Connection;

/// The idle connections of one client.
pub(crate) struct Pool {
    idle: Mutex<Idle<Connection>>,
    clock: Clock,
}

impl Pool {
    pub(crate) fn new(clock: Clock) -> Arc<Self> {
        Arc::new(Self { idle: Mutex::default(), clock })
    }

    /// A connection that is still open, if there is one.
    pub(crate) fn take(&self, origin: &Arc<Origin>) -> Option<Connection> {
        loop {
            let mut connection = self.lock().take(origin, self.clock.monotonic())?;
            if connection.is_quiet() {
                return Some(connection);
            }
        }
    }

    /// Keeps a connection, if there is room for it.
    pub(crate) fn put(self: &Arc<Self>, origin: &Arc<Origin>, connection: Connection) {
        let mut idle = self.lock();
        let not_kept = idle.put(origin, connection, self.clock.monotonic());
        let wants_sweep = idle.wants_sweep();
        drop((idle, not_kept));
        if wants_sweep {
            tokio::spawn(sweep(Arc::downgrade(self)));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Idle<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes what is idle for too long, until nothing is idle or the pool is gone.
async fn sweep(pool: Weak<Pool>) {
    loop {
        tokio::time::sleep(Idle::<Connection>::SWEEP_EVERY).await;
        let Some(pool) = pool.upgrade() else { return };
        let mut idle = pool.lock();
        let (stale, again) = idle.sweep(pool.clock.monotonic());
        // Closing is a call of the system for each.
        drop((idle, stale));
        if !again {
            return;
        }
    }
}
