//! Circuit breakers as this worker sees and tells them.
//!
//! All workers share one breaker for each subscription; it is in Redis, and only those of subscriptions that ail are there.
//! Each worker has a copy of them ([`View`]), which decides without asking for nearly every delivery: a healthy
//! subscription costs nothing, and an open one no more than a look. Redis is told of failures, of what arrives at a
//! subscription that ails, and asked who is to be the probe, many inputs in one call; each answer and a poll of the
//! generation keep the copy fresh.
//!
//! While Redis is away the same rules are applied to the copy alone, so that each worker protects receivers by itself.
//! When it is back, what it says counts again; if it lost everything, all breakers are closed and learn anew.
//!
//! Deliberately absent: the rules (`onering_delivery::Breaker`), and what becomes of a delivery that has to wait.

mod view;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use onering_delivery::{
    Breaker, BreakerChange, BreakerInput, BreakerPolicy, DatabaseTime, Lease, Outlook, Permission, Reach,
};
use onering_ids::{DeliveryId, SubscriptionId};
use onering_queue::{BreakerAnswer, BreakerOutcome, QueueError, SharedBreakers};
use onering_service_kit::{Tasks, error_chain};
use onering_store::StoreError;
use onering_store::circuit_events::{self, CircuitEvent};
use onering_telemetry::field;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;
use view::View;

use crate::context::Context;

/// How often it is looked whether another worker changed something.
const POLL_EVERY: Duration = Duration::from_millis(500);
/// How often it is looked whether there is something to write down.
const WRITE_EVERY: Duration = Duration::from_millis(500);
/// Results told in one call, at most.
const BATCH: usize = 1_000;
/// Events kept while Postgres is away; beyond it the oldest are forgotten.
const EVENTS_KEPT: usize = 10_000;

/// What one attempt said about its receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Told {
    /// The subscription.
    pub(crate) webhook_id: SubscriptionId,
    /// The delivery that was attempted.
    pub(crate) delivery_id: DeliveryId,
    /// What its attempt said.
    pub(crate) reach: Reach,
}

/// A delivery that asks to be sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asking {
    /// Its subscription.
    pub(crate) webhook_id: SubscriptionId,
    /// The delivery.
    pub(crate) delivery_id: DeliveryId,
    /// How long its request may take.
    pub(crate) timeout: Duration,
}

/// The breakers.
pub(crate) struct Breakers {
    shared: SharedBreakers,
    policy: BreakerPolicy,
    view: RwLock<View>,
    /// The generation of the copy, if it is complete. Locked during each call, so that answers are taken in in the order in
    /// which Redis gave them.
    generation: tokio::sync::Mutex<Option<u64>>,
    /// Redis does not answer.
    lost: AtomicBool,
    /// Where results wait for the next call, and how many of them are failures. Unbounded, but a call that Redis does not
    /// answer within a second is the last for a while.
    results: UnboundedSender<Told>,
    failures_waiting: AtomicUsize,
    /// What happened and is not yet written down.
    events: Mutex<Vec<CircuitEvent>>,
}

impl Breakers {
    /// Nothing is known yet: see [`refresh`](Self::refresh). The results are for [`report`].
    #[must_use]
    pub(crate) fn new(shared: SharedBreakers, policy: BreakerPolicy) -> (Self, UnboundedReceiver<Told>) {
        let (results, receiver) = unbounded_channel();
        let breakers = Self {
            shared,
            policy,
            results,
            failures_waiting: AtomicUsize::new(0),
            view: RwLock::default(),
            generation: tokio::sync::Mutex::new(None),
            lost: AtomicBool::new(false),
            events: Mutex::default(),
        };
        (breakers, receiver)
    }

    /// What a subscription's breaker means for a delivery.
    #[must_use]
    pub(crate) fn outlook(&self, webhook_id: SubscriptionId, delivery: DeliveryId, now: DatabaseTime) -> Outlook {
        self.view().breaker(webhook_id).outlook(delivery, now)
    }

    /// A subscription's breaker as it was last seen.
    #[must_use]
    pub(crate) fn seen(&self, webhook_id: SubscriptionId) -> Breaker {
        self.view().breaker(webhook_id)
    }

    /// Whether these deliveries may be sent, in their order.
    pub(crate) async fn ask(&self, context: &Context, asking: &[Asking]) -> Vec<Permission> {
        if asking.is_empty() {
            return Vec::new();
        }
        let inputs: Vec<_> = asking
            .iter()
            .map(|ask| {
                let lease = ask.timeout.saturating_add(Lease::RENEWED_MARGIN);
                (ask.webhook_id, BreakerInput::Ask { delivery: ask.delivery_id, lease })
            })
            .collect();
        let outcomes = self.tell(context, &inputs).await;
        asking.iter().zip(outcomes).map(|(ask, outcome)| outcome.breaker.permission(ask.delivery_id)).collect()
    }

    /// Hears what an attempt said, as soon as it is over: however long its result then takes to be written, a receiver that
    /// fails is sent no more than what is under way. What arrived at a healthy subscription goes no further.
    pub(crate) fn hear(&self, told: Told) {
        match told.reach {
            Reach::Failed => drop(self.failures_waiting.fetch_add(1, Ordering::AcqRel)),
            // It may end a row of failures that waits to be told.
            Reach::Reached if self.failures_waiting.load(Ordering::Acquire) > 0 => {}
            Reach::Reached if self.seen(told.webhook_id).is_healthy() => return,
            Reach::Reached => {}
        }
        if self.results.send(told).is_err() {
            tracing::debug!("a result came after the worker had stopped telling breakers");
        }
    }

    /// Takes in what attempts said, in the order in which they ended.
    async fn take_in(&self, context: &Context, told: &[Told]) {
        let inputs = self.view().worth_telling(told.iter().copied());
        if !inputs.is_empty() {
            self.tell(context, &inputs).await;
        }
        let failures = told.iter().filter(|told| told.reach == Reach::Failed).count();
        self.failures_waiting.fetch_sub(failures, Ordering::AcqRel);
    }

    /// Tells Redis, or, while it is away, the copy. Answers one outcome for each input.
    async fn tell(&self, context: &Context, inputs: &[(SubscriptionId, BreakerInput)]) -> Vec<BreakerOutcome> {
        let told = if self.lost.load(Ordering::Acquire) { None } else { self.tell_redis(context, inputs).await };
        let now = context.database_clock.now();
        let outcomes = told.unwrap_or_else(|| self.view_mut().take(inputs, &self.policy, now));
        self.note(context, inputs, &outcomes, now);
        outcomes
    }

    async fn tell_redis(
        &self,
        context: &Context,
        inputs: &[(SubscriptionId, BreakerInput)],
    ) -> Option<Vec<BreakerOutcome>> {
        let mut generation = self.generation.lock().await;
        if self.lost.load(Ordering::Acquire) {
            return None;
        }
        match self.shared.tell(&self.policy, inputs, || context.database_clock.now()).await {
            Ok(BreakerAnswer { before, after, outcomes }) => {
                let subscriptions = inputs.iter().map(|(webhook_id, _)| *webhook_id);
                self.view_mut().learn(subscriptions.zip(outcomes.iter().map(|outcome| outcome.breaker)));
                if *generation == Some(before) {
                    *generation = Some(after);
                }
                Some(outcomes)
            }
            Err(error) => {
                self.lose(&error);
                None
            }
        }
    }

    /// Looks whether others changed something, and reads all breakers if so.
    pub(crate) async fn refresh(&self, context: &Context) {
        let mut generation = self.generation.lock().await;
        let reading = async {
            let current = self.shared.generation().await?;
            if *generation == Some(current) && !self.lost.load(Ordering::Acquire) {
                return Ok(None);
            }
            self.shared.read(|| context.database_clock.now()).await.map(Some)
        };
        match reading.await {
            Ok(None) => {}
            Ok(Some(snapshot)) => {
                *generation = Some(snapshot.generation);
                let some_closed = self.view_mut().replace(snapshot.ailing);
                if self.lost.swap(false, Ordering::AcqRel) {
                    tracing::info!("breakers: Redis is back");
                }
                self.measure(context);
                if some_closed {
                    context.wake_release.notify_one();
                }
            }
            Err(error) => self.lose(&error),
        }
    }

    fn lose(&self, error: &QueueError) {
        if !self.lost.swap(true, Ordering::AcqRel) {
            tracing::warn!(
                { field::ERROR } = error_chain(error),
                "breakers: Redis is lost; this worker goes by what it sees itself"
            );
        }
    }

    /// Makes known what changed.
    fn note(
        &self,
        context: &Context,
        inputs: &[(SubscriptionId, BreakerInput)],
        outcomes: &[BreakerOutcome],
        now: DatabaseTime,
    ) {
        let mut at = now;
        let changes = inputs.iter().zip(outcomes).filter_map(|((webhook_id, _), outcome)| {
            let change = outcome.change?;
            // No two of the same instant, so that they keep their order.
            at = at.plus(Duration::from_micros(1));
            Some(event(*webhook_id, outcome.breaker, change, &self.policy, at))
        });
        let changes: Vec<CircuitEvent> = changes.collect();
        for event in &changes {
            context.metrics.circuits.with([event.change.as_str()]).inc();
            log(event);
        }
        if changes.iter().any(|event| event.change == BreakerChange::Closed) {
            context.wake_release.notify_one();
        }
        self.measure(context);
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.extend(changes);
        forget_oldest(&mut events);
    }

    fn measure(&self, context: &Context) {
        context.metrics.circuits_open.set_count(self.view().open());
    }

    /// Forgets breakers that did not change for `age`, wherever they came from.
    ///
    /// # Errors
    /// [`QueueError`] when Redis fails.
    pub(crate) async fn forget(&self, age: Duration) -> Result<(), QueueError> {
        self.shared.forget(age).await.map(drop)
    }

    /// Writes down what happened since the last time; what cannot be written is kept.
    ///
    /// # Errors
    /// [`StoreError`] when Postgres fails.
    pub(crate) async fn write_down(&self, context: &Context) -> Result<(), StoreError> {
        let mut waiting = std::mem::take(&mut *self.events.lock().unwrap_or_else(PoisonError::into_inner));
        if waiting.is_empty() {
            return Ok(());
        }
        let record =
            async { circuit_events::record(&mut *context.pool.get().await?, &context.instance, &waiting).await };
        let written = record.await;
        if written.is_err() {
            let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.append(&mut events);
            forget_oldest(&mut waiting);
            *events = waiting;
        }
        written
    }

    fn view(&self) -> RwLockReadGuard<'_, View> {
        self.view.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn view_mut(&self) -> RwLockWriteGuard<'_, View> {
        self.view.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells what attempts said until told to end, and then what was handed in until then. Results that arrive while a call is
/// under way share the next one.
pub(crate) async fn report(context: Arc<Context>, mut results: UnboundedReceiver<Told>, end: CancellationToken) {
    let mut told = Vec::with_capacity(BATCH);
    loop {
        tokio::select! {
            biased;
            count = results.recv_many(&mut told, BATCH) => {
                if count == 0 {
                    return;
                }
                context.breakers.take_in(&context, &told).await;
                told.clear();
            }
            // Only reached when nothing is waiting.
            () = end.cancelled() => break,
        }
    }
    if let Err(error) = context.breakers.write_down(&context).await {
        tracing::warn!({ field::ERROR } = error_chain(&error), "the last circuit events could not be written down");
    }
}

/// Begins to keep the copy fresh and to write down what happened. Two tasks: neither store's absence delays what the other
/// is for.
pub(crate) fn start(context: &Arc<Context>, tasks: &Tasks) {
    let keeper = Arc::clone(context);
    tasks.periodic("breakers", POLL_EVERY, move || {
        let context = Arc::clone(&keeper);
        async move {
            // One that fails says so itself, where it turns to the copy alone.
            context.breakers.refresh(&context).await;
            Ok::<(), QueueError>(())
        }
    });
    let writer = Arc::clone(context);
    tasks.periodic("circuit events", WRITE_EVERY, move || {
        let context = Arc::clone(&writer);
        async move { context.breakers.write_down(&context).await }
    });
}

fn forget_oldest(events: &mut Vec<CircuitEvent>) {
    let over = events.len().saturating_sub(EVENTS_KEPT);
    events.drain(..over);
}

fn event(
    webhook_id: SubscriptionId,
    breaker: Breaker,
    change: BreakerChange,
    policy: &BreakerPolicy,
    at: DatabaseTime,
) -> CircuitEvent {
    let open_until = match breaker {
        Breaker::Open { until, .. } => Some(until),
        Breaker::Closed { .. } | Breaker::HalfOpen { .. } => None,
    };
    CircuitEvent { webhook_id, at, change, failures: breaker.failures(policy), open_until }
}

fn log(event: &CircuitEvent) {
    let CircuitEvent { webhook_id, failures, .. } = event;
    match event.change {
        BreakerChange::Opened | BreakerChange::Reopened => {
            let until = event.open_until.map(tracing::field::display);
            tracing::warn!({ field::SUBSCRIPTION_ID } = %webhook_id, failures, until, "the circuit is open: what waits is held");
        }
        BreakerChange::Probed => {
            tracing::info!({ field::SUBSCRIPTION_ID } = %webhook_id, failures, "one delivery probes the open circuit");
        }
        BreakerChange::Closed => tracing::info!({ field::SUBSCRIPTION_ID } = %webhook_id, "the circuit is closed"),
    }
}
