//! [`Pooled`]: the deadpool pool, for commands that come now and then.
//!
//! The pool greets Redis before it lends a connection out, which finds a dead one before it is used. That extra round
//! trip is right for a ping or an announcement and wrong where thousands of commands a second pass, which is
//! why the hot paths have links of their own.

use std::time::Duration;

use deadpool_redis::redis::{AsyncConnectionConfig, Cmd, FromRedisValue};
use deadpool_redis::{Manager, Pool, Runtime};
use tokio::runtime::Handle;

use crate::error::{Fault, QueueError};
use crate::link::CONNECT_TIMEOUT;

/// Enough for what occasional commands may coincide.
const POOL_SIZE: usize = 4;

/// How long one occasional command may take, and how long it may wait for its turn.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(1);

/// A pool whose connections live on one runtime, usable from any.
#[derive(Clone)]
pub(crate) struct Pooled {
    pool: Pool,
    home: Handle,
}

impl Pooled {
    pub(crate) fn new(url: &str, home: Handle) -> Result<Self, QueueError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT));
        let manager = Manager::new_with_config(url, config).map_err(|source| QueueError::Address { source })?;
        let pool = Pool::builder(manager)
            .max_size(POOL_SIZE)
            .wait_timeout(Some(RESPONSE_TIMEOUT))
            .create_timeout(Some(CONNECT_TIMEOUT))
            .recycle_timeout(Some(RESPONSE_TIMEOUT))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|source| QueueError::Pool { source })?;
        Ok(Self { pool, home })
    }

    /// Runs one command on the pool's own runtime: a connection opened by a short-lived caller's runtime would die
    /// with it and take its neighbours' answers along.
    pub(crate) async fn query<T: FromRedisValue + Send + 'static>(&self, command: Cmd) -> Result<T, Fault> {
        let pool = self.pool.clone();
        let running = async move {
            let mut connection = pool.get().await?;
            Ok(command.query_async(&mut connection).await?)
        };
        self.home.spawn(running).await?
    }
}
