//! The script against the model: any sequence of batches, at any instants, leads to the same breakers in both.

use std::collections::BTreeMap;

use deadpool_redis::redis::Client;
use onering_clock::Clock;
use onering_ids::DeliveryId;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestRunner;

use super::*;
use crate::link::Home;

/// Time as the test sets it, in two keys.
const TEST_TIME: &str =
    "local now_s, now_us = tonumber(redis.call('GET', 'now_s')), tonumber(redis.call('GET', 'now_us'))
";

const START_MS: u64 = 1_699_999_200_000;

/// One call: how far the clock moves before it, and what it says of a few subscriptions and deliveries.
#[derive(Debug, Clone)]
struct Step {
    move_ms: i64,
    batch: Vec<(SubscriptionId, BreakerInput)>,
}

fn subscription(number: u8) -> SubscriptionId {
    SubscriptionId::from_uuid(Uuid::from_u128(u128::from(number)))
}

fn delivery(number: u8) -> DeliveryId {
    DeliveryId::from_uuid(Uuid::from_u128(u128::from(number)))
}

fn inputs() -> impl Strategy<Value = (SubscriptionId, BreakerInput)> {
    let delivery = || (0_u8..3).prop_map(delivery);
    let reach = select(vec![Reach::Failed, Reach::Failed, Reach::Failed, Reach::Reached]);
    let lease = select(vec![0, 1, 25_000]).prop_map(Duration::from_millis);
    let input = prop_oneof![
        3 => (delivery(), reach).prop_map(|(delivery, reach)| BreakerInput::Result { delivery, reach }),
        2 => (delivery(), lease).prop_map(|(delivery, lease)| BreakerInput::Ask { delivery, lease }),
    ];
    ((0_u8..3).prop_map(subscription), input)
}

fn steps() -> impl Strategy<Value = Step> {
    let moves = select(vec![0, 1, 999, 1_000, 1_001, 2_000, 4_000, 25_000, 86_400_000, -1, -1_500, -90_000_000]);
    (moves, vec(inputs(), 0..12)).prop_map(|(move_ms, batch)| Step { move_ms, batch })
}

fn policies() -> impl Strategy<Value = BreakerPolicy> {
    (1_u64..4, 1_u64..3, select(vec![0, 1, 5, 86_000])).prop_map(|(failures, first, further)| {
        let [first, longest] = [first, first + further].map(Duration::from_secs);
        BreakerPolicy::new(failures, first, longest).unwrap()
    })
}

async fn set_time(link: &Link, now_ms: u64) {
    let mut command = cmd("MSET");
    command.arg("now_s").arg(now_ms / 1_000).arg("now_us").arg(now_ms % 1_000 * 1_000);
    link.query::<()>(&command).await.unwrap();
}

fn at(now_ms: u64) -> DatabaseTime {
    DatabaseTime::from_millis(i64::try_from(now_ms).unwrap())
}

/// What Redis keeps, by its own clock: `TIME` is of no use when the test's clock is another.
async fn kept(link: &Link) -> (u64, BTreeMap<SubscriptionId, Breaker>) {
    let mut command = cmd("HGETALL");
    command.arg(BREAKERS);
    let fields: Vec<(String, String)> = link.query(&command).await.unwrap();
    let mut generation = 0;
    let mut breakers = BTreeMap::new();
    for (field, value) in fields {
        match Uuid::parse_str(&field) {
            Ok(uuid) => {
                let breaker = unpack(&value, START_MS, at(START_MS)).unwrap();
                breakers.insert(SubscriptionId::from_uuid(uuid), breaker);
            }
            Err(_) => generation = value.parse().unwrap(),
        }
    }
    (generation, breakers)
}

async fn agree(shared: &SharedBreakers, policy: &BreakerPolicy, steps: Vec<Step>) -> Result<(), TestCaseError> {
    shared.link.query::<()>(&cmd("FLUSHDB")).await.unwrap();
    let mut models: BTreeMap<SubscriptionId, Breaker> = BTreeMap::new();
    let (mut now_ms, mut generation) = (START_MS, 0);
    for Step { move_ms, batch } in steps {
        now_ms = now_ms.saturating_add_signed(move_ms);
        set_time(&shared.link, now_ms).await;
        let answer = shared.tell(policy, &batch, || at(now_ms)).await.unwrap();
        let before = models.clone();
        for ((subscription, input), outcome) in batch.iter().zip(&answer.outcomes) {
            let model = models.entry(*subscription).or_default();
            let change = model.take(input, policy, at(now_ms));
            prop_assert_eq!(*outcome, BreakerOutcome { breaker: *model, change }, "{:?} at {}", input, now_ms);
        }
        models.retain(|_, breaker| !breaker.is_healthy());
        prop_assert_eq!(answer.before, generation);
        prop_assert!(answer.after >= generation);
        prop_assert!(answer.after > generation || before == models, "a change that nobody would notice");
        let quiet = batch.iter().all(|(subscription, _)| !before.contains_key(subscription));
        prop_assert!(answer.after == generation || !quiet || before != models, "nothing to notice");
        generation = answer.after;
        prop_assert_eq!(kept(&shared.link).await, (generation, models.clone()));
    }
    Ok(())
}

async fn shared_on(url: &str, clock: &str) -> SharedBreakers {
    SharedBreakers::timed_by(clock, Link::new(Client::open(url).unwrap(), None, Home::Caller, Clock::system()))
}

#[test]
fn the_script_does_as_the_model_does() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let redis = runtime.block_on(onering_testkit::redis());
    let shared = runtime.block_on(shared_on(&redis.url(), TEST_TIME));
    TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })
        .run(&(policies(), vec(steps(), 1..16)), |(policy, steps)| runtime.block_on(agree(&shared, &policy, steps)))
        .unwrap();
}

fn failed(number: u8) -> (SubscriptionId, BreakerInput) {
    (subscription(number), BreakerInput::Result { delivery: delivery(1), reach: Reach::Failed })
}

#[tokio::test]
async fn what_is_read_is_what_was_told_and_a_loss_is_noticed() {
    let redis = onering_testkit::redis().await;
    let shared = shared_on(&redis.url(), REDIS_TIME).await;
    let (policy, now) = (BreakerPolicy::default(), at(5_000));
    let nothing = BreakerSnapshot { generation: 0, ailing: Vec::new() };
    assert_eq!(shared.read(|| now).await.unwrap(), nothing);
    let answer = shared.tell(&policy, &[failed(1), failed(1), failed(2)], || now).await.unwrap();
    assert_eq!((answer.before, answer.outcomes[1].breaker), (0, Breaker::Closed { failures: 2 }));
    let mut snapshot = shared.read(|| now).await.unwrap();
    snapshot.ailing.sort_by_key(|(subscription, _)| *subscription);
    let ailing =
        vec![(subscription(1), Breaker::Closed { failures: 2 }), (subscription(2), Breaker::Closed { failures: 1 })];
    assert_eq!(snapshot, BreakerSnapshot { generation: answer.after, ailing });
    assert_eq!(shared.generation().await.unwrap(), answer.after);
    shared.link.query::<()>(&cmd("FLUSHALL")).await.unwrap();
    assert_eq!(shared.generation().await.unwrap(), 0);
    let again = shared.tell(&policy, &[failed(1)], || now).await.unwrap();
    assert!(again.after > answer.after, "never one that was there before");
}

/// An open one's end is as far away by the database's clock as by Redis', whatever the two say.
#[tokio::test]
async fn an_end_is_told_by_the_databases_clock() {
    let redis = onering_testkit::redis().await;
    let shared = shared_on(&redis.url(), REDIS_TIME).await;
    let (policy, now) = (BreakerPolicy::default(), at(5_000));
    let answer = shared.tell(&policy, &[failed(1); 5], || now).await.unwrap();
    let open = Breaker::Open { opens: 1, until: now.plus(Duration::from_secs(60)) };
    assert_eq!(answer.outcomes[4], BreakerOutcome { breaker: open, change: Some(BreakerChange::Opened) });
    let read = shared.read(|| now).await.unwrap();
    let [(_, Breaker::Open { opens: 1, until })] = read.ailing[..] else { panic!("{read:?}") };
    assert!(until <= now.plus(Duration::from_secs(60)) && until > now, "{until}");
}

#[tokio::test]
async fn what_did_not_change_for_long_is_forgotten() {
    let redis = onering_testkit::redis().await;
    let shared = shared_on(&redis.url(), TEST_TIME).await;
    let (policy, day) = (BreakerPolicy::default(), Duration::from_secs(86_400));
    set_time(&shared.link, START_MS).await;
    shared.tell(&policy, &[failed(1), failed(2)], || at(0)).await.unwrap();
    let mut garbled = cmd("HSET");
    garbled.arg(BREAKERS).arg("what is this").arg("x");
    shared.link.query::<()>(&garbled).await.unwrap();
    set_time(&shared.link, START_MS + 1_000).await;
    let before = shared.tell(&policy, &[failed(2)], || at(0)).await.unwrap().after;
    set_time(&shared.link, START_MS + 86_401_000).await;
    assert_eq!(shared.forget(day).await.unwrap(), 2, "the first, and what is no breaker");
    let (generation, breakers) = kept(&shared.link).await;
    assert_eq!(breakers, [(subscription(2), Breaker::Closed { failures: 2 })].into());
    assert!(generation > before, "others get to know");
    assert_eq!(shared.forget(day).await.unwrap(), 0);
    assert_eq!(shared.generation().await.unwrap(), generation);
}
