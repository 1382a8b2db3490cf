//! Limits are exact, and honest when Redis is away.

use std::collections::BTreeSet;
use std::time::Duration;

use onering_keys::{ScopeSet, Tier};
use onering_testkit::eventually;
use serde_json::json;

use crate::support::{Answer, KeySpec, SOON, Stack, TestKey};

/// So many calls at once.
async fn calls(stack: &Stack, key: &TestKey, count: usize) -> Vec<Answer> {
    futures_util::future::join_all((0..count).map(|_| stack.get("/me", key))).await
}

#[tokio::test]
async fn exactly_the_limit_is_admitted_and_each_sees_another_remainder() {
    let stack = Stack::start().await;
    let free = stack.key(KeySpec { tier: Tier::Free, ..KeySpec::default() }).await;
    let canary = stack.key(KeySpec { owner: "bird", canary: true, ..KeySpec::default() }).await;
    for (key, limit, asked) in [(&free, 100, 130), (&canary, 10, 25)] {
        let answers = calls(&stack, key, asked).await;
        let admitted: Vec<_> = answers.iter().filter(|answer| answer.status == 200).collect();
        assert_eq!(admitted.len(), limit);
        let remainders: BTreeSet<u64> = admitted.iter().map(|answer| answer.quota().1).collect();
        assert_eq!(remainders, (0..limit as u64).collect());
        for refused in answers.iter().filter(|answer| answer.status != 200) {
            assert_eq!((refused.problem().as_str(), refused.quota()), ("RATE_LIMITED", (limit as u64, 0)));
        }
    }
}

#[tokio::test]
async fn a_burst_limit_refuses_the_calls_of_one_second() {
    let stack = Stack::start().await;
    let key = stack.key(KeySpec { burst: Some(3), ..KeySpec::default() }).await;
    let answers = calls(&stack, &key, 40).await;
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status == 429).collect();
    // The forty may lie in two seconds, hardly in more.
    assert!(refused.len() >= 25, "{}", refused.len());
    assert!(refused.iter().all(|answer| answer.number("retry-after") == 1 && answer.quota().1 > 9_000));
}

#[tokio::test]
async fn what_is_refused_before_the_limit_spends_nothing_of_the_burst_either() {
    let stack = Stack::start().await;
    let scopes = ScopeSet::parse(["read:webhooks"]).unwrap();
    let key = stack.key(KeySpec { scopes, burst: Some(3), ..KeySpec::default() }).await;
    for _ in 0..3 {
        for _ in 0..5 {
            assert_eq!(stack.post("/events", &key, &json!({})).await.problem(), "MISSING_SCOPE");
        }
        assert_eq!(stack.get("/me", &key).await.status, 200);
    }
}

#[tokio::test]
async fn without_redis_each_replica_holds_the_limit_and_says_so() {
    let mut stack = Stack::start().await;
    let key = stack.key(KeySpec { limit: Some(20), ..KeySpec::default() }).await;
    assert_eq!(stack.get("/me", &key).await.header("x-ratelimit-degraded"), None);
    stack.redis.kill9();
    let answers = calls(&stack, &key, 60).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 20);
    for answer in answers.iter().filter(|answer| answer.status == 200) {
        assert_eq!(answer.header("x-ratelimit-degraded"), Some("true"), "{answer:?}");
    }
    // Events are still taken, and what Redis was not told the sweep will find.
    let events = stack.usual_key().await;
    assert_eq!(stack.post("/events", &events, &json!({"event_type": "a", "data": 1})).await.status, 202);
    stack.redis.restart().await.unwrap();
    eventually(SOON, "Redis is found again", async || {
        stack.get("/me", &events).await.header("x-ratelimit-degraded").is_none()
    })
    .await;
}

#[tokio::test]
async fn closed_admits_nothing_without_redis() {
    let setting = |_: &_, _: &_| vec![("ONERING_RATELIMIT_ON_REDIS_LOSS", "closed".to_owned())];
    let mut stack = Stack::start_with(setting, "").await;
    let key = stack.usual_key().await;
    assert_eq!(stack.get("/me", &key).await.status, 200);
    stack.redis.kill9();
    let refused = eventually(Duration::from_secs(5), "nothing is admitted", async || {
        Some(stack.get("/me", &key).await).filter(|answer| answer.status == 503)
    })
    .await;
    assert_eq!((refused.problem().as_str(), refused.has_quota()), ("RATE_LIMITER_UNAVAILABLE", false));
    assert_eq!(refused.number("retry-after"), 1);
}
