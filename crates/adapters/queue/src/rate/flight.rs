//! The task behind a [`RateLimiter`](crate::RateLimiter): it gathers requests, calls the script, and notices when Redis
//! is lost and when it is back.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use onering_clock::Clock;
use onering_ids::KeyId;
use onering_rate_limit::Policy;
use tokio::sync::mpsc::Receiver;
use tokio::time::{sleep, timeout};

use crate::error::Fault;
use crate::link::CONNECT_TIMEOUT;
use crate::rate::limiter::{Ask, Decision, Shared};
use crate::rate::script::{RateScript, TakeRequest, Taken};

/// A call slower than this counts as lost.
pub(crate) const DEADLINE: Duration = Duration::from_millis(100);

/// How many requests one call may carry. Bounds how long the script keeps Redis from others: a few milliseconds.
const MOST_AT_ONCE: usize = 2_048;

/// The first and the longest pause between probes of a lost Redis.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A loss so soon after a recovery goes on with the pauses of the one before it: Redis is unwell, not back.
const RELAPSE: Duration = Duration::from_secs(5);

/// Serves requests until all limiters of this task are gone.
pub(crate) async fn serve(mut asks: Receiver<Ask>, script: RateScript, shared: Arc<Shared>) {
    // Whether it works out shows at the first request, which need not pay for the connection then.
    let _ = timeout(DEADLINE, script.connect()).await;
    let mut patience = Patience::new(shared.clock().clone());
    let mut waiting = Vec::new();
    while asks.recv_many(&mut waiting, MOST_AT_ONCE).await > 0 {
        let batch = Gathered::from_asks(&waiting);
        let asked_at = shared.clock().monotonic();
        match call(&script, &batch.requests).await {
            Ok(taken) => batch.answer(waiting.drain(..), &taken, asked_at, &shared),
            Err(fault) => {
                tracing::warn!(error = &fault as &dyn std::error::Error, "rate limits: Redis is lost");
                shared.set_lost(true);
                // Their callers see that no answer will come, and decide without.
                waiting.clear();
                if !patience.wait_for_redis(&mut asks, &script).await {
                    return;
                }
                shared.set_lost(false);
                tracing::info!("rate limits: Redis is back");
            }
        }
    }
}

/// One call within the deadline. A connection that Redis had closed is opened anew within it by the link: a restart of
/// Redis, or its idle timeout, is no loss. What the closed connection may have counted is then counted twice, which can
/// refuse too much and never admit too much.
async fn call(script: &RateScript, batch: &[TakeRequest]) -> Result<Taken, Fault> {
    timeout(DEADLINE, script.call(batch)).await.unwrap_or(Err(Fault::Deadline))
}

/// Requests sorted for the script: one entry for each key and policy, costs in order of arrival.
struct Gathered {
    requests: Vec<TakeRequest>,
    /// For each asker, its entry above; its place there follows from the order.
    places: Vec<usize>,
}

impl Gathered {
    fn from_asks(asks: &[Ask]) -> Self {
        let mut entries: HashMap<(KeyId, Policy), usize> = HashMap::with_capacity(asks.len());
        let mut requests: Vec<TakeRequest> = Vec::new();
        let mut places = Vec::with_capacity(asks.len());
        for ask in asks {
            let entry = *entries.entry((ask.key, ask.policy)).or_insert(requests.len());
            match requests.get_mut(entry) {
                Some(request) => request.costs.push(ask.cost),
                None => requests.push(TakeRequest { key: ask.key, policy: ask.policy, costs: vec![ask.cost] }),
            }
            places.push(entry);
        }
        Self { requests, places }
    }

    /// Gives each asker its outcome and remembers which keys have nothing left.
    fn answer(self, asks: impl Iterator<Item = Ask>, taken: &Taken, asked_at: Instant, shared: &Shared) {
        shared.learn_time(taken.now_unix_ms);
        for (request, answer) in self.requests.iter().zip(&taken.answers) {
            if let Some(quota) = answer.outcomes.last().map(|outcome| outcome.quota())
                && quota.remaining == 0
            {
                shared.remember_exhausted(request.key, request.policy, *quota, taken.now_unix_ms, asked_at);
            }
        }
        let mut outcomes: Vec<_> = taken.answers.iter().map(|answer| answer.outcomes.iter()).collect();
        for (ask, place) in asks.zip(self.places) {
            let Some(outcome) = outcomes.get_mut(place).and_then(Iterator::next) else { continue };
            let decision = Decision { outcome: *outcome, now_unix_s: taken.now_unix_ms / 1000, degraded: false };
            // An asker that hung up has been counted: it did ask.
            let _ = ask.reply.send(decision);
        }
    }
}

/// Waits for a lost Redis without hammering it.
struct Patience {
    clock: Clock,
    pause: Duration,
    recovered_at: Option<Instant>,
}

impl Patience {
    fn new(clock: Clock) -> Self {
        Self { clock, pause: FIRST_PAUSE, recovered_at: None }
    }

    /// Probes until Redis answers in time. Requests that slip in meanwhile are turned away at once. `false` when the
    /// limiter is gone.
    async fn wait_for_redis(&mut self, asks: &mut Receiver<Ask>, script: &RateScript) -> bool {
        let relapse = self.recovered_at.is_some_and(|at| self.clock.monotonic() < at + RELAPSE);
        if !relapse {
            self.pause = FIRST_PAUSE;
        }
        loop {
            // A connection that was silent once may be silent for ever, although a new one would work.
            script.forget_connection();
            // Spread, so that many replicas do not probe in step.
            let pause = self.pause.mul_f64(0.5 + self.clock.jitter());
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
            let probing = async {
                sleep(pause).await;
                answers_in_time(script).await
            };
            tokio::pin!(probing);
            let back = loop {
                tokio::select! {
                    back = &mut probing => break back,
                    stray = asks.recv() => match stray {
                        Some(ask) => drop(ask),
                        None => return false,
                    },
                }
            };
            if back {
                self.recovered_at = Some(self.clock.monotonic());
                return true;
            }
        }
    }
}

/// Whether Redis answers the script, asked for nothing, in the time a request would have.
async fn answers_in_time(script: &RateScript) -> bool {
    let connected = timeout(CONNECT_TIMEOUT, script.connect()).await;
    matches!(connected, Ok(Ok(()))) && matches!(timeout(DEADLINE, script.call(&[])).await, Ok(Ok(_)))
}
