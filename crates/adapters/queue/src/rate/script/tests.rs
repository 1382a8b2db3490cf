//! The script against the model: any sequence of batches, at any instants, has the same outcomes in both.

use std::collections::HashMap;

use deadpool_redis::redis::{Client, cmd};
use onering_clock::Clock;
use onering_rate_limit::{Outcome, Window};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestRunner;
use uuid::Uuid;

use super::*;
use crate::link::Home;

/// Time as the test sets it, in two keys.
const TEST_TIME: &str =
    "local now_s, now_us = tonumber(redis.call('GET', 'now_s')), tonumber(redis.call('GET', 'now_us'))
";

/// 2023-11-14 22:00:00 UTC.
const START_MS: u64 = 1_699_999_200_000;

/// One call: how far the clock moves before it, and what is asked of which of a few keys.
#[derive(Debug, Clone)]
struct Step {
    move_ms: i64,
    batch: Vec<(u8, Policy, Vec<u32>)>,
}

fn policies() -> impl Strategy<Value = Policy> {
    let hourly = select(vec![0, 1, 10, 25, 1_000_000_000_000, u64::MAX]);
    (hourly, prop::option::of(0_u64..6)).prop_map(|(hourly, burst_per_second)| Policy { hourly, burst_per_second })
}

fn steps() -> impl Strategy<Value = Step> {
    let moves = prop_oneof![
        4 => 0_i64..3,
        3 => 100_i64..2_000,
        1 => 600_000_i64..4_000_000,
        1 => -1_500_i64..0,
        1 => -4_000_000_i64..-600_000,
    ];
    let costs = vec(select(vec![0, 1, 1, 1, 2, 7, 12]), 0..12);
    let batch = vec((0_u8..3, policies(), costs), 1..5);
    (moves, batch).prop_map(|(move_ms, batch)| Step { move_ms, batch })
}

async fn set_time(link: &Link, now_ms: u64) {
    let mut command = cmd("MSET");
    command.arg("now_s").arg(now_ms / 1000).arg("now_us").arg(now_ms % 1000 * 1000);
    link.query::<()>(&command).await.unwrap();
}

/// In Redis a refused request leaves nothing behind, not even that its hour had begun. The difference shows only when
/// time then steps back.
fn decide(model: &mut Window, policy: Policy, cost: Cost, now_ms: u64) -> Outcome {
    let mut next = *model;
    let outcome = next.take(policy, cost, now_ms);
    if outcome.is_admitted() {
        *model = next;
    }
    outcome
}

async fn agree(script: &RateScript, steps: Vec<Step>) -> Result<(), TestCaseError> {
    script.link.query::<()>(&cmd("FLUSHDB")).await.unwrap();
    let mut models: HashMap<KeyId, Window> = HashMap::new();
    let mut now_ms = START_MS;
    for step in steps {
        now_ms = now_ms.saturating_add_signed(step.move_ms);
        set_time(&script.link, now_ms).await;
        let batch: Vec<TakeRequest> = step
            .batch
            .into_iter()
            .map(|(key, policy, costs)| TakeRequest {
                key: KeyId::from_uuid(Uuid::from_u128(u128::from(key))),
                policy,
                costs: costs.into_iter().map(Cost).collect(),
            })
            .collect();
        let taken = script.take(&batch).await.unwrap();
        prop_assert_eq!(taken.now_unix_ms, now_ms);
        for (request, answer) in batch.iter().zip(&taken.answers) {
            let model = models.entry(request.key).or_default();
            let expected: Vec<_> =
                request.costs.iter().map(|cost| decide(model, request.policy, *cost, now_ms)).collect();
            prop_assert_eq!(&answer.outcomes, &expected, "{:?} at {}", request, now_ms);
        }
    }
    Ok(())
}

#[test]
fn the_script_decides_as_the_model_does() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let redis = runtime.block_on(onering_testkit::redis());
    let client = Client::open(redis.url()).unwrap();
    let link = Link::new(client, None, Home::Caller, Clock::system());
    let script = RateScript::timed_by(TEST_TIME, link);
    TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })
        .run(&vec(steps(), 1..12), |steps| runtime.block_on(agree(&script, steps)))
        .unwrap();
}

#[tokio::test]
async fn a_limit_is_forgotten_two_hours_after_its_window_began() {
    let redis = onering_testkit::redis().await;
    let link = Link::new(Client::open(redis.url()).unwrap(), None, Home::Caller, Clock::system());
    let script = RateScript::new(link);
    let key = KeyId::from_uuid(Uuid::from_u128(7));
    let request = TakeRequest { key, policy: Policy::hourly(5), costs: vec![Cost(9)] };
    let mut ttl = cmd("TTL");
    ttl.arg(format!("{RATE_PREFIX}{}", key.uuid()));
    script.take(std::slice::from_ref(&request)).await.unwrap();
    assert_eq!(script.link.query::<i64>(&ttl).await.unwrap(), -2, "what is refused leaves no trace");
    script.take(&[TakeRequest { costs: vec![Cost(1)], ..request }]).await.unwrap();
    let seconds: i64 = script.link.query(&ttl).await.unwrap();
    assert!((7190..=7200).contains(&seconds), "{seconds}");
}
