//! [`Application`]: put together once, the same for the program and for tests in process.

use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::web;
use onering_http_exchange::{Connector, tls_config};
use onering_queue::{Announcement, LocalLimits, Queue};
use onering_rate_limit::LossPolicy;
use onering_secrets::KeyRing;
use onering_service_kit::{ServiceContext, ServiceResult};
use onering_settings::GatewaySettings;
use onering_store::Pool;
use onering_telemetry::Metrics;
use onering_web::{BodyLimits, Proxy, Server, TrustedProxies};
use onering_webhook_client::AddressGuard;
use onering_webhook_operations::{Parts, WebhookOperations};

use crate::access::{Blocklist, Gate, KeyDirectory, Turnstile};
use crate::forwarding::Forwarder;
use crate::ingest::{Committing, Publisher, Pusher, start_committers};
use crate::metrics::GatewayMetrics;
use crate::routes;
use crate::statistics::Bookkeeper;
use crate::worker::Worker;

/// How long a connection to the product may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The gateway, bound and answering.
pub struct Application {
    context: ServiceContext,
    server: Server,
}

impl Application {
    /// Puts the gateway together and binds it.
    ///
    /// # Errors
    /// When Postgres fails at the start, the route table is wrong, or the address cannot be had.
    pub async fn build(
        context: ServiceContext,
        settings: GatewaySettings,
    ) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let workshop = Workshop::open(&context, &settings).await?;
        let limits = BodyLimits { cap: settings.common.http.body_cap, ..BodyLimits::default() };
        let server = context.bind(move |config: &mut web::ServiceConfig| {
            config.app_data(workshop.new_worker());
            routes::configure(config, limits);
        })?;
        Ok(Self { context, server })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> std::net::SocketAddr {
        self.server.address()
    }

    /// Answers until the context's `stop` is cancelled; then requests in flight are finished, what they left to do is
    /// done, and the counts are written.
    ///
    /// # Errors
    /// When the server fails.
    pub async fn run(self) -> ServiceResult {
        Ok(self.context.run(self.server).await?)
    }
}

/// What all workers share, and what each is made with.
#[derive(Clone)]
struct Workshop {
    gate: Arc<Gate>,
    forwarder: Arc<Forwarder>,
    connector: Connector,
    publisher: Publisher,
    bookkeeper: Bookkeeper,
    webhooks: WebhookOperations,
    metrics: GatewayMetrics,
    queue: Queue,
    pool: Pool,
    on_redis_loss: LossPolicy,
    local_limits: Arc<LocalLimits>,
    event_cap: usize,
}

impl Workshop {
    async fn open(
        context: &ServiceContext,
        settings: &GatewaySettings,
    ) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let ServiceContext { clock, pool, queue, flags, tasks, .. } = context;
        let metrics = GatewayMetrics::declare(&context.metrics)?;
        let gate = Arc::new(Gate {
            clock: clock.clone(),
            flags: flags.clone(),
            trusted_proxies: TrustedProxies::new(settings.common.http.trusted_proxies.iter().copied()),
            blocklist: Blocklist::default(),
            keys: KeyDirectory::start(pool.clone(), clock.clone(), tasks, metrics.key_look_up_sizes.clone()),
            failures: Mutex::default(),
        });
        gate.blocklist.read(pool).await?;
        keep_current(context, &gate);
        let connector = Connector::new(CONNECT_TIMEOUT, tls_config()?);
        let forwarder = Forwarder::start(settings.routes.file.as_deref(), tasks).await?;
        observe(&context.metrics, &forwarder)?;
        let process = &settings.common.process.instance;
        let bookkeeper = Bookkeeper::new(pool.clone(), clock.clone(), process, metrics.statistics_failures.clone());
        let books = bookkeeper.clone();
        tasks.spawn("statistics", move |stop| books.clone().keep_books(stop));
        let committing = Committing {
            database: context.database.clone(),
            clock: clock.clone(),
            flags: flags.clone(),
            lease: settings.webhooks.lease,
            pusher: Pusher::start(queue.deliveries(), pool.clone(), tasks, metrics.pushes.clone()),
            batch_sizes: metrics.commit_sizes.clone(),
            commit_times: metrics.commit_times.clone(),
            failures: metrics.commit_failures.clone(),
        };
        Ok(Self {
            gate,
            forwarder,
            connector,
            publisher: start_committers(&committing, tasks),
            bookkeeper,
            webhooks: webhook_operations(context, settings)?,
            metrics,
            queue: queue.clone(),
            pool: pool.clone(),
            on_redis_loss: settings.limits.on_redis_loss,
            local_limits: Arc::default(),
            event_cap: settings.common.http.body_cap,
        })
    }

    /// A worker for the calling thread, whose runtime its connections then belong to.
    #[expect(
        clippy::expect_used,
        reason = "workers are made by actix on their own threads, each of which is a runtime"
    )]
    fn new_worker(&self) -> Rc<Worker> {
        let limiter = self.queue.rate_limiter(self.on_redis_loss, Arc::clone(&self.local_limits));
        let limiter = limiter.expect("a worker's thread has a runtime");
        Rc::new(Worker {
            clock: self.gate.clock.clone(),
            turnstile: Turnstile::new(Arc::clone(&self.gate), limiter),
            publisher: self.publisher.clone(),
            statistics: self.bookkeeper.new_tally(),
            answers: self.metrics.answers.clone(),
            pool: self.pool.clone(),
            webhooks: self.webhooks.clone(),
            forwarder: Arc::clone(&self.forwarder),
            proxy: Proxy::new(self.connector.clone(), self.gate.clock.clone()),
            event_cap: self.event_cap,
        })
    }
}

fn webhook_operations(
    context: &ServiceContext,
    settings: &GatewaySettings,
) -> Result<WebhookOperations, onering_secrets::KeyRingError> {
    let ServiceContext { clock, pool, queue, flags, .. } = context.clone();
    let rules = &settings.webhooks;
    Ok(WebhookOperations::new(Parts {
        key_ring: KeyRing::parse(settings.secrets_keys.expose(), clock.clone())?,
        guard: AddressGuard::new(rules.allow_http, rules.allow_cidrs.clone()),
        process: settings.common.process.instance.clone(),
        lease: rules.lease,
        pool,
        queue,
        flags,
        clock,
    }))
}

/// Keeps what is remembered of keys and addresses current: by announcements, and by age beneath them.
fn keep_current(context: &ServiceContext, gate: &Arc<Gate>) {
    let (pool, refreshed) = (context.pool.clone(), Arc::clone(gate));
    context.tasks.spawn("blocklist", move |stop| {
        let (gate, pool) = (Arc::clone(&refreshed), pool.clone());
        async move { gate.blocklist.keep_fresh(&pool, &stop).await }
    });
    let (bus, told) = (context.announcements.clone(), Arc::clone(gate));
    context.tasks.spawn("cache_invalidation", move |stop| {
        let (gate, mut heard) = (Arc::clone(&told), bus.subscribe());
        async move {
            // Whatever was said before this run began to listen.
            take_note(&gate, &Announcement::Reconnected).await;
            while let Some(announcement) = stop.run_until_cancelled(heard.next()).await {
                take_note(&gate, &announcement).await;
            }
        }
    });
}

async fn take_note(gate: &Gate, announcement: &Announcement) {
    match announcement {
        Announcement::Key(digest) => gate.keys.forget(digest).await,
        Announcement::Keys => gate.keys.forget_all(),
        Announcement::Blocklist => gate.blocklist.is_stale(),
        Announcement::Reconnected => {
            gate.keys.forget_all();
            gate.blocklist.is_stale();
        }
        // Subscriptions are not remembered here, and the switches have their own hearer.
        _ => {}
    }
}

fn observe(metrics: &Metrics, forwarder: &Arc<Forwarder>) -> Result<(), onering_telemetry::MetricsError> {
    let observed = Arc::clone(forwarder);
    metrics.observed_gauge(
        "onering_routes_reload_failed",
        "1 while the route table cannot be used and the last good one is in force.",
        move || f64::from(u8::from(observed.is_outdated())),
    )
}
