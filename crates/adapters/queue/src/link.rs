//! [`Link`]: one multiplexed connection that is opened when first needed and replaced when it is lost.
//!
//! Why not the client library's own connection manager: it keeps a connection that has gone silent for as long as the
//! kernel does, and it makes every caller wait through its retries. Here a timeout condemns the connection, and while
//! Redis is away callers are told so at once.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{AsyncConnectionConfig, Client, Cmd, FromRedisValue, Pipeline, RedisError, RedisResult};
use onering_clock::Clock;
use tokio::runtime::Handle;

use crate::error::Fault;

/// How long opening a connection may take.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// For how long after a failed attempt nobody else tries; longer when the attempt itself took longer.
const COOL_DOWN: Duration = Duration::from_millis(250);

/// Where a link's connection, and the task that drives it, live.
#[derive(Debug, Clone)]
pub(crate) enum Home {
    /// On a runtime that outlives the callers: any thread may use the link.
    Runtime(Handle),
    /// On the runtime of whoever uses it: for a link that stays within one runtime, without the hop between threads.
    Caller,
}

/// One connection to Redis, shared by everybody who holds the link.
pub(crate) struct Link {
    client: Client,
    config: AsyncConnectionConfig,
    home: Home,
    clock: Clock,
    slot: Mutex<Slot>,
    /// Held while connecting, so that callers who come meanwhile wait for the one attempt.
    connecting: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Slot {
    live: Option<MultiplexedConnection>,
    /// Counts connections, so that a late complaint about an old one does not condemn its successor.
    generation: u64,
    failed: Option<Failure>,
}

struct Failure {
    error: RedisError,
    until: Instant,
}

/// A connection as lent to one command.
struct Lent {
    connection: MultiplexedConnection,
    generation: u64,
}

impl Link {
    /// A link that is not connected yet. `response_timeout` bounds each command; a link for blocking reads has none.
    pub(crate) fn new(client: Client, response_timeout: Option<Duration>, home: Home, clock: Clock) -> Self {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(response_timeout);
        Self { client, config, home, clock, slot: Mutex::default(), connecting: tokio::sync::Mutex::default() }
    }

    /// Sends one command. That a connection was closed shows at its next use, and after a restart of Redis, or its idle
    /// timeout, the first to ask must not pay for that: then it is sent again on a new one, and may have been carried
    /// out twice.
    pub(crate) async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Fault> {
        match self.query_once(command).await {
            Err(fault) if fault.is_closed_connection() => self.query_once(command).await,
            result => result,
        }
    }

    /// Sends several commands in one round trip; again as [`query`](Self::query) does.
    pub(crate) async fn pipeline<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, Fault> {
        match self.pipeline_once(commands).await {
            Err(fault) if fault.is_closed_connection() => self.pipeline_once(commands).await,
            result => result,
        }
    }

    async fn query_once<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Fault> {
        let mut lent = self.lend().await?;
        let result = command.query_async(&mut lent.connection).await;
        self.judge(&lent, result)
    }

    async fn pipeline_once<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, Fault> {
        let mut lent = self.lend().await?;
        let result = commands.query_async(&mut lent.connection).await;
        self.judge(&lent, result)
    }

    /// Opens the connection if there is none.
    pub(crate) async fn connect(&self) -> Result<(), Fault> {
        self.lend().await.map(drop)
    }

    /// Gives the connection up: the next command opens a new one, even if an attempt has just failed.
    pub(crate) fn forget(&self) {
        let mut slot = self.slot();
        slot.live = None;
        slot.failed = None;
    }

    async fn lend(&self) -> Result<Lent, Fault> {
        if let Some(known) = self.known() {
            return known;
        }
        let _connecting = self.connecting.lock().await;
        if let Some(known) = self.known() {
            return known;
        }
        let began = self.clock.monotonic();
        let opened = self.open().await?;
        let mut slot = self.slot();
        match opened {
            Ok(connection) => {
                slot.generation += 1;
                slot.failed = None;
                slot.live = Some(connection.clone());
                Ok(Lent { connection, generation: slot.generation })
            }
            Err(error) => {
                let now = self.clock.monotonic();
                let until = now + COOL_DOWN.max(now.saturating_duration_since(began));
                slot.failed = Some(Failure { error: error.clone(), until });
                Err(error.into())
            }
        }
    }

    /// What is known without asking the network: a live connection, or that Redis was away a moment ago.
    fn known(&self) -> Option<Result<Lent, Fault>> {
        let slot = self.slot();
        if let Some(connection) = &slot.live {
            return Some(Ok(Lent { connection: connection.clone(), generation: slot.generation }));
        }
        let failure = slot.failed.as_ref()?;
        (self.clock.monotonic() < failure.until).then(|| Err(failure.error.clone().into()))
    }

    async fn open(&self) -> Result<RedisResult<MultiplexedConnection>, Fault> {
        match &self.home {
            Home::Caller => Ok(self.client.get_multiplexed_async_connection_with_config(&self.config).await),
            Home::Runtime(runtime) => {
                let (client, config) = (self.client.clone(), self.config.clone());
                let opening = async move { client.get_multiplexed_async_connection_with_config(&config).await };
                Ok(runtime.spawn(opening).await?)
            }
        }
    }

    fn judge<T>(&self, lent: &Lent, result: RedisResult<T>) -> Result<T, Fault> {
        let result = result.map_err(Fault::from);
        if let Err(fault) = &result
            && fault.condemns_connection()
        {
            let mut slot = self.slot();
            if slot.generation == lent.generation {
                slot.live = None;
            }
        }
        result
    }

    /// Never held across an await; its values are replaced whole, so a panic elsewhere leaves nothing half done.
    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
