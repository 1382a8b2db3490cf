//! [`Queue`]: where everything else of this crate comes from.

use std::sync::Arc;
use std::time::Duration;

use deadpool_redis::redis::{Client, cmd};
use onering_clock::Clock;
use onering_rate_limit::LossPolicy;
use tokio::runtime::Handle;

use crate::announcements::{Announcements, Announcer};
use crate::breaker::SharedBreakers;
use crate::consumer::Consumer;
use crate::delivery_stream::DeliveryStream;
use crate::error::{Fault, QueueError};
use crate::link::{Home, Link};
use crate::pooled::Pooled;
use crate::rate::{LocalLimits, RateLimiter, RateScript};
use crate::server_counters::{self, ServerCounters};

/// How long a command of a hot path may take before its connection is given up.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(1);

/// One Redis server, not connected to until something is asked of it. Clones share the connections.
#[derive(Clone)]
pub struct Queue {
    client: Client,
    clock: Clock,
    home: Handle,
    pooled: Pooled,
    deliveries: DeliveryStream,
}

impl Queue {
    /// Gets ready to talk to the Redis of the settings. Opens nothing yet.
    ///
    /// Call it on the process's main runtime: shared connections are opened there, whoever uses them, and live as long
    /// as it does.
    ///
    /// # Errors
    /// [`QueueError::Address`] for what is not a Redis URL, [`QueueError::NoRuntime`] outside a Tokio runtime.
    pub fn connect(settings: &onering_settings::Redis, clock: Clock) -> Result<Self, QueueError> {
        Self::connect_to(settings.url.expose(), clock)
    }

    /// [`connect`](Self::connect) for whoever has a URL and no settings, such as tests and the command line.
    ///
    /// # Errors
    /// As there.
    pub fn connect_to(url: &str, clock: Clock) -> Result<Self, QueueError> {
        let client = Client::open(url).map_err(|source| QueueError::Address { source })?;
        let home = Handle::try_current().map_err(|_| QueueError::NoRuntime)?;
        let pooled = Pooled::new(url, home.clone())?;
        let at_home = Home::Runtime(home.clone());
        let link = Link::new(client.clone(), Some(RESPONSE_TIMEOUT), at_home, clock.clone());
        let deliveries = DeliveryStream::new(Arc::new(link), pooled.clone(), clock.clone());
        Ok(Self { client, clock, home, pooled, deliveries })
    }

    /// Asks Redis for a sign of life and answers how long it took. For readiness checks.
    ///
    /// # Errors
    /// [`QueueError::Ping`] when there is none within about a second.
    pub async fn ping(&self) -> Result<Duration, QueueError> {
        let began = self.clock.monotonic();
        let answer: Result<String, _> = self.pooled.query(cmd("PING")).await;
        answer.map_err(|source| QueueError::Ping { source })?;
        Ok(self.clock.monotonic().saturating_duration_since(began))
    }

    /// Removes everything from the database of this URL, as for a drill: nothing kept here is the truth.
    ///
    /// # Errors
    /// [`QueueError::Empty`].
    pub async fn forget_everything(&self) -> Result<(), QueueError> {
        let mut command = cmd("FLUSHDB");
        command.arg("ASYNC");
        self.pooled.query(command).await.map_err(|source| QueueError::Empty { source })
    }

    /// What the server itself counts, for measurements.
    ///
    /// # Errors
    /// [`QueueError::Counters`].
    pub async fn server_counters(&self) -> Result<ServerCounters, QueueError> {
        let mut command = cmd("INFO");
        command.arg("stats").arg("commandstats");
        let answer: Result<String, _> = self.pooled.query(command).await;
        let info = answer.map_err(|source| QueueError::Counters { source })?;
        let shape = Fault::Shape { expected: "the statistics of INFO" };
        server_counters::parse(&info).ok_or(QueueError::Counters { source: shape })
    }

    /// The delivery stream, for pushing and settling.
    #[must_use]
    pub fn deliveries(&self) -> DeliveryStream {
        self.deliveries.clone()
    }

    /// A reader of the delivery stream under this name, which no other living worker may use.
    #[must_use]
    pub fn consumer(&self, name: impl Into<String>) -> Consumer {
        Consumer::new(name.into(), self.link(None), self.deliveries.clone())
    }

    /// Tells all processes of changes.
    #[must_use]
    pub fn announcer(&self) -> Announcer {
        Announcer::new(self.pooled.clone())
    }

    /// Hears of changes told by any process.
    #[must_use]
    pub fn announcements(&self) -> Announcements {
        Announcements::new(self.client.clone(), self.clock.clone())
    }

    /// The breakers that all workers share.
    #[must_use]
    pub fn breakers(&self) -> SharedBreakers {
        SharedBreakers::new(self.link(Some(RESPONSE_TIMEOUT)))
    }

    /// The rate script by itself, for whoever does not need the limiter's batching and fallback.
    #[must_use]
    pub fn rate_script(&self) -> RateScript {
        RateScript::new(self.link(Some(RESPONSE_TIMEOUT)))
    }

    /// A limiter for the calling runtime: make one on each, in an actix worker's factory for example. `local` is
    /// shared by all limiters of the process and is what holds when Redis does not answer and `on_loss` says so.
    ///
    /// # Errors
    /// [`QueueError::NoRuntime`] outside a Tokio runtime.
    pub fn rate_limiter(&self, on_loss: LossPolicy, local: Arc<LocalLimits>) -> Result<RateLimiter, QueueError> {
        let link = Link::new(self.client.clone(), Some(RESPONSE_TIMEOUT), Home::Caller, self.clock.clone());
        RateLimiter::start(RateScript::new(link), on_loss, local, self.clock.clone())
    }

    fn link(&self, response_timeout: Option<Duration>) -> Link {
        Link::new(self.client.clone(), response_timeout, Home::Runtime(self.home.clone()), self.clock.clone())
    }
}
