//! [`RateLimiter`]: one decision for one request, exact while Redis answers and honest when it does not.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use onering_clock::Clock;
use onering_ids::KeyId;
use onering_rate_limit::{Cost, LossPolicy, Outcome, Policy, Quota, RefusedBy, Window};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use crate::error::QueueError;
use crate::rate::denied::Denied;
use crate::rate::flight;
use crate::rate::local::LocalLimits;
use crate::rate::script::RateScript;

/// How many requests may wait for the next call. Far above what a worker can have open; beyond it callers wait.
const WAITING: usize = 16_384;

/// What became of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// Admitted or refused, with the numbers for the headers.
    pub outcome: Outcome,
    /// The instant of the decision in Unix seconds, by Redis' clock: what a time to the reset counts from.
    pub now_unix_s: u64,
    /// Redis did not answer in time, so the decision holds for this replica only.
    pub degraded: bool,
}

/// Redis does not answer, and the setting says that nothing is admitted without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the rate limiter does not answer, and nothing is admitted without it")]
pub struct LimiterUnavailable;

/// The limiter of one runtime. Clones share it; it stops when the last is dropped.
///
/// Requests that arrive while a call to Redis is under way share the next one, so a busy runtime makes about one call a
/// round trip, however many requests it serves. A key whose hour is used up is refused from memory. A call that takes
/// longer than 100 ms counts as lost: everybody waiting is then decided by the [`LossPolicy`], and so is everybody who
/// comes, until Redis answers a probe in the background.
#[derive(Clone)]
pub struct RateLimiter {
    shared: Arc<Shared>,
    asks: mpsc::Sender<Ask>,
}

/// One request on its way to the script. If `reply` is dropped, the caller falls back.
pub(crate) struct Ask {
    pub(crate) key: KeyId,
    pub(crate) policy: Policy,
    pub(crate) cost: Cost,
    pub(crate) reply: oneshot::Sender<Decision>,
}

/// What the callers and the task that talks to Redis both see.
pub(crate) struct Shared {
    on_loss: LossPolicy,
    local: Arc<LocalLimits>,
    clock: Clock,
    denied: Mutex<Denied>,
    lost: AtomicBool,
}

impl RateLimiter {
    pub(crate) fn start(
        script: RateScript,
        on_loss: LossPolicy,
        local: Arc<LocalLimits>,
        clock: Clock,
    ) -> Result<Self, QueueError> {
        let runtime = Handle::try_current().map_err(|_| QueueError::NoRuntime)?;
        let (asks, asked) = mpsc::channel(WAITING);
        let shared = Arc::new(Shared { on_loss, local, clock, denied: Mutex::default(), lost: AtomicBool::new(false) });
        runtime.spawn(flight::serve(asked, script, Arc::clone(&shared)));
        Ok(Self { shared, asks })
    }

    /// Takes `cost` from the key's limit, or refuses without counting anything.
    ///
    /// # Errors
    /// [`LimiterUnavailable`], only while Redis does not answer and only with [`LossPolicy::Closed`].
    pub async fn take(&self, key: KeyId, policy: Policy, cost: Cost) -> Result<Decision, LimiterUnavailable> {
        if let Some(refusal) = self.shared.refuse_from_memory(key, policy, cost) {
            return Ok(refusal);
        }
        if !self.is_degraded() {
            let (reply, answer) = oneshot::channel();
            if self.asks.send(Ask { key, policy, cost, reply }).await.is_ok()
                && let Ok(decision) = answer.await
            {
                return Ok(decision);
            }
        }
        self.shared.decide_without_redis(key, policy, cost)
    }

    /// Whether Redis is lost at the moment, so that decisions hold for this replica only.
    #[must_use]
    pub fn is_degraded(&self) -> bool {
        self.shared.lost.load(Ordering::Relaxed)
    }
}

impl Shared {
    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(crate) fn set_lost(&self, lost: bool) {
        self.lost.store(lost, Ordering::Relaxed);
    }

    /// Learns Redis' clock from an answer.
    pub(crate) fn learn_time(&self, redis_ms: u64) {
        self.local.learn_redis_ms(redis_ms, self.clock.unix_ms());
    }

    /// Remembers that nothing is left of a quota. Redis read its clock some time after `asked_at`, so counting from there
    /// forgets a little early rather than late: no key is refused in an hour it has not used.
    pub(crate) fn remember_exhausted(
        &self,
        key: KeyId,
        policy: Policy,
        quota: Quota,
        redis_ms: u64,
        asked_at: Instant,
    ) {
        let left = Duration::from_millis((quota.reset_unix_s * 1000).saturating_sub(redis_ms));
        self.denied().remember(key, policy, quota, asked_at + left, asked_at);
    }

    fn refuse_from_memory(&self, key: KeyId, policy: Policy, cost: Cost) -> Option<Decision> {
        if cost.0 == 0 {
            return None;
        }
        let (quota, left) = self.denied().recall(key, policy, self.clock.monotonic())?;
        let retry_after_s = left.as_secs() + u64::from(left.subsec_nanos() > 0);
        let outcome = Outcome::Refused { quota, retry_after_s, window: RefusedBy::Hour };
        Some(Decision { outcome, now_unix_s: quota.reset_unix_s.saturating_sub(retry_after_s), degraded: false })
    }

    fn decide_without_redis(&self, key: KeyId, policy: Policy, cost: Cost) -> Result<Decision, LimiterUnavailable> {
        let unix_ms = self.clock.unix_ms();
        let now_unix_s = self.local.redis_ms(unix_ms) / 1000;
        let outcome = match self.on_loss {
            LossPolicy::Local => self.local.take(key, policy, cost, unix_ms),
            LossPolicy::Open => Outcome::Admitted(Window::default().quota(policy, now_unix_s * 1000)),
            LossPolicy::Closed => return Err(LimiterUnavailable),
        };
        Ok(Decision { outcome, now_unix_s, degraded: true })
    }

    /// Never held across an await.
    fn denied(&self) -> MutexGuard<'_, Denied> {
        self.denied.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
