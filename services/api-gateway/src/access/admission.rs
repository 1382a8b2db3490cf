//! How a call comes in: the access decision with what it needs looked up, then the rate limit.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix_web::HttpRequest;
use onering_clock::Clock;
use onering_flags::FlagsHandle;
use onering_keys::access::{AccessInput, Credential, Refusal, Verdict, decide};
use onering_keys::{AuthFailures, KeyRecord};
use onering_problem::{Code, Problem};
use onering_queue::{Decision, RateLimiter};
use onering_rate_limit::{Cost, Outcome, Policy, RefusedBy};
use onering_web::{ApiError, TrustedProxies};

use super::blocklist::Blocklist;
use super::key_directory::{Found, KeyDirectory};
use super::permission::Needs;
use super::presented_token::PresentedToken;
use super::recent_keys::RecentKeys;
use super::standing::Standing;

/// What a caller waits before another try when a part of the platform was silent, seconds.
const TRY_AGAIN_S: u64 = 1;

/// What the access decision looks at: one for the process.
pub(crate) struct Gate {
    /// The clock of the process.
    pub(crate) clock: Clock,
    /// The switches in force.
    pub(crate) flags: FlagsHandle,
    /// Whose `X-Forwarded-For` is believed.
    pub(crate) trusted_proxies: TrustedProxies,
    /// The blocked addresses.
    pub(crate) blocklist: Blocklist,
    /// Whose token it is.
    pub(crate) keys: KeyDirectory,
    /// Failed authentications by address.
    pub(crate) failures: Mutex<AuthFailures>,
}

impl Gate {
    /// Checks 1 to 8 of the access decision, and then the switch of webhooks, which is asked last because it concerns
    /// those who are let in.
    ///
    /// # Errors
    /// The refusal, or 503 when the key can be looked up nowhere.
    async fn recognise(
        &self,
        request: &HttpRequest,
        standing: &Standing,
        keys: &RecentKeys,
        needs: Needs<'_>,
    ) -> Result<Arc<KeyRecord>, Stopped> {
        let address = self.trusted_proxies.client_address(request);
        standing.came_from(address);
        let switches = self.flags.current();
        let now = self.clock.now();
        let input = |credential, failures_exceeded| AccessInput {
            switches: &switches,
            address,
            address_blocked: self.blocklist.blocks(address, now),
            credential,
            failures_exceeded,
            required_scope: needs.scope,
            now,
        };
        let token = PresentedToken::of(request.headers());
        let mut key: Found = None;
        let mut credential = match token {
            PresentedToken::Missing => Credential::Missing,
            PresentedToken::Garbled => Credential::Garbled,
            PresentedToken::Digest(_) => Credential::NotLookedUp,
        };
        let mut verdict = decide(&input(credential, false));
        if verdict == Verdict::LookUp
            && let PresentedToken::Digest(digest) = token
        {
            key = keys.find(digest).await.map_err(|error| Stopped::by(ApiError::unavailable(error)))?;
            credential = key.as_deref().map_or(Credential::Unknown, Credential::Known);
            verdict = decide(&input(credential, false));
        }
        if let Verdict::Refuse(refusal) = &verdict
            && refusal.is_failed_authentication()
        {
            let decide_again = |exceeded| decide(&input(credential, exceeded));
            return Err(Stopped::by(self.failed_authentication(address, refusal.clone(), decide_again)));
        }
        match (verdict, key) {
            (Verdict::Admit, Some(key)) if needs.webhooks && !switches.webhooks => {
                Err(Stopped { error: Code::WebhooksDisabled.into(), key: Some(key) })
            }
            (Verdict::Admit, Some(key)) => Ok(key),
            (Verdict::Refuse(refusal), key) => Err(Stopped { error: Problem::from(refusal).into(), key }),
            (Verdict::Admit | Verdict::LookUp, _) => {
                Err(Stopped::by(ApiError::internal("a call was decided without a key")))
            }
        }
    }

    /// Counts a failed authentication, or refuses with 429 when its address has had too many. Only failures come here,
    /// so good calls never wait for the counts.
    fn failed_authentication(
        &self,
        address: IpAddr,
        refusal: Refusal,
        decide_again: impl FnOnce(bool) -> Verdict,
    ) -> ApiError {
        let now_unix_s = self.clock.unix_ms() / 1000;
        let exceeded = {
            let mut failures = self.failures();
            let exceeded = failures.exceeded(address, now_unix_s);
            if !exceeded {
                failures.record(address, now_unix_s);
            }
            exceeded
        };
        match decide_again(exceeded) {
            Verdict::Refuse(refusal) if refusal.code == Code::TooManyAuthFailures => {
                Problem::from(refusal).retry_after(AuthFailures::retry_after_s(now_unix_s)).into()
            }
            _ => Problem::from(refusal).into(),
        }
    }

    /// Never held across an await.
    fn failures(&self) -> MutexGuard<'_, AuthFailures> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a call does not come in, and whose it was where that is known.
struct Stopped {
    error: ApiError,
    key: Found,
}

impl Stopped {
    fn by(error: ApiError) -> Self {
        Self { error, key: None }
    }
}

/// The way in of one HTTP worker: the process's gate, and the worker's own memory of keys and rate limiter.
pub(crate) struct Turnstile {
    gate: Arc<Gate>,
    keys: RecentKeys,
    limiter: RateLimiter,
}

impl Turnstile {
    /// A way in through this gate.
    pub(crate) fn new(gate: Arc<Gate>, limiter: RateLimiter) -> Self {
        let keys = RecentKeys::new(gate.keys.clone(), gate.clock.clone());
        Self { gate, keys, limiter }
    }

    /// The key of a call that comes in if its rate limit lets it. Takes no quota; a refused call whose key is known has
    /// its rate headers all the same.
    ///
    /// # Errors
    /// The refusal by the first check that refuses.
    pub(super) async fn recognise(&self, request: &HttpRequest, needs: Needs<'_>) -> Result<Arc<KeyRecord>, ApiError> {
        let standing = Standing::of(request);
        match self.gate.recognise(request, &standing, &self.keys, needs).await {
            Ok(key) => {
                standing.recognised(&key);
                Ok(key)
            }
            Err(Stopped { error, key }) => {
                if let Some(key) = key {
                    standing.recognised(&key);
                    self.look_at_quota(&standing, &key).await;
                }
                Err(error)
            }
        }
    }

    /// Check 9: takes what the call costs.
    ///
    /// # Errors
    /// 422 when no hour has as much, 429 when too little is left of this one, 503 when Redis is lost and the setting is to
    /// admit nothing then.
    pub(super) async fn charge(
        &self,
        request: &HttpRequest,
        key: &KeyRecord,
        cost: Cost,
    ) -> Result<Decision, ApiError> {
        if let Some(problem) = above_whole_limit(key.policy(), cost) {
            self.look_at_quota(&Standing::of(request), key).await;
            return Err(problem.into());
        }
        let taken = self.limiter.take(key.key_id, key.policy(), cost).await;
        let decision = taken.map_err(|error| {
            ApiError::new(Problem::new(Code::RateLimiterUnavailable).retry_after(TRY_AGAIN_S)).caused_by(error)
        })?;
        Standing::of(request).decided(decision, Some(cost));
        match over_limit(&decision.outcome, key.policy(), cost) {
            Some(problem) => Err(problem.into()),
            None => Ok(decision),
        }
    }

    /// Learns what is left without taking any: a call of no cost under a burst limit of none is refused, and what is
    /// refused counts nowhere.
    async fn look_at_quota(&self, standing: &Standing, key: &KeyRecord) {
        let look = Policy { burst_per_second: Some(0), ..key.policy() };
        if let Ok(decision) = self.limiter.take(key.key_id, look, Cost(0)).await {
            standing.decided(decision, None);
        }
    }
}

/// The problem of a call that no hour could admit: telling it to come again would send it round for ever.
fn above_whole_limit(policy: Policy, cost: Cost) -> Option<Problem> {
    let detail = || format!("The call costs {}, and this key has {} an hour in all.", cost.0, policy.hourly);
    (cost.units() > policy.hourly).then(|| Problem::new(Code::CostAboveLimit).detail(detail()))
}

/// The problem of a call that is over its limit.
fn over_limit(outcome: &Outcome, policy: Policy, cost: Cost) -> Option<Problem> {
    let Outcome::Refused { quota, retry_after_s, window } = outcome else { return None };
    let detail = match window {
        RefusedBy::Second => {
            let burst = policy.burst_per_second.unwrap_or_default();
            format!("The key may make {burst} calls a second.")
        }
        RefusedBy::Hour if quota.remaining > 0 => format!(
            "The call costs {}, and {} of the {} this key has an hour are left.",
            cost.0, quota.remaining, quota.limit
        ),
        RefusedBy::Hour => format!("The {} calls this key has an hour are used up.", quota.limit),
    };
    Some(Problem::new(Code::RateLimited).detail(detail).retry_after(*retry_after_s))
}

#[cfg(test)]
mod tests {
    use onering_rate_limit::Quota;

    use super::*;

    #[test]
    fn what_fits_no_hour_is_not_told_to_wait() {
        assert_eq!(above_whole_limit(Policy::hourly(100), Cost(100)), None);
        let problem = above_whole_limit(Policy::hourly(100), Cost(101)).unwrap();
        assert_eq!((problem.code, problem.retry_after), (Code::CostAboveLimit, None));
        assert_eq!(problem.detail, "The call costs 101, and this key has 100 an hour in all.");
    }

    #[test]
    fn a_refusal_says_which_limit_and_when_to_come_again() {
        let quota = |remaining| Quota { limit: 100, remaining, reset_unix_s: 3_600 };
        let policy = Policy { hourly: 100, burst_per_second: Some(5) };
        let refused = |remaining, window, cost| {
            let outcome = Outcome::Refused { quota: quota(remaining), retry_after_s: 7, window };
            let problem = over_limit(&outcome, policy, Cost(cost)).unwrap();
            assert_eq!((problem.code, problem.retry_after), (Code::RateLimited, Some(7)));
            problem.detail
        };
        assert_eq!(refused(0, RefusedBy::Hour, 1), "The 100 calls this key has an hour are used up.");
        assert_eq!(refused(3, RefusedBy::Hour, 5), "The call costs 5, and 3 of the 100 this key has an hour are left.");
        assert_eq!(refused(3, RefusedBy::Second, 1), "The key may make 5 calls a second.");
        assert_eq!(over_limit(&Outcome::Admitted(quota(1)), policy, Cost::ONE), None);
    }
}
