//! Puts the worker together and runs it until it is told to stop or has nothing left to do.

use std::sync::Arc;

use onering_queue::Announcement;
use onering_secrets::KeyRing;
use onering_service_kit::{ServiceContext, ServiceResult, error_chain};
use onering_settings::WorkerSettings;
use onering_store::listen::Listener;
use onering_telemetry::field;
use onering_webhook_client::{AddressGuard, ClientSettings, WebhookClient};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::breakers::Breakers;
use crate::context::Context;
use crate::database_clock::{DatabaseClock, MEASURE_EVERY};
use crate::dispatcher::QUEUED_PER_ATTEMPT;
use crate::metrics::WorkerMetrics;
use crate::mode::Mode;
use crate::places::Room;
use crate::planted::Planted;
use crate::recovery::Recovery;
use crate::replay;
use crate::rotation_meter::{RotationMeter, WRITE_EVERY};
use crate::settling::Settling;
use crate::subscription_cache::SubscriptionCache;
use crate::tally::Tally;
use crate::worker::{Results, Worker};
use crate::{breakers, failing_subscriptions, housekeeping};

/// Items in this worker's hands from each source, for each attempt it may have under way.
const PLACES_PER_ATTEMPT: usize = 1 + QUEUED_PER_ATTEMPT;
/// The stream and the sweep.
const SOURCES: usize = 2;

/// The worker, until it is told to stop or (with [`Mode::Once`]) nothing is due.
///
/// # Errors
/// What cannot work: unusable keys, a client that cannot be made, no Postgres; and a part of the worker that ended by
/// itself, which is a mistake in the code.
pub async fn run(service: ServiceContext, settings: WorkerSettings, mode: Mode) -> ServiceResult {
    let (context, results) = build(&service, &settings).await?;
    tracing::info!(instance = %context.instance, ?mode, "Webhook delivery worker started");
    context.breakers.refresh(&context).await;
    help(&service, &context);
    housekeeping::start(&context, &service.tasks, settings.retention_days);
    failing_subscriptions::start(&context, &service.tasks, settings.failure_policy);
    let worker = Worker::start(&service, &context, results);
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
                worker.stop(patience).await
            };
            let (served, stopped) = tokio::join!(serving, working);
            served?;
            stopped?;
        }
        Mode::Once => {
            worker.until_idle(&service.stop).await;
            worker.stop(patience).await?;
        }
    }
    if let Err(error) = context.rotations.write(&context.pool).await {
        tracing::warn!({ field::ERROR } = error_chain(&error), "what rotations showed last was not written");
    }
    Ok(())
}

async fn build(
    service: &ServiceContext,
    settings: &WorkerSettings,
) -> Result<(Arc<Context>, Results), Box<dyn std::error::Error + Send + Sync>> {
    let webhooks = &settings.webhooks;
    let key_ring = KeyRing::parse(settings.secrets_keys.expose(), service.clock.clone())?;
    let guard = AddressGuard::new(webhooks.allow_http, webhooks.allow_cidrs.clone());
    let client = WebhookClient::new(ClientSettings::new(guard), service.clock.clone())?;
    let (settling, results) = Settling::channel();
    let room = || Room::new(webhooks.max_in_flight_per_worker * PLACES_PER_ATTEMPT, settings.body_bytes / SOURCES);
    let (breakers, told) = Breakers::new(service.queue.breakers(), settings.breaker);
    let context = Context {
        instance: service.settings.process.instance.clone(),
        clock: service.clock.clone(),
        database_clock: DatabaseClock::start(service.clock.clone(), &service.pool).await?,
        flags: service.flags.clone(),
        pool: service.pool.clone(),
        stream: service.queue.deliveries(),
        announcer: service.queue.announcer(),
        subscriptions: SubscriptionCache::new(service.pool.clone(), key_ring, client.clone()),
        rotations: RotationMeter::default(),
        breakers,
        client,
        schedule: webhooks.schedule.clone(),
        lease: webhooks.lease,
        max_in_flight: webhooks.max_in_flight_per_worker,
        body_bytes: settings.body_bytes,
        stream_room: room(),
        sweep_room: room(),
        tally: Tally::default(),
        settling,
        recovery: Recovery::new(service.clock.monotonic()),
        wake_sweep: Notify::new(),
        wake_release: Notify::new(),
        planted: Planted::from_environment(),
        metrics: WorkerMetrics::new(&service.metrics)?,
        stop: service.stop.child_token(),
        abandon: CancellationToken::new(),
    };
    Ok((Arc::new(context), Results { settling: results, breakers: told }))
}

/// What looks after things beside the work itself.
fn help(service: &ServiceContext, context: &Arc<Context>) {
    let tasks = &service.tasks;
    // Events published inside the product's own transactions are due at once.
    let (waker, database) = (Arc::clone(context), service.database.clone());
    tasks.spawn("wake on notification", move |stop| {
        let (context, listener) = (Arc::clone(&waker), Listener::start(&database));
        async move {
            while stop.run_until_cancelled(listener.wait()).await.is_some() {
                context.wake_sweep.notify_one();
            }
        }
    });
    // Delivery switched on again: what was held goes out now, not at the next tick.
    let waker = Arc::clone(context);
    tasks.spawn("wake on a switch", move |stop| {
        let (context, mut switches) = (Arc::clone(&waker), waker.flags.subscribe());
        async move {
            while stop.run_until_cancelled(switches.changed()).await.is_some_and(|changed| changed.is_ok()) {
                context.wake_release.notify_one();
            }
        }
    });
    let timed = Arc::clone(context);
    tasks.periodic("database clock", MEASURE_EVERY, move || {
        let context = Arc::clone(&timed);
        async move { context.database_clock.refresh(&context.pool).await }
    });
    let metered = Arc::clone(context);
    tasks.periodic("rotation meter", WRITE_EVERY, move || {
        let context = Arc::clone(&metered);
        async move { context.rotations.write(&context.pool).await }
    });
    let replaying = Arc::clone(context);
    tasks.spawn("replays", move |stop| replay::run(Arc::clone(&replaying), stop));
    breakers::start(context, tasks);
    // A subscription that changes is forgotten, and it is looked at once whether that releases something.
    let (forgetful, announcements) = (Arc::clone(context), service.announcements.clone());
    tasks.spawn("forget what has changed", move |stop| {
        let (context, mut announcements) = (Arc::clone(&forgetful), announcements.subscribe());
        async move {
            while let Some(announcement) = stop.run_until_cancelled(announcements.next()).await {
                match announcement {
                    Announcement::Subscription(id) => context.subscriptions.forget(id),
                    Announcement::Subscriptions | Announcement::Reconnected => context.subscriptions.forget_all(),
                    _ => continue,
                }
                context.wake_release.notify_one();
            }
        }
    });
}
