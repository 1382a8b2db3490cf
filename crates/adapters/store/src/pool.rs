//! Connections: how one is opened, and the pool of them.
//!
//! A connection's socket and its driver task live on the runtime that opened it. The pool therefore opens all of its
//! connections on the runtime it was made on, so that they can be used from actix workers, which come and go with runtimes
//! of their own. [`connect`] opens one on the calling runtime, for a task that keeps it to itself.

use std::fmt;
use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{QueueMode, Timeouts};
use diesel::ConnectionError;
use diesel_async::pooled_connection::{
    AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod, deadpool as pooled,
};
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection};
use futures_util::FutureExt;
use tokio::runtime::Handle;

use crate::StoreError;
use crate::address::{Address, Tls};

/// How long opening one connection may take in all: the addresses that are tried, TLS, logging in, setting the session up.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one address may take to be reached, so that there is time for the next one.
const REACH_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a caller waits for a connection to come free.
const WAIT_TIMEOUT: Duration = Duration::from_secs(5);
/// A peer that vanished without a word is noticed after this: sent data stays unacknowledged no longer.
const USER_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection borrowed from the [`Pool`]; goes back when dropped. Dereferences to [`AsyncPgConnection`].
pub type Connection = pooled::Object<AsyncPgConnection>;

/// How to connect, and with how many connections at most. `Debug` does not show the password.
#[derive(Clone, Debug)]
pub struct PoolConfig {
    address: Address,
    size: usize,
    statement_timeout: Duration,
}

impl PoolConfig {
    /// Takes an address as libpq does: `postgres://user:password@host:port/database?sslmode=…&sslrootcert=…`, or the
    /// `key=value` form. Without an `sslmode` TLS is used where the server offers it.
    ///
    /// # Errors
    /// [`StoreError::Address`] when the text is not understood, or its root certificates cannot be read.
    pub fn new(url: &str) -> Result<Self, StoreError> {
        Ok(Self::at(Address::parse(url)?))
    }

    /// Takes what the process was told.
    ///
    /// # Errors
    /// As [`PoolConfig::new`].
    pub fn from_settings(settings: &onering_settings::Database) -> Result<Self, StoreError> {
        let tls = &settings.tls;
        let address = Address::new(settings.url.expose(), tls.mode, tls.root_certificate.as_deref())?;
        Ok(Self::at(address).size(settings.pool_size))
    }

    fn at(mut address: Address) -> Self {
        address.config.connect_timeout(REACH_TIMEOUT).tcp_user_timeout(USER_TIMEOUT);
        Self { address, size: 10, statement_timeout: Duration::from_secs(30) }
    }

    /// At most this many connections (default 10).
    #[must_use]
    pub fn size(mut self, connections: usize) -> Self {
        self.size = connections;
        self
    }

    /// What `pg_stat_activity` shows, for example the process's name. The address's own `application_name` wins.
    #[must_use]
    pub fn application_name(mut self, name: &str) -> Self {
        if self.address.config.get_application_name().is_none() {
            self.address.config.application_name(name);
        }
        self
    }

    /// Postgres gives up a statement after this long (default 30 s, zero for never): a bound on every wait.
    #[must_use]
    pub fn statement_timeout(mut self, timeout: Duration) -> Self {
        self.statement_timeout = timeout;
        self
    }

    pub(crate) const fn address(&self) -> &Address {
        &self.address
    }
}

/// Opens one connection on the calling runtime, which must outlive it.
///
/// The session commits durably (`synchronous_commit=on`, whatever the server's default is) and resolves names in `public` only:
/// a role named like the schema `onering` would otherwise look there first. Compiling statements that run for a millisecond
/// is switched off.
///
/// # Errors
/// [`StoreError::Connect`] when Postgres or TLS refuses, or says nothing for 5 seconds.
pub async fn connect(config: &PoolConfig) -> Result<AsyncPgConnection, StoreError> {
    connect_within(config, CONNECT_TIMEOUT).await
}

async fn connect_within(config: &PoolConfig, limit: Duration) -> Result<AsyncPgConnection, StoreError> {
    let opened = async {
        let mut connection = match &config.address.tls {
            None => open(config, tokio_postgres::NoTls).await?,
            Some(Tls(tls)) => open(config, tls.clone()).await?,
        };
        connection
            .batch_execute(&format!(
                "SET synchronous_commit TO on; SET search_path TO public; SET jit TO off; SET statement_timeout TO {}",
                config.statement_timeout.as_millis()
            ))
            .await?;
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(connection)
    };
    let in_time = tokio::time::timeout(limit, opened).await.unwrap_or_else(|late| Err(late.into()));
    in_time.map_err(|source| StoreError::Connect { source })
}

async fn open<T>(config: &PoolConfig, tls: T) -> Result<AsyncPgConnection, Box<dyn std::error::Error + Send + Sync>>
where
    T: tokio_postgres::tls::MakeTlsConnect<tokio_postgres::Socket>,
    T::Stream: Unpin + Send + 'static,
{
    let (client, connection) = config.address.config.connect(tls).await?;
    Ok(AsyncPgConnection::try_from_client_and_connection(client, connection).await?)
}

/// How full a pool is, for the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolStatus {
    /// Connections open.
    pub open: usize,
    /// Of those, not in use.
    pub idle: usize,
    /// Callers waiting for one.
    pub waiting: usize,
}

/// A pool of connections; clones share it.
#[derive(Clone)]
pub struct Pool {
    inner: pooled::Pool<AsyncPgConnection>,
}

impl fmt::Debug for Pool {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Pool").field("status", &self.status()).finish()
    }
}

impl Pool {
    /// Makes a pool whose connections live on the calling runtime. None is opened yet.
    ///
    /// # Errors
    /// [`StoreError::Pool`] outside a Tokio runtime.
    pub fn new(config: &PoolConfig) -> Result<Self, StoreError> {
        let runtime = Handle::try_current().map_err(|source| StoreError::Pool { source: source.into() })?;
        let mut manager = ManagerConfig::default();
        // `Fast` refuses closed and mid-transaction connections without a round trip.
        manager.recycling_method = RecyclingMethod::Fast;
        let size = config.size;
        let config = config.clone();
        manager.custom_setup = Box::new(move |_| {
            let config = config.clone();
            let opening = runtime.spawn(async move { connect(&config).await });
            async move {
                opening
                    .await
                    .map_err(|gone| ConnectionError::BadConnection(gone.to_string()))?
                    .map_err(|refused| ConnectionError::BadConnection(chain(&refused)))
            }
            .boxed()
        });
        let manager = AsyncDieselConnectionManager::new_with_config("", manager);
        let inner = pooled::Pool::builder(manager)
            .max_size(size)
            // The last one used knows its statements, their plans and their tables best.
            .queue_mode(QueueMode::Lifo)
            .runtime(Runtime::Tokio1)
            .timeouts(Timeouts {
                wait: Some(WAIT_TIMEOUT),
                // Only the runtime can keep an attempt from ending by itself.
                create: Some(CONNECT_TIMEOUT * 2),
                recycle: Some(CONNECT_TIMEOUT),
            })
            .build()
            .map_err(|source| StoreError::Pool { source: source.into() })?;
        Ok(Self { inner })
    }

    /// Borrows a connection.
    ///
    /// # Errors
    /// [`StoreError::Pool`] when none came free within 5 seconds or none could be opened.
    pub async fn get(&self) -> Result<Connection, StoreError> {
        self.inner.get().await.map_err(|source| StoreError::Pool { source: source.into() })
    }

    /// How full it is now.
    #[must_use]
    pub fn status(&self) -> PoolStatus {
        let status = self.inner.status();
        PoolStatus { open: status.size, idle: status.available, waiting: status.waiting }
    }

    /// Closes it: connections in use close when they come back, and [`Pool::get`] fails from now on.
    pub fn close(&self) {
        self.inner.close();
    }
}

/// An error and its causes in one line, because Diesel's connection error can only carry text.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests;
