//! Limits are exact: over replicas, over the secrets of one key, and whatever was refused before.
//!
//! An hour may turn over at any moment of a test, so nothing is compared with one limit for the whole run: answers are
//! grouped by the hour they were counted in (`X-RateLimit-Reset`), and each hour must have admitted exactly
//! min(asked, limit).
#![allow(clippy::panic, clippy::unwrap_used, clippy::print_stdout, reason = "a test says what is wrong by failing")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use onering_testkit::eventually;
use onering_tests::{Answer, Api, Partner, Stack, StackOptions};
use serde_json::{Value, json};

/// Calls under way at once.
const CONCURRENCY: usize = 100;

/// What one answer says of the limit.
#[derive(Debug)]
struct Seen {
    admitted: bool,
    limit: u64,
    remaining: u64,
    reset: u64,
}

impl Seen {
    fn of(answer: &Answer) -> Self {
        let number = |name: &str| -> u64 {
            let text =
                answer.header(name).unwrap_or_else(|| panic!("{} without {name}: {}", answer.status, answer.body));
            text.parse().unwrap_or_else(|_| panic!("{name}: {text}"))
        };
        assert_eq!(answer.header("X-RateLimit-Degraded"), None, "Redis was out of reach, so this proves nothing");
        let seen = Self {
            admitted: answer.status == 200,
            limit: number("X-RateLimit-Limit"),
            remaining: number("X-RateLimit-Remaining"),
            reset: number("X-RateLimit-Reset"),
        };
        if !seen.admitted {
            assert_eq!(answer.status, 429, "{}", answer.body);
            assert_eq!(answer.header("X-Error-Code"), Some("RATE_LIMITED"));
            assert_eq!(seen.remaining, 0, "refused with something left");
            assert!((1..=3600).contains(&number("Retry-After")), "{:?}", answer.header("Retry-After"));
        }
        seen
    }
}

/// What was taken in each hour so far.
#[derive(Debug, Default)]
struct Hours(BTreeMap<u64, u64>);

impl Hours {
    /// Checks each hour of a round of calls under one limit; answers how many were admitted in all.
    fn check(&mut self, limit: u64, round: &[Seen]) -> u64 {
        let mut by_hour: BTreeMap<u64, Vec<&Seen>> = BTreeMap::new();
        for seen in round {
            assert_eq!(seen.limit, limit);
            by_hour.entry(seen.reset).or_default().push(seen);
        }
        let mut all = 0;
        for (reset, seen) in by_hour {
            let taken = self.0.entry(reset).or_default();
            let left = limit.saturating_sub(*taken);
            let admitted: Vec<u64> = seen.iter().filter(|seen| seen.admitted).map(|seen| seen.remaining).collect();
            let expected = left.min(seen.len() as u64);
            assert_eq!(admitted.len() as u64, expected, "of {} asked with {left} of {limit} left", seen.len());
            let values: BTreeSet<u64> = admitted.iter().copied().collect();
            let each_once: BTreeSet<u64> = (left - expected..left).collect();
            assert_eq!(values, each_once, "X-RateLimit-Remaining must take each value once");
            *taken += expected;
            all += expected;
        }
        all
    }

    /// Whether everything happened within one hour, so that the totals of the contract hold as they stand there.
    fn is_one(&self) -> bool {
        self.0.len() == 1
    }
}

/// Asks so many times, through all of these in turn.
async fn ask(ways: &[Api], times: usize) -> Vec<Seen> {
    let calls = (0..times).map(|call| {
        let api = ways[call % ways.len()].clone();
        async move { Seen::of(&api.get("/v1/external/me").await) }
    });
    stream::iter(calls).buffer_unordered(CONCURRENCY).collect().await
}

/// The partner API through each gateway, with each of these tokens.
fn ways(stack: &Stack, tokens: &[&str]) -> Vec<Api> {
    let gateways = 0..stack.gateways.len();
    gateways.flat_map(|gateway| tokens.iter().map(move |token| stack.gateway(gateway).with_token(token))).collect()
}

async fn two_gateways() -> Stack {
    Stack::start(StackOptions { more_gateways: 1, ..StackOptions::default() }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_gateways_and_both_secrets_of_a_key_share_one_limit() {
    let stack = two_gateways().await;
    let partner = Partner::create(&stack, "acme", json!({ "tier": "pro" })).await;
    let rotate = format!("/v1/admin/external/keys/{}/rotate", partner.key_id);
    let rotated: Value = stack.operator().post(&rotate, &json!({ "grace_seconds": 3600 })).await.expect(200);
    assert_eq!(rotated["key_id"], partner.key_id.as_str(), "a rotation keeps the identity");
    let fresh = rotated["api_key"].as_str().unwrap();
    assert_ne!(fresh, partner.token);

    let ways = ways(&stack, &[&partner.token, fresh]);
    assert_eq!(ways.len(), 4);
    let start = onering_clock::Clock::system().monotonic();
    let seen = ask(&ways, 3_000).await;
    let took = start.elapsed();
    let mut hours = Hours::default();
    let admitted = hours.check(1_000, &seen);
    println!(
        "3000 calls through 2 gateways with 2 secrets in {took:?}: {admitted} admitted in {} hour(s)",
        hours.0.len()
    );
    assert!(admitted == 1_000 || !hours.is_one());
}

#[tokio::test(flavor = "multi_thread")]
async fn tiers_and_canaries_are_exact_and_refused_calls_do_not_count() {
    let stack = two_gateways().await;

    let canary = Partner::create(&stack, "canary", json!({ "tier": "pro", "canary_enabled": true })).await;
    let mut hours = Hours::default();
    let admitted = hours.check(10, &ask(&ways(&stack, &[&canary.token]), 15).await);
    assert!(admitted == 10 || !hours.is_one(), "{admitted}");
    let refused = canary.api.get("/v1/external/me").await;
    assert_eq!(refused.header("X-Canary-Mode"), Some("true"));

    let free = Partner::create(&stack, "free", json!({ "tier": "free" })).await;
    let mut hours = Hours::default();
    let admitted = hours.check(100, &ask(&ways(&stack, &[&free.token]), 105).await);
    println!("free: {admitted} of 105 admitted");
    assert!(admitted == 100 || !hours.is_one(), "{admitted}");

    // Three more are granted: had the five refused ones been counted, none would be left. One gateway suffices to see it,
    // and the other could still refuse by the old limit for an instant.
    let key = format!("/v1/admin/external/keys/{}", free.key_id);
    let _ = stack.operator().patch(&key, &json!({ "rate_limit_override": 103 })).await.expect(200);
    let one = [stack.gateway(0).with_token(&free.token)];
    let (mut before, mut after) = (Vec::new(), Vec::new());
    eventually(Duration::from_secs(10), "the gateway knows the new limit", async || {
        let seen = Seen::of(&one[0].get("/v1/external/me").await);
        let is_new = seen.limit == 103;
        let round = if is_new { &mut after } else { &mut before };
        round.push(seen);
        is_new
    })
    .await;
    hours.check(100, &before);
    after.extend(ask(&one, 9).await);
    let admitted = hours.check(103, &after);
    assert!(admitted == 3 || !hours.is_one(), "{admitted}");
}

/// So many calls of one hour under one limit, the first of them admitted.
fn hour(reset: u64, limit: u64, asked: u64, admitted: u64) -> Vec<Seen> {
    let seen = |call: u64| Seen { admitted: call < admitted, limit, remaining: limit.saturating_sub(call + 1), reset };
    (0..asked).map(seen).collect()
}

#[test]
fn an_hour_that_turns_over_within_a_round_is_understood() {
    let mut round = hour(3_600, 10, 12, 10);
    round.extend(hour(7_200, 10, 4, 4));
    let mut hours = Hours::default();
    assert_eq!(hours.check(10, &round), 14);
    assert!(!hours.is_one());
    assert_eq!(hours.check(10, &hour(3_600, 10, 3, 0)), 0, "nothing was left of the first hour");
}

#[test]
#[should_panic(expected = "of 12 asked with 10 of 10 left")]
fn one_admitted_too_many_is_noticed() {
    Hours::default().check(10, &hour(3_600, 10, 12, 11));
}

#[test]
#[should_panic(expected = "each value once")]
fn a_value_that_comes_twice_is_noticed() {
    let mut round = hour(3_600, 10, 12, 10);
    round[1].remaining = round[0].remaining;
    Hours::default().check(10, &round);
}
