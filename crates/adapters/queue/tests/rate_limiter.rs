//! The limiter on a real Redis: exact over several limiters, frugal with calls, and honest when Redis is away.
#![allow(clippy::unwrap_used, reason = "these are tests, although partly not in test functions")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use deadpool_redis::redis::aio::MultiplexedConnection;
use futures_util::future::join_all;
use onering_clock::Clock;
use onering_ids::KeyId;
use onering_queue::{Decision, LimiterUnavailable, LocalLimits, Queue, RateLimiter};
use onering_rate_limit::{Cost, LossPolicy, Outcome, Policy, RefusedBy};
use onering_testkit::TcpProxy;
use tokio::net::TcpListener;
use uuid::Uuid;

use support::{queue, raw, send, soon};

fn key(n: u128) -> KeyId {
    KeyId::from_uuid(Uuid::from_u128(n))
}

fn limiter(queue: &Queue, on_loss: LossPolicy) -> RateLimiter {
    queue.rate_limiter(on_loss, Arc::new(LocalLimits::new())).unwrap()
}

async fn take(limiter: &RateLimiter, key: KeyId, hourly: u64) -> Decision {
    limiter.take(key, Policy::hourly(hourly), Cost::ONE).await.unwrap()
}

async fn script_calls(connection: &mut MultiplexedConnection) -> u64 {
    let stats: String = send(connection, "INFO commandstats").await;
    let calls = stats.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
    calls.and_then(|rest| rest.split(',').next()).map_or(0, |calls| calls.parse().unwrap())
}

/// Asks all at once, on a key of its own, until all answers lie in one hour: the test may run over the end of one.
async fn ask_within_an_hour(limiters: &[RateLimiter], asked: usize, hourly: u64) -> (KeyId, Vec<Decision>) {
    for attempt in 1.. {
        let key = key(attempt);
        let decisions = join_all((0..asked).map(|n| take(&limiters[n % limiters.len()], key, hourly))).await;
        let reset = decisions[0].outcome.quota().reset_unix_s;
        if decisions.iter().all(|decision| decision.outcome.quota().reset_unix_s == reset) {
            return (key, decisions);
        }
    }
    unreachable!("the attempts do not end")
}

#[tokio::test(flavor = "multi_thread")]
async fn several_limiters_admit_exactly_the_limit_and_each_remaining_once() {
    let redis = onering_testkit::redis().await;
    let limiters: Vec<_> = (0..3).map(|_| limiter(&queue(&redis.url()), LossPolicy::Closed)).collect();
    let (_, decisions) = ask_within_an_hour(&limiters, 3_000, 1_000).await;
    assert!(decisions.iter().all(|decision| !decision.degraded));
    let mut remaining: Vec<_> = decisions
        .iter()
        .filter(|decision| decision.outcome.is_admitted())
        .map(|decision| decision.outcome.quota().remaining)
        .collect();
    remaining.sort_unstable();
    assert_eq!(remaining, (0..1_000).collect::<Vec<_>>());
    for decision in decisions.iter().filter(|decision| !decision.outcome.is_admitted()) {
        let Outcome::Refused { quota, retry_after_s, window } = decision.outcome else { unreachable!() };
        assert_eq!((quota.remaining, window), (0, RefusedBy::Hour));
        assert!((1..=3600).contains(&retry_after_s));
        assert!(quota.reset_unix_s - retry_after_s <= decision.now_unix_s);
    }
}

#[tokio::test]
async fn requests_share_calls_and_a_used_up_key_makes_none() {
    let redis = onering_testkit::redis().await;
    let mut behind = raw(&redis.url()).await;
    let limiter = limiter(&queue(&redis.url()), LossPolicy::Closed);
    let (key, _) = ask_within_an_hour(std::slice::from_ref(&limiter), 2_000, 2_000).await;
    let after = script_calls(&mut behind).await;
    assert!(after <= 20, "{after} calls for 2000 simultaneous requests");
    for _ in 0..100 {
        let decision = take(&limiter, key, 2_000).await;
        assert!(matches!(decision.outcome, Outcome::Refused { window: RefusedBy::Hour, .. }));
        assert!(!decision.degraded);
    }
    assert_eq!(script_calls(&mut behind).await, after, "a used-up hour is refused from memory");
    assert!(take(&limiter, key, 2_001).await.outcome.is_admitted(), "a raised limit holds at once");
}

#[tokio::test]
async fn costs_are_taken_whole_and_bursts_count_requests() {
    let redis = onering_testkit::redis().await;
    let limiter = limiter(&queue(&redis.url()), LossPolicy::Closed);
    let dear = |cost| limiter.take(key(1), Policy::hourly(10), Cost(cost));
    assert!(dear(8).await.unwrap().outcome.is_admitted());
    let refused = dear(3).await.unwrap().outcome;
    assert_eq!((refused.is_admitted(), refused.quota().remaining), (false, 2));
    assert!(dear(2).await.unwrap().outcome.is_admitted());
    assert!(dear(0).await.unwrap().outcome.is_admitted(), "what costs nothing is admitted from a used-up hour");

    let policy = Policy { hourly: 1_000, burst_per_second: Some(5) };
    let bursts = join_all((0..50).map(|_| limiter.take(key(2), policy, Cost(2)))).await;
    let admitted = bursts.iter().filter(|decision| decision.unwrap().outcome.is_admitted()).count();
    // The call may lie on either side of the end of a second.
    assert!(admitted == 5 || admitted == 10, "{admitted}");
}

#[tokio::test]
async fn a_closed_connection_and_a_forgotten_script_are_no_loss() {
    let redis = onering_testkit::redis().await;
    let mut behind = raw(&redis.url()).await;
    let limiter = limiter(&queue(&redis.url()), LossPolicy::Closed);
    for n in 1..4 {
        assert!(!take(&limiter, key(n), 5).await.degraded);
        let () = send(&mut behind, "SCRIPT FLUSH").await;
        let _: i64 = send(&mut behind, "CLIENT KILL TYPE normal SKIPME yes").await;
        let decision = take(&limiter, key(n), 5).await;
        assert!(!decision.degraded && decision.outcome.is_admitted());
    }
}

#[tokio::test]
async fn without_redis_each_process_enforces_the_limit_and_comes_back_by_itself() {
    let redis = onering_testkit::redis().await;
    let network = TcpProxy::start(redis.port()).await;
    let queue = queue(&network.url(&redis.url()));
    let local = Arc::new(LocalLimits::new());
    let limiters = [(); 2].map(|()| queue.rate_limiter(LossPolicy::Local, Arc::clone(&local)).unwrap());
    assert!(!take(&limiters[0], key(9), 10).await.degraded);

    network.pause();
    let began = Clock::system().monotonic();
    let (key, decisions) = ask_within_an_hour(&limiters, 40, 10).await;
    assert!(
        (Clock::system().monotonic() - began) < Duration::from_secs(1),
        "nobody waits for a silent Redis: {:?}",
        (Clock::system().monotonic() - began)
    );
    assert!(decisions.iter().all(|decision| decision.degraded));
    let admitted = decisions.iter().filter(|decision| decision.outcome.is_admitted()).count();
    assert_eq!(admitted, 10, "one limit for the process, not one for each of its limiters");
    assert!(limiters.iter().all(RateLimiter::is_degraded));

    network.restore();
    soon("the limiters are back", async || limiters.iter().all(|limiter| !limiter.is_degraded())).await;
    assert!(!take(&limiters[0], key, 10).await.degraded);
}

#[tokio::test]
async fn a_refused_connection_is_a_loss_at_once() {
    let redis = onering_testkit::redis().await;
    let network = TcpProxy::start(redis.port()).await;
    let limiter = limiter(&queue(&network.url(&redis.url())), LossPolicy::Local);
    network.cut();
    assert!(take(&limiter, key(1), 10).await.degraded);
    network.restore();
    soon("the limiter is back", async || !take(&limiter, key(1), 10).await.degraded).await;
}

#[tokio::test]
async fn open_admits_everything_and_closed_nothing() {
    let redis = onering_testkit::redis().await;
    let network = TcpProxy::start(redis.port()).await;
    let queue = queue(&network.url(&redis.url()));
    let [open, closed] = [LossPolicy::Open, LossPolicy::Closed].map(|on_loss| limiter(&queue, on_loss));
    network.pause();
    for _ in 0..5 {
        let decision = take(&open, key(1), 2).await;
        assert!(decision.degraded && decision.outcome.is_admitted());
        assert_eq!(decision.outcome.quota().remaining, 2);
        let refused = closed.take(key(1), Policy::hourly(2), Cost::ONE).await;
        assert_eq!(refused, Err(LimiterUnavailable));
    }
}

#[tokio::test]
async fn a_slow_redis_is_a_lost_one() {
    let redis = onering_testkit::redis().await;
    let network = TcpProxy::start(redis.port()).await;
    let limiter = limiter(&queue(&network.url(&redis.url())), LossPolicy::Local);
    assert!(!take(&limiter, key(1), 1_000).await.degraded);
    network.slow(Duration::from_millis(60));
    for _ in 0..10 {
        assert!(take(&limiter, key(1), 1_000).await.degraded);
    }
    network.restore();
    soon("the limiter is back", async || !limiter.is_degraded()).await;
}

#[tokio::test]
async fn a_lost_redis_is_probed_with_growing_pauses() {
    let clock = Clock::system();
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let limiter = limiter(&queue(&format!("redis://{}/", port.local_addr().unwrap())), LossPolicy::Local);
    let asking = tokio::spawn(async move {
        while take(&limiter, key(1), 1_000_000_000).await.degraded {
            tokio::task::yield_now().await;
        }
    });
    let mut probes = Vec::new();
    while probes.len() < 8 {
        drop(port.accept().await.unwrap());
        probes.push(clock.monotonic());
    }
    asking.abort();
    // The first connection or two are the limiter's first attempts. Between the others lie pauses of at least 25, 50,
    // 100 ms and so on; if they did not grow, none could be longer than 75 ms by much.
    let longest = probes.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    assert!(probes[7] - probes[0] >= Duration::from_millis(775), "{probes:?}");
    assert!(longest >= Duration::from_millis(200), "{probes:?}");
}
