//! What a service is given, and how it ends.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use actix_web::web;
use onering_clock::Clock;
use onering_flags::FlagsHandle;
use onering_queue::Queue;
use onering_settings::Common;
use onering_store::{Pool, PoolConfig, database_clock};
use onering_telemetry::Metrics;
use onering_web::{BodyLimits, Health, Server, ServerOptions, TrustedProxies};
use tokio_util::sync::CancellationToken;

use crate::announcements::AnnouncementBus;
use crate::error::KitError;
use crate::settings::ServiceSettings;
use crate::tasks::Tasks;
use crate::{flag_overrides, flag_receipts, gauges};

/// Connections kept apart for the switches and for readiness: a service whose own pool is exhausted still obeys.
const CONTROL_CONNECTIONS: usize = 2;
/// What background work gets to end, however long the requests took.
const LEAST_PATIENCE: Duration = Duration::from_secs(2);
/// The deadline of each readiness check.
const CHECK: Duration = Duration::from_millis(800);

/// Everything a service shares with its kind. Clones share everything.
#[derive(Clone)]
pub struct ServiceContext {
    /// What every service is told.
    pub settings: Arc<Common>,
    /// The time.
    pub clock: Clock,
    /// Postgres.
    pub pool: Pool,
    /// How to connect to Postgres, for tasks that keep a connection to themselves.
    pub database: PoolConfig,
    /// Redis.
    pub queue: Queue,
    /// The switches in force.
    pub flags: FlagsHandle,
    /// What other processes announce.
    pub announcements: AnnouncementBus,
    /// The metrics behind `/metrics`.
    pub metrics: Metrics,
    /// The health behind `/readyz`; Postgres and Redis are in it.
    pub health: Health,
    /// Work in the background.
    pub tasks: Tasks,
    /// Cancelled when the process is told to stop: take up nothing new. Background work ends later, by its own token.
    pub stop: CancellationToken,
}

impl ServiceContext {
    /// Opens everything. Waits for Postgres, as long as it takes, and reads the overrides of the switches before it answers;
    /// Redis may be away. `stop` is whose cancellation ends the service.
    ///
    /// Leaves the process's globals (logging, TLS provider, signals) alone, so that tests can have several.
    ///
    /// # Errors
    /// Settings that can never work, and [`KitError::Stopped`].
    pub async fn open(settings: &impl ServiceSettings, stop: CancellationToken) -> Result<Self, KitError> {
        let common = Arc::new(settings.common().clone());
        let clock = match common.process.clock_skew {
            skew if skew.is_zero() => Clock::system(),
            skew => Clock::system().skewed(skew),
        };
        let metrics = Metrics::new(common.process.service).map_err(KitError::Metrics)?;
        let tasks = Tasks::new(clock.clone(), &metrics).map_err(KitError::Metrics)?;
        let database = PoolConfig::from_settings(&common.database).map_err(KitError::Database)?;
        let database = database.application_name(&common.process.instance);
        let database = match settings.statement_timeout() {
            Some(timeout) => database.statement_timeout(timeout),
            None => database,
        };
        let pool = Pool::new(&database).map_err(KitError::Database)?;
        let control = Pool::new(&database.clone().size(CONTROL_CONNECTIONS)).map_err(KitError::Database)?;
        let queue = Queue::connect(&common.redis, clock.clone()).map_err(KitError::Redis)?;

        let flags = FlagsHandle::start(&common.flags, clock.clone()).await;
        let readable = Arc::new(AtomicBool::new(true));
        gauges::declare(&metrics, &flags, Arc::clone(&readable), &pool).map_err(KitError::Metrics)?;
        let overrides = flag_overrides::wait_for_overrides(&control, &stop).await?;
        flags.set_overrides(overrides.values, overrides.changed_at);

        let announcements = AnnouncementBus::start(&queue, &tasks);
        let poll = settings.overrides_poll();
        flag_overrides::follow(&tasks, control.clone(), flags.clone(), &announcements, readable, poll);
        flag_receipts::write(&tasks, control.clone(), flags.clone(), common.process.clone());
        let health = Health::new(clock.clone());
        check(&health, control, queue.clone(), settings.tolerates_redis_loss());
        Ok(Self { settings: common, clock, pool, database, queue, flags, announcements, metrics, health, tasks, stop })
    }

    /// Answers requests on the address of the settings until the process is told to stop, then ends in order: readiness goes
    /// false, requests in flight are finished, background work is finished. Once.
    ///
    /// # Errors
    /// Where the address cannot be had or the server fails.
    pub async fn serve<F>(&self, configure: F) -> Result<(), KitError>
    where
        F: Fn(&mut web::ServiceConfig) + Clone + Send + 'static,
    {
        self.run(self.bind(configure)?).await
    }

    /// The first half of [`serve`](Self::serve): the server is bound and answers, for whoever wants to know its address.
    ///
    /// # Errors
    /// Where the address cannot be had.
    pub fn bind<F>(&self, configure: F) -> Result<Server, KitError>
    where
        F: Fn(&mut web::ServiceConfig) + Clone + Send + 'static,
    {
        let http = &self.settings.http;
        let options = ServerOptions {
            workers: http.workers,
            body: BodyLimits { cap: http.body_cap, ..BodyLimits::default() },
            trusted_proxies: TrustedProxies::new(http.trusted_proxies.iter().copied()),
            drain: self.settings.process.shutdown,
            ..ServerOptions::at(http.bind)
        };
        let server = Server::bind(&options, &self.clock, &self.health, &self.metrics, configure)?;
        tracing::info!(address = %server.address(), "listening");
        Ok(server)
    }

    /// The second half of [`serve`](Self::serve).
    ///
    /// # Errors
    /// Where the server fails.
    pub async fn run(&self, server: Server) -> Result<(), KitError> {
        let mut running = std::pin::pin!(server.run_until(self.stop.clone()));
        let (ended, took) = tokio::select! {
            ended = &mut running => (ended, Duration::ZERO),
            () = self.stop.cancelled() => {
                let told = self.clock.monotonic();
                let ended = running.await;
                (ended, self.clock.monotonic().duration_since(told))
            }
        };
        self.finish_within(self.settings.process.shutdown.saturating_sub(took)).await;
        Ok(ended?)
    }

    /// Ends the background work and closes the pool, for a service that does not serve. A second call does nothing.
    pub async fn finish(&self) {
        self.finish_within(self.settings.process.shutdown).await;
    }

    async fn finish_within(&self, patience: Duration) {
        self.health.drain();
        if !self.tasks.finish(patience.max(LEAST_PATIENCE)).await {
            tracing::warn!("background work did not end in time");
        }
        self.pool.close();
    }
}

fn check(health: &Health, control: Pool, queue: Queue, redis_may_be_away: bool) {
    health.require("postgres", CHECK, move || {
        let control = control.clone();
        async move { database_clock::read(&mut *control.get().await?).await.map(drop) }
    });
    let ping = move || {
        let queue = queue.clone();
        async move { queue.ping().await.map(drop) }
    };
    if redis_may_be_away {
        health.report("redis", CHECK, ping);
    } else {
        health.require("redis", CHECK, ping);
    }
}
