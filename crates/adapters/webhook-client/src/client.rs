//! The client itself.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use onering_clock::Clock;
use onering_delivery::{Answer, Failure};
use onering_http_exchange::{Connector, tls_config};
use onering_signing::KeyAge;
use rustls::ClientConfig;
use url::Url;

use crate::connector::GuardedConnector;
use crate::endpoint::{Endpoint, Prepared};
use crate::exchange::{Answering, Connection};
use crate::failure::{self, Broken};
use crate::guard::AddressGuard;
use crate::header_line;
use crate::pool::Pool;
use crate::request::Request;

/// What a client is made with.
#[derive(Debug, Clone)]
pub struct ClientSettings {
    /// Judges every URL and every address.
    pub guard: AddressGuard,
    /// How long name resolution, connection and TLS handshake may take together, within the request's own limit.
    pub connect_timeout: Duration,
    /// `User-Agent`; must be a valid header value.
    pub user_agent: String,
}

impl ClientSettings {
    /// The settings of DESIGN: 5 s to connect.
    #[must_use]
    pub fn new(guard: AddressGuard) -> Self {
        let user_agent = concat!("OneRing/", env!("CARGO_PKG_VERSION")).to_owned();
        Self { guard, connect_timeout: Duration::from_secs(5), user_agent }
    }
}

/// Why a client could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The `User-Agent` is no header value.
    #[error("the User-Agent for webhooks is not a valid header value")]
    UserAgent,
    /// TLS could not be set up, as when the system has no root certificates.
    #[error("TLS for webhooks could not be set up; are the system's CA certificates installed?")]
    Setup(#[source] rustls::Error),
}

/// What an attempt brought, and how long it took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The receiver's answer, or why there was none.
    pub answer: Answer,
    /// Which of the subscription's secrets the receiver says it verified with (`X-Webhook-Verified-With`).
    pub verified_with: Option<KeyAge>,
    /// From the beginning to the answer's end as far as it was read.
    pub took: Duration,
}

/// Sends attempts. Cheap to clone; clones share connections.
///
/// Connections belong to the runtime on which they were opened: send from a runtime that lives as long as the client.
/// Changed guard settings need a new client, because a connection that is open is not judged again.
#[derive(Clone)]
pub struct WebhookClient {
    shared: Arc<Shared>,
}

struct Shared {
    connector: GuardedConnector,
    pool: Arc<Pool>,
    user_agent: String,
    clock: Clock,
}

impl fmt::Debug for WebhookClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookClient").field("guard", self.guard()).finish_non_exhaustive()
    }
}

impl WebhookClient {
    /// Makes a client with its own connections.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn new(settings: ClientSettings, clock: Clock) -> Result<Self, ClientError> {
        Self::with_tls(settings, clock, tls_config().map_err(ClientError::Setup)?)
    }

    fn with_tls(settings: ClientSettings, clock: Clock, tls: ClientConfig) -> Result<Self, ClientError> {
        let ClientSettings { guard, connect_timeout, user_agent } = settings;
        if !header_line::is_value(&user_agent) {
            return Err(ClientError::UserAgent);
        }
        let connector = GuardedConnector { guard, connector: Connector::new(connect_timeout, tls) };
        let pool = Pool::new(clock.clone());
        Ok(Self { shared: Arc::new(Shared { connector, pool, user_agent, clock }) })
    }

    /// The guard this client sends by.
    #[must_use]
    pub fn guard(&self) -> &AddressGuard {
        &self.shared.connector.guard
    }

    /// Takes a target apart, once for many attempts: its URL, and the headers of all its requests, names and values unchecked.
    /// A later header replaces an earlier one of the same name. `Content-Type: application/json`, `Accept: */*` and a
    /// `User-Agent` are there unless given; `Content-Length`, `Host` and what says how a request ends are the client's.
    ///
    /// Whatever is wrong with it is the answer to every attempt.
    #[must_use]
    pub fn endpoint<'a>(&self, url: &Url, headers: impl IntoIterator<Item = (&'a str, &'a str)>) -> Endpoint {
        Endpoint::new(self.guard(), &self.shared.user_agent, url, headers)
    }

    /// Makes one attempt. Whatever happens is an [`Answer`]; nothing is sent twice.
    ///
    /// Dropping the future gives the attempt up and closes its connection.
    pub async fn send(&self, request: Request<'_>) -> Sent {
        let start = self.shared.clock.monotonic();
        let (answer, verified_with) = match self.shared.attempt(request).await {
            Ok(answered) => answered,
            Err(failed) => (failed, None),
        };
        Sent { answer, verified_with, took: self.shared.clock.monotonic().saturating_duration_since(start) }
    }
}

impl Shared {
    /// The answer, or why there is none as one.
    async fn attempt(&self, request: Request<'_>) -> Result<(Answer, Option<KeyAge>), Answer> {
        let prepared = request.endpoint.prepared().map_err(Answer::clone)?;
        let head = request.head(prepared)?;
        let start = self.clock.monotonic();
        let spent = || self.clock.monotonic().saturating_duration_since(start);
        let now = || request.at.plus(spent()).to_utc();
        let asking = self.ask(prepared, [&head, request.body], now);
        let answering = match tokio::time::timeout(request.timeout, asking).await {
            Err(_) => {
                let detail = format!("no answer within {} s", request.timeout.as_secs_f32());
                return Err(Answer::failed(Failure::Timeout, detail));
            }
            Ok(asked) => asked.map_err(|broken| failure::of_broken(&broken))?,
        };
        let (code, verified_with) = (answering.head.code, answering.head.verified_with);
        let (retry_after, replay_expired) = (answering.head.retry_after, answering.head.replay_expired);
        let (snippet, connection) = answering.finish(request.timeout.saturating_sub(spent())).await;
        if let Some(connection) = connection {
            self.pool.put(&prepared.origin, connection);
        }
        Ok((Answer::Status { code, retry_after, replay_expired, snippet }, verified_with))
    }

    /// Asks over an idle connection or a new one.
    ///
    /// An idle connection may be gone without our knowing. Where it took not a byte of the request, the request goes over a new
    /// one; where it took any, nobody can say what the receiver has seen, and the attempt has failed.
    async fn ask(
        &self,
        prepared: &Prepared,
        request: [&[u8]; 2],
        now: impl Fn() -> chrono::DateTime<chrono::Utc>,
    ) -> Result<Answering, Broken> {
        if let Some(connection) = self.pool.take(&prepared.origin) {
            match connection.ask(request, &now).await {
                Err(Broken::Unsent(_)) => {}
                asked => return asked,
            }
        }
        let stream = self.connector.connect(&prepared.origin).await?;
        Connection::new(stream).ask(request, now).await
    }
}

#[cfg(test)]
mod tests;
