//! The dispatcher: one task that owns the lanes and decides what is sent next.
//!
//! Items arrive with their subscription; what may not go out is settled at once (held, cancelled, expired, deferred), the
//! rest waits in its lane for its turn. An item whose subscription may have changed while it waited, whose lease could end
//! during its request, or that may have to be its subscription's probe, is prepared first, many in one statement. Nothing
//! here does I/O: attempts and preparations run in tasks of their own and report back.

use std::sync::Arc;
use std::time::Duration;

use onering_delivery::{HeldReason, Outlook, Settlement};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::attempt;
use crate::context::Context;
use crate::events::{DispatcherHandle, Event, Report};
use crate::lanes::{Freed, Lanes, Overflow, Room};
use crate::preparation::{Prepared, prepare};
use crate::settling::Finished;
use crate::verdict::{Verdict, verdict};
use crate::work_item::{OPERATOR_PAUSE, Ready};

/// Items that wait in all lanes together, for each attempt that may be under way. The more one lane may hold, the more one sweep
/// brings for it, and a sweep costs the same for few as for many.
pub(crate) const QUEUED_PER_ATTEMPT: usize = 3;
/// How often idle lanes are forgotten.
const TIDY_EVERY: Duration = Duration::from_secs(10);

struct Dispatcher {
    context: Arc<Context>,
    handle: DispatcherHandle,
    lanes: Lanes<Ready>,
    /// Attempts under way, preparations included.
    in_flight: usize,
    /// Taken from their lanes, but to be prepared before they are sent.
    to_prepare: Vec<Ready>,
    preparing: bool,
    attempts: TaskTracker,
}

/// Runs until stopped, which comes after intake and sweep have ended; then lets attempts under way finish and gives back
/// what was not sent.
pub(crate) async fn run(
    context: Arc<Context>,
    handle: DispatcherHandle,
    mut events: UnboundedReceiver<Event>,
    stop: CancellationToken,
) {
    let mut dispatcher = Dispatcher {
        // With what is under way the places of one source are used up and no more. Of bytes half of what a source may hold: however many
        // lanes are full, it can read on, and finds so.
        lanes: Lanes::new(Room {
            attempts: context.max_in_flight,
            items: context.max_in_flight * QUEUED_PER_ATTEMPT,
            bytes: context.body_bytes / 4,
        }),
        context,
        handle,
        in_flight: 0,
        to_prepare: Vec::new(),
        preparing: false,
        attempts: TaskTracker::new(),
    };
    let mut switches = dispatcher.context.flags.subscribe();
    let mut tidy = tokio::time::interval(TIDY_EVERY);
    loop {
        dispatcher.start_attempts();
        dispatcher.measure();
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
            Event::AttemptOver(freed) => self.free(freed),
            Event::Prepared(prepared) => {
                self.preparing = false;
                self.go_on(prepared);
            }
            Event::PreparationLost(lost) => {
                self.preparing = false;
                for freed in lost {
                    self.free(freed);
                }
            }
            Event::Vacancies(reply) => {
                // Nobody to tell: the sweep was told to stop.
                let _ = reply.send(self.lanes.vacancies(self.context.clock.monotonic()));
            }
            Event::LeftBehind(subscription, put_off) => self.lanes.left_behind(subscription, put_off),
        }
    }

    /// Sends what was prepared and lets go of what was not.
    fn go_on(&mut self, mut prepared: Prepared) {
        let now = self.context.database_clock.now();
        let prepared_well = std::mem::take(&mut prepared.ready);
        let unsent = [&prepared.lost, &prepared.spoilt, &prepared.broken, &prepared.unprepared];
        for ready in unsent.into_iter().flatten() {
            self.free(ready.freed());
        }
        self.let_go(prepared);
        for ready in prepared_well {
            if ready.is_covered(now) {
                self.send(ready);
            } else {
                // The answer took so long that the lease is short again.
                self.to_prepare.push(ready);
            }
        }
    }

    /// Settles what is not sent: all of it.
    fn let_go(&self, unsent: Prepared) {
        let now = self.context.database_clock.now();
        let Prepared { ready, lost, spoilt, broken, unprepared } = unsent;
        for ready in lost {
            // Somebody else owns the delivery now: only the stale entry is left to acknowledge.
            self.context.settling.submit(Finished::stale(ready.item));
        }
        for ready in spoilt {
            self.context.settling.submit(Finished::put_off(ready.item, now.plus(OPERATOR_PAUSE)));
        }
        for Ready { item, .. } in broken {
            let settlement = Settlement::hold(&item.work, HeldReason::BreakerOpen);
            self.context.settling.submit(Finished::new(item, settlement));
        }
        for ready in ready.into_iter().chain(unprepared) {
            self.context.settling.submit(Finished::put_off(ready.item, now));
        }
    }

    /// Puts an item in its lane, or settles it when it must not go out.
    fn admit(&mut self, ready: Ready) {
        let Some(ready) = self.let_in(ready) else { return };
        let (subscription, pace) = (ready.item.work.webhook_id, ready.target.pace());
        let now = self.context.clock.monotonic();
        let bytes = ready.item.body.len();
        if let Err(Overflow { item: ready, pause }) = self.lanes.offer(subscription, pace, ready, bytes, now) {
            self.turn_away(ready, pause);
        }
    }

    /// An entry that was taken over is judged after its renewal: until then nothing may be written of it. With delivery
    /// switched off nothing is renewed.
    fn let_in(&self, ready: Ready) -> Option<Ready> {
        if ready.item.is_own() {
            return self.permit(ready).map(|(ready, _)| ready);
        }
        if self.context.flags.current().delivery {
            return Some(ready);
        }
        self.context.settling.submit(Finished::left_to_its_lease(ready.item));
        None
    }

    /// Lets go of an item whose lane is full. It comes back when its lane may have got to it; if its lease ends before that,
    /// it does so by itself, which costs no statement, however large the flood.
    fn turn_away(&self, ready: Ready, pause: Duration) {
        self.context.metrics.overflowed.inc();
        // Spread by chance as well, so that workers do not all come back at once.
        let until = self.context.database_clock.now().plus(pause.mul_f64(1.0 + self.context.clock.jitter()));
        let lease_ends = ready.item.work.lease.until;
        if lease_ends <= until || !ready.item.is_own() {
            self.context.tally.defer(lease_ends);
            self.context.settling.submit(Finished::left_to_its_lease(ready.item));
        } else {
            self.context.tally.defer(until);
            self.context.settling.submit(Finished::put_off(ready.item, until));
        }
    }

    /// The item itself when it may go out now, or may ask its breaker whether it may; otherwise it is settled here.
    fn permit(&self, ready: Ready) -> Option<(Ready, Outlook)> {
        let now = self.context.database_clock.now();
        let switches = self.context.flags.current();
        let work = &ready.item.work;
        let outlook = self.context.outlook(work, now);
        let settlement = match verdict(work, &ready.target, &switches, outlook, now) {
            Verdict::Send => return Some((ready, outlook)),
            Verdict::Hold(reason) => Settlement::hold(work, reason),
            Verdict::Cancel => Settlement::cancel(work, now),
            Verdict::Expire => Settlement::expire(work, now),
        };
        self.context.settling.submit(Finished::new(ready.item, settlement));
        None
    }

    /// Starts as many attempts as may be under way.
    fn start_attempts(&mut self) {
        while self.in_flight < self.context.max_in_flight && self.context.flags.current().delivery {
            let Some(mut ready) = self.lanes.take(self.context.clock.monotonic()) else { break };
            self.in_flight += 1;
            match self.context.subscriptions.known(ready.item.work.webhook_id) {
                Some(target) => {
                    ready.target = target;
                    if ready.is_covered(self.context.database_clock.now()) {
                        self.send(ready);
                    } else {
                        self.to_prepare.push(ready);
                    }
                }
                None => self.to_prepare.push(ready),
            }
        }
        if !self.preparing && !self.to_prepare.is_empty() {
            self.start_preparing();
        }
        if self.lanes.has_room_for_more() {
            self.context.wake_sweep.notify_one();
        }
    }

    fn start_preparing(&mut self) {
        self.preparing = true;
        let batch = std::mem::take(&mut self.to_prepare);
        let context = Arc::clone(&self.context);
        let mut report = Report::preparation(self.handle.clone(), &batch);
        self.attempts.spawn(async move { report.prepared(prepare(&context, batch).await) });
    }

    /// Sends one item whose lease covers the request, unless things have changed while it waited.
    fn send(&mut self, ready: Ready) {
        let freed = ready.freed();
        let Some((ready, outlook)) = self.permit(ready) else { return self.free(freed) };
        if outlook == Outlook::Ask {
            return self.to_prepare.push(ready);
        }
        let context = Arc::clone(&self.context);
        let mut report = Report::attempt(self.handle.clone(), &ready);
        self.attempts.spawn(async move {
            if let Some(over) = attempt::run(&context, ready).await {
                report.ended(over);
            }
        });
    }

    fn free(&mut self, freed: Freed) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.lanes.finished(freed, self.context.clock.monotonic());
    }

    fn measure(&self) {
        let metrics = &self.context.metrics;
        metrics.queued.set_count(self.lanes.queued());
        metrics.lanes.set_count(self.lanes.busy());
        metrics.in_flight.set_count(self.in_flight);
    }

    /// With delivery switched off, what waits here goes back to Postgres, held, where lists show it.
    fn hold_when_off(&mut self) {
        if self.context.flags.current().delivery {
            return;
        }
        for Ready { item, .. } in self.lanes.drain() {
            let settlement = Settlement::hold(&item.work, HeldReason::DeliveryOff);
            self.context.settling.submit(Finished::unsent(item, settlement));
        }
    }

    /// Gives back, due at once, what was not sent, and lets attempts under way finish.
    async fn finish(mut self, mut events: UnboundedReceiver<Event>) {
        let mut unsent: Vec<Ready> = self.lanes.drain();
        unsent.append(&mut self.to_prepare);
        self.give_back(unsent);
        self.attempts.close();
        let attempts = self.attempts.clone();
        let mut attempts_over = std::pin::pin!(attempts.wait());
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
                Some(Event::Arrived(arrived)) => self.give_back(arrived),
                Some(Event::Prepared(prepared)) => self.let_go(prepared),
                Some(Event::PreparationLost(_) | Event::Vacancies(_) | Event::LeftBehind(..)) => {}
                Some(Event::AttemptOver(freed)) => self.free(freed),
                None => break,
            }
            self.measure();
        }
    }

    fn give_back(&self, unsent: Vec<Ready>) {
        self.let_go(Prepared { unprepared: unsent, ..Prepared::default() });
    }
}
