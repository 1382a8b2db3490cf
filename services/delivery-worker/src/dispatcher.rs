//! The dispatcher: one task that owns the lanes and decides what is sent next.
//!
//! Items arrive with their subscription; what may not go out is settled at once (held, cancelled, expired, deferred), the
//! rest waits in its lane for its turn. An item whose lease could end during its request has it renewed first, many in
//! one statement. Nothing here does I/O: attempts and renewals run in tasks of their own and report back.

use std::sync::Arc;
use std::time::Duration;

use onering_delivery::{HeldReason, Settlement};
use onering_ids::SubscriptionId;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::attempt;
use crate::context::Context;
use crate::lanes::Lanes;
use crate::renewal::{self, Renewed};
use crate::settling::Finished;
use crate::verdict::{Verdict, verdict};
use crate::work_item::{Item, Ready};

/// What overflows a lane goes back to Postgres for this long, plus up to four times as much by chance, so that it does not
/// all come back at once.
const OVERFLOW_PAUSE: Duration = Duration::from_secs(1);
/// How often idle lanes are forgotten.
const TIDY_EVERY: Duration = Duration::from_secs(10);

/// What the dispatcher is told.
#[derive(Debug)]
pub enum Event {
    /// New items from the stream or the sweep.
    Arrived(Vec<Ready>),
    /// An attempt is over and its lane has room again.
    AttemptOver(SubscriptionId),
    /// Leases were renewed, or lost.
    Renewed(Renewed),
}

/// Where to tell it. The channel is unbounded, but what passes through is not: every item holds one of a fixed number of
/// places.
#[derive(Debug, Clone)]
pub struct DispatcherHandle(UnboundedSender<Event>);

impl DispatcherHandle {
    /// A channel to a dispatcher to be.
    #[must_use]
    pub fn channel() -> (Self, UnboundedReceiver<Event>) {
        let (sender, receiver) = unbounded_channel();
        (Self(sender), receiver)
    }

    /// Tells the dispatcher; after it has ended, nobody needs to know any more.
    pub fn tell(&self, event: Event) {
        if self.0.send(event).is_err() {
            tracing::debug!("the dispatcher has ended");
        }
    }
}

struct Dispatcher {
    context: Arc<Context>,
    handle: DispatcherHandle,
    lanes: Lanes<Ready>,
    /// Attempts under way, renewals included.
    in_flight: usize,
    /// Taken from their lanes, but to be renewed before they are sent.
    to_renew: Vec<Ready>,
    renewing: bool,
    attempts: TaskTracker,
}

/// Runs until stopped, which comes after intake and sweep have ended; then lets attempts under way finish and gives back
/// what was not sent.
pub async fn run(
    context: Arc<Context>,
    handle: DispatcherHandle,
    mut events: UnboundedReceiver<Event>,
    stop: CancellationToken,
) {
    let mut dispatcher = Dispatcher {
        context,
        handle,
        lanes: Lanes::default(),
        in_flight: 0,
        to_renew: Vec::new(),
        renewing: false,
        attempts: TaskTracker::new(),
    };
    let mut switches = dispatcher.context.flags.subscribe();
    let mut tidy = tokio::time::interval(TIDY_EVERY);
    loop {
        dispatcher.start_attempts();
        let now = dispatcher.context.clock.monotonic();
        let paced = dispatcher.lanes.next_wake(now);
        tokio::select! {
            event = events.recv() => match event {
                Some(event) => dispatcher.hear(event),
                None => break,
            },
            () = wait_for(paced) => {}
            changed = switches.changed() => {
                if changed.is_ok() {
                    dispatcher.hold_when_off();
                }
            }
            _ = tidy.tick() => dispatcher.lanes.forget_idle(now),
            () = stop.cancelled() => break,
        }
        // Whatever came meanwhile, before attempts are started again: batches grow under load.
        while let Ok(event) = events.try_recv() {
            dispatcher.hear(event);
        }
    }
    dispatcher.finish(events).await;
}

/// Waits for a lane's rate limit, or for ever when no lane waits for one.
async fn wait_for(pause: Option<Duration>) {
    match pause {
        Some(pause) => tokio::time::sleep(pause).await,
        None => std::future::pending().await,
    }
}

impl Dispatcher {
    fn hear(&mut self, event: Event) {
        match event {
            Event::Arrived(arrived) => {
                for ready in arrived {
                    self.admit(ready);
                }
            }
            Event::AttemptOver(subscription) => self.free(subscription),
            Event::Renewed(Renewed { kept, lost }) => {
                self.renewing = false;
                for ready in kept {
                    self.send(ready);
                }
                for ready in lost {
                    // Somebody else owns the delivery now: only the stale entry is left to acknowledge.
                    self.free(ready.item.work.webhook_id);
                    self.context.settling.submit(Finished::stale(ready.item));
                }
            }
        }
    }

    /// Puts an item in its lane, or settles it when it must not go out.
    fn admit(&mut self, ready: Ready) {
        let Some(ready) = self.permit(ready) else { return };
        let (subscription, pace) = (ready.item.work.webhook_id, ready.target.pace());
        if let Err(ready) = self.lanes.offer(subscription, pace, ready) {
            let spread = OVERFLOW_PAUSE.mul_f64(1.0 + 4.0 * self.context.clock.jitter());
            let until = self.context.database_clock.now().plus(spread);
            self.context.metrics.overflowed.inc();
            self.context.tally.defer(until);
            self.settle_unsent(ready.item, |item| Settlement::defer(&item.work, until));
        }
    }

    /// The item itself when it may go out now; otherwise it is settled here.
    fn permit(&self, ready: Ready) -> Option<Ready> {
        let now = self.context.database_clock.now();
        let switches = self.context.flags.current();
        let settle = match verdict(&ready.item.work, &ready.target, &switches, now) {
            Verdict::Send => return Some(ready),
            Verdict::Hold(reason) => Settlement::hold(&ready.item.work, reason),
            Verdict::Cancel => Settlement::cancel(&ready.item.work, now),
            Verdict::Expire => Settlement::expire(&ready.item.work, now),
        };
        self.settle_unsent(ready.item, |_| settle);
        None
    }

    fn settle_unsent(&self, item: Item, settlement: impl FnOnce(&Item) -> Settlement) {
        let settlement = settlement(&item);
        self.context.settling.submit(Finished::unsent(item, settlement));
    }

    /// Starts as many attempts as may be under way.
    fn start_attempts(&mut self) {
        while self.in_flight < self.context.max_in_flight && self.context.flags.current().delivery {
            let Some(ready) = self.lanes.take(self.context.clock.monotonic()) else { break };
            self.in_flight += 1;
            let now = self.context.database_clock.now();
            if ready.item.work.lease.covers(ready.target.timeout(), now) {
                self.send(ready);
            } else {
                self.to_renew.push(ready);
            }
        }
        if !self.renewing && !self.to_renew.is_empty() {
            self.renewing = true;
            let batch = std::mem::take(&mut self.to_renew);
            let (context, handle) = (Arc::clone(&self.context), self.handle.clone());
            self.attempts.spawn(async move { handle.tell(Event::Renewed(renewal::renew(&context, batch).await)) });
        }
    }

    /// Sends one item whose lease covers the request, unless things have changed while it waited.
    fn send(&mut self, ready: Ready) {
        let subscription = ready.item.work.webhook_id;
        let Some(ready) = self.permit(ready) else { return self.free(subscription) };
        let (context, handle) = (Arc::clone(&self.context), self.handle.clone());
        self.attempts.spawn(async move {
            attempt::run(&context, ready).await;
            handle.tell(Event::AttemptOver(subscription));
        });
    }

    fn free(&mut self, subscription: SubscriptionId) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.lanes.finished(subscription);
    }

    /// With delivery switched off, what waits here goes back to Postgres, held, where lists show it.
    fn hold_when_off(&mut self) {
        if self.context.flags.current().delivery {
            return;
        }
        for ready in self.lanes.drain() {
            self.settle_unsent(ready.item, |item| Settlement::hold(&item.work, HeldReason::DeliveryOff));
        }
    }

    /// Lets attempts under way finish and gives back, due at once, what was not sent.
    async fn finish(mut self, mut events: UnboundedReceiver<Event>) {
        let now = self.context.database_clock.now();
        let mut unsent: Vec<Ready> = self.lanes.drain();
        unsent.append(&mut self.to_renew);
        self.attempts.close();
        let mut attempts_over = std::pin::pin!(self.attempts.wait());
        let mut over = false;
        loop {
            let event = if over {
                events.try_recv().ok()
            } else {
                tokio::select! {
                    event = events.recv() => event,
                    () = &mut attempts_over => {
                        over = true;
                        continue;
                    }
                }
            };
            match event {
                Some(Event::Arrived(arrived)) => unsent.extend(arrived),
                Some(Event::Renewed(Renewed { kept, lost })) => {
                    unsent.extend(kept);
                    for ready in lost {
                        self.context.settling.submit(Finished::stale(ready.item));
                    }
                }
                Some(Event::AttemptOver(_)) => {}
                None => break,
            }
        }
        for ready in unsent {
            self.context.settling.submit(Finished::unsent_at(ready.item, now));
        }
    }
}
