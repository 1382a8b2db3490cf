//! The client itself.

use std::time::Duration;

use http::HeaderValue;
use onering_clock::Clock;
use onering_delivery::{Answer, Failure};
use onering_signing::KeyAge;
use reqwest::redirect::Policy;

use crate::guard::AddressGuard;
use crate::request::Request;
use crate::{failure, response};

/// More header lines than this are no answer. The bytes of a head are bounded by the client's read buffer (400 KiB).
const MOST_HEADERS: usize = 100;
/// Many servers close an idle connection after 5 s; using one at that very moment would cost an attempt.
const IDLE: Duration = Duration::from_secs(4);
/// Idle connections kept to one host.
const MOST_IDLE_PER_HOST: usize = 32;

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
    /// The HTTP client could not be set up, as when the system has no root certificates.
    #[error("the HTTP client for webhooks could not be set up; are the system's CA certificates installed?")]
    Setup(#[source] reqwest::Error),
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
#[derive(Debug, Clone)]
pub struct WebhookClient {
    http: reqwest::Client,
    guard: AddressGuard,
    user_agent: HeaderValue,
    clock: Clock,
}

impl WebhookClient {
    /// Makes a client with its own connections.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn new(settings: ClientSettings, clock: Clock) -> Result<Self, ClientError> {
        // The client panics without a process-wide provider; an error here means that there is one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let user_agent = HeaderValue::from_str(&settings.user_agent).map_err(|_| ClientError::UserAgent)?;
        let http = reqwest::Client::builder()
            .dns_resolver(settings.guard.clone())
            .https_only(!settings.guard.allows_http())
            .no_proxy()
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .http1_only()
            .http1_max_headers(MOST_HEADERS)
            .connect_timeout(settings.connect_timeout)
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(MOST_IDLE_PER_HOST)
            .tcp_keepalive(Duration::from_secs(30))
            .build()
            .map_err(ClientError::Setup)?;
        Ok(Self { http, guard: settings.guard, user_agent, clock })
    }

    /// The guard this client sends by.
    #[must_use]
    pub fn guard(&self) -> &AddressGuard {
        &self.guard
    }

    /// Makes one attempt. Whatever happens is an [`Answer`]; nothing is tried twice.
    ///
    /// Dropping the future gives the attempt up and closes its connection.
    pub async fn send(&self, request: Request) -> Sent {
        let start = self.clock.monotonic();
        let (answer, verified_with) = self.attempt(request).await;
        Sent { answer, verified_with, took: self.clock.monotonic().saturating_duration_since(start) }
    }

    async fn attempt(&self, request: Request) -> (Answer, Option<KeyAge>) {
        // The resolver's hook is not asked about literal addresses, so this is not only a matter of being early.
        if let Err(error) = self.guard.check_url(&request.url) {
            return (failure::of_guard(&error), None);
        }
        let headers = match request.header_map(&self.user_agent) {
            Ok(headers) => headers,
            Err(detail) => return (Answer::failed(Failure::InvalidRequest, detail), None),
        };
        let (start, at) = (self.clock.monotonic(), request.at);
        let exchange = self.http.post(request.url).headers(headers).body(request.body).send();
        match tokio::time::timeout(request.timeout, exchange).await {
            Err(_) => {
                let detail = format!("no answer within {} s", request.timeout.as_secs_f32());
                (Answer::failed(Failure::Timeout, detail), None)
            }
            Ok(Err(error)) => (failure::of_client(error), None),
            Ok(Ok(response)) => {
                let spent = self.clock.monotonic().saturating_duration_since(start);
                let left = request.timeout.saturating_sub(spent);
                let verified_with = response::verified_with(response.headers());
                (response::read_answer(response, left, at.plus(spent).to_utc()).await, verified_with)
            }
        }
    }
}
