//! Puts the worker together, runs it, and takes it apart in order: nothing new, then what is under way, then its results.

use std::sync::Arc;
use std::time::Duration;

use onering_queue::Announcement;
use onering_secrets::KeyRing;
use onering_service_kit::{AnnouncementReceiver, ServiceContext, ServiceResult, error_chain};
use onering_settings::WorkerSettings;
use onering_store::listen::Listener;
use onering_webhook_client::{AddressGuard, ClientSettings, WebhookClient};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::context::{Context, Tally};
use crate::database_clock::{DatabaseClock, MEASURE_EVERY};
use crate::dispatcher::{self, DispatcherHandle, Event};
use crate::metrics::WorkerMetrics;
use crate::mode::Mode;
use crate::settling::{self, Finished, Settling};
use crate::subscription_cache::SubscriptionCache;
use crate::{housekeeping, intake, sweep};

/// Items in this worker's hands for each attempt it may have under way.
const PLACES_PER_ATTEMPT: usize = 4;
/// In `--once` mode, how often it is looked whether all is done.
const IDLE_CHECK: Duration = Duration::from_millis(50);
/// Nothing in hand for so long, and both stream and sweep have been asked meanwhile: nothing is due.
const IDLE_FOR: Duration = Duration::from_millis(2_500);

/// The worker, until it is told to stop or (with [`Mode::Once`]) nothing is due.
///
/// # Errors
/// What cannot work: unusable keys, a client that cannot be made, no Postgres.
pub async fn run(service: ServiceContext, settings: WorkerSettings, mode: Mode) -> ServiceResult {
    let (context, results) = build(&service, &settings).await?;
    tracing::info!(instance = %context.instance, ?mode, "Webhook delivery worker started");
    let worker = Worker::start(&service, &context, results, &settings);
    let patience = settings.common.process.shutdown;
    match mode {
        Mode::Loop => {
            let server = service.bind(|_routes| {})?;
            let serving = async {
                let ended = server.run_until(service.stop.clone()).await;
                // A server that fails by itself takes the worker along.
                service.stop.cancel();
                ended
            };
            let working = async {
                service.stop.cancelled().await;
                worker.stop(patience).await;
            };
            let (served, ()) = tokio::join!(serving, working);
            served?;
        }
        Mode::Once => {
            worker.until_idle(&service.stop).await;
            worker.stop(patience).await;
        }
    }
    Ok(())
}

async fn build(
    service: &ServiceContext,
    settings: &WorkerSettings,
) -> Result<(Arc<Context>, UnboundedReceiver<Finished>), Box<dyn std::error::Error + Send + Sync>> {
    let webhooks = &settings.webhooks;
    let key_ring = KeyRing::parse(settings.secrets_keys.expose(), service.clock.clone())?;
    let guard = AddressGuard::new(webhooks.allow_http, webhooks.allow_cidrs.clone());
    let client = WebhookClient::new(ClientSettings::new(guard), service.clock.clone())?;
    let (settling, results) = Settling::channel();
    let context = Context {
        instance: service.settings.process.instance.clone(),
        clock: service.clock.clone(),
        database_clock: DatabaseClock::start(service.clock.clone(), &service.pool).await?,
        flags: service.flags.clone(),
        pool: service.pool.clone(),
        stream: service.queue.deliveries(),
        announcer: service.queue.announcer(),
        subscriptions: SubscriptionCache::new(service.pool.clone(), key_ring),
        client,
        schedule: webhooks.schedule.clone(),
        lease: webhooks.lease,
        max_in_flight: webhooks.max_in_flight_per_worker,
        places: Arc::new(Semaphore::new(webhooks.max_in_flight_per_worker * PLACES_PER_ATTEMPT)),
        tally: Tally::default(),
        settling,
        wake_sweep: Notify::new(),
        metrics: WorkerMetrics::new(&service.metrics)?,
        stop: service.stop.child_token(),
        abandon: CancellationToken::new(),
    };
    Ok((Arc::new(context), results))
}

/// The running parts, in the order they are stopped.
struct Worker {
    context: Arc<Context>,
    /// Take things up: stopped first.
    sources: Vec<JoinHandle<()>>,
    /// Look after things: ended without ceremony.
    helpers: Vec<JoinHandle<()>>,
    dispatcher: JoinHandle<()>,
    stop_dispatcher: CancellationToken,
    settling: JoinHandle<()>,
    end_settling: CancellationToken,
}

impl Worker {
    fn start(
        service: &ServiceContext,
        context: &Arc<Context>,
        results: UnboundedReceiver<Finished>,
        settings: &WorkerSettings,
    ) -> Self {
        let (handle, events) = DispatcherHandle::channel();
        let stop_dispatcher = CancellationToken::new();
        let end_settling = CancellationToken::new();
        let consumer = service.queue.consumer(context.instance.clone());
        Self {
            sources: vec![
                tokio::spawn(intake::run(Arc::clone(context), consumer, handle.clone())),
                tokio::spawn(sweep::run(Arc::clone(context), handle.clone())),
            ],
            helpers: vec![
                tokio::spawn(wake_on_notify(Arc::clone(context), Listener::start(&service.database))),
                tokio::spawn(wake_on_switch(Arc::clone(context))),
                tokio::spawn(keep_clock(Arc::clone(context))),
                tokio::spawn(forget_changed(Arc::clone(context), service.announcements.subscribe())),
                tokio::spawn(housekeeping::run(Arc::clone(context), settings.retention_days)),
            ],
            dispatcher: tokio::spawn(dispatch(context, handle, events, &stop_dispatcher)),
            settling: tokio::spawn(settling::run(Arc::clone(context), results, end_settling.clone())),
            context: Arc::clone(context),
            stop_dispatcher,
            end_settling,
        }
    }

    /// Waits until nothing is due and nothing is under way.
    async fn until_idle(&self, stop: &CancellationToken) {
        let mut quiet = Duration::ZERO;
        while quiet < IDLE_FOR {
            tokio::select! {
                () = tokio::time::sleep(IDLE_CHECK) => {}
                () = stop.cancelled() => return,
            }
            let tally = &self.context.tally;
            let idle = tally.held() == 0 && tally.deferred_is_due(self.context.database_clock.now());
            quiet = if idle { quiet + IDLE_CHECK } else { Duration::ZERO };
        }
    }

    /// Stops in order. What is under way may take `patience` in all; what cannot be written then is left to others.
    async fn stop(self, patience: Duration) {
        self.context.stop.cancel();
        let orderly = async {
            for source in self.sources {
                ended("a source of work", source.await);
            }
            self.stop_dispatcher.cancel();
            ended("the dispatcher", self.dispatcher.await);
            self.end_settling.cancel();
        };
        if tokio::time::timeout(patience, orderly).await.is_err() {
            tracing::warn!("attempts under way did not end in time; their deliveries are taken up by others");
            self.end_settling.cancel();
        }
        let abandon = self.context.abandon.clone();
        let writing = tokio::time::timeout(Duration::from_secs(2), self.settling);
        match writing.await {
            Ok(result) => ended("settling", result),
            Err(_) => abandon.cancel(),
        }
        for helper in self.helpers {
            helper.abort();
        }
    }
}

fn ended(what: &str, result: Result<(), tokio::task::JoinError>) {
    if let Err(error) = result {
        tracing::error!(error = error_chain(&error), "{what} ended badly");
    }
}

fn dispatch(
    context: &Arc<Context>,
    handle: DispatcherHandle,
    events: UnboundedReceiver<Event>,
    stop: &CancellationToken,
) -> impl Future<Output = ()> + use<> {
    dispatcher::run(Arc::clone(context), handle, events, stop.clone())
}

/// Events published inside the product's own transactions are due at once.
async fn wake_on_notify(context: Arc<Context>, listener: Listener) {
    loop {
        listener.wait().await;
        context.wake_sweep.notify_one();
    }
}

/// Delivery switched on again: what was held goes out now, not at the next tick.
async fn wake_on_switch(context: Arc<Context>) {
    let mut switches = context.flags.subscribe();
    while switches.changed().await.is_ok() {
        context.wake_sweep.notify_one();
    }
}

async fn keep_clock(context: Arc<Context>) {
    let mut tick = tokio::time::interval(MEASURE_EVERY);
    loop {
        tick.tick().await;
        if let Err(error) = context.database_clock.refresh(&context.pool).await {
            tracing::warn!(error = error_chain(&error), "the database's clock cannot be measured");
        }
    }
}

/// Drops subscriptions from the cache when they change, and looks at once whether that releases something.
async fn forget_changed(context: Arc<Context>, mut announcements: AnnouncementReceiver) {
    loop {
        match announcements.next().await {
            Announcement::Subscription(id) => context.subscriptions.forget(id),
            Announcement::Subscriptions | Announcement::Reconnected => context.subscriptions.forget_all(),
            _ => continue,
        }
        context.wake_sweep.notify_one();
    }
}
