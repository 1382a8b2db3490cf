//! Replays worked off by the real process.

use chrono::TimeDelta;
use onering_clock::Clock;
use onering_delivery::{ReplayRate, ReplayState, ReplayStatuses, Status};
use onering_ids::ReplayId;
use onering_store::replays::{self, NewReplay, ReplayJob, ReplayScope};
use onering_store::{AsyncPgConnection, PoolConfig, connect};
use onering_testkit::{Receiver, eventually};
use serde_json::json;

use crate::bench::{Bench, PATIENCE};

/// A replay of all that was delivered, and a connection to watch it by.
async fn replay(bench: &Bench, matched: u64, per_second: u32) -> (AsyncPgConnection, ReplayId) {
    let now = Clock::system().now();
    let scope = ReplayScope {
        from: now - TimeDelta::hours(1),
        to: now + TimeDelta::hours(1),
        statuses: ReplayStatuses::try_from(vec![Status::Delivered]).unwrap(),
        webhook_id: None,
        event_type: None,
        owner_id: None,
    };
    let rate = ReplayRate::try_from(per_second).unwrap();
    let replay_id = Clock::system().fresh_id();
    let new = NewReplay { replay_id, scope, rate, matched, created_by: "ada".to_owned() };
    let mut connection = connect(&PoolConfig::new(bench.database.url()).unwrap()).await.unwrap();
    replays::create(&mut connection, &new).await.unwrap().unwrap();
    (connection, replay_id)
}

async fn until(
    connection: &mut AsyncPgConnection,
    replay_id: ReplayId,
    what: &str,
    enough: impl Fn(&ReplayJob) -> bool,
) -> ReplayJob {
    eventually(PATIENCE, what, async || {
        let job = replays::get(connection, replay_id).await.unwrap().unwrap();
        if enough(&job) { Ok(job) } else { Err(format!("{job:?}")) }
    })
    .await
}

/// Deliveries that were made and brought home by a worker which is gone again.
async fn delivered(bench: &Bench, receiver: &Receiver, count: i32) {
    bench.subscribe(&receiver.url("/hook"), json!({})).await;
    bench.publish(count).await;
    let mut worker = bench.worker().arg("--once").spawn();
    assert!(worker.wait_exit().await.success(), "{}", worker.logs());
    bench.wait_for("status = 'DELIVERED'", count.into()).await;
    receiver.clear();
}

const ONCE_EACH: &str = "original_delivery_id IS NOT NULL AND EXISTS (SELECT FROM webhook_deliveries AS o \
     WHERE o.delivery_id = webhook_deliveries.original_delivery_id AND o.event_id = webhook_deliveries.event_id)";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_replayed_arrives_again_as_it_was() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    delivered(&bench, &receiver, 300).await;
    let worker = bench.worker().start().await;
    let (mut connection, id) = replay(&bench, 300, 5_000).await;
    let done = until(&mut connection, id, "the replay is done", |job| job.state == ReplayState::Done).await;
    assert_eq!((done.replayed, done.left(), done.worker), (300, 0, None));
    bench.wait_for(&format!("status = 'DELIVERED' AND {ONCE_EACH}"), 300).await;
    assert_eq!(bench.count("original_delivery_id IS NOT NULL").await, 300);
    let mut events: Vec<String> =
        receiver.requests().iter().map(|request| request.header("webhook-id").unwrap().to_owned()).collect();
    events.sort_unstable();
    events.dedup();
    assert_eq!((receiver.count(), events.len()), (300, 300), "each event once more");
    assert_eq!(worker.metric("onering_replayed_total", &[]).await, Some(300.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_delivery_is_off_what_is_replayed_is_held() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    delivered(&bench, &receiver, 40).await;
    bench.delivery(false);
    let _worker = bench.worker().start().await;
    let (mut connection, id) = replay(&bench, 40, 1_000).await;
    until(&mut connection, id, "the replay is done", |job| job.state == ReplayState::Done).await;
    assert_eq!(bench.count("held_reason = 'DELIVERY_OFF'").await, 40);
    assert_eq!(receiver.count(), 0);
    bench.delivery(true);
    bench.wait_for(&format!("status = 'DELIVERED' AND {ONCE_EACH}"), 40).await;
    assert_eq!(receiver.count(), 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_stops_gives_its_replay_back_and_the_next_goes_on() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    delivered(&bench, &receiver, 60).await;
    let mut first = bench.worker().env("ONERING_INSTANCE", "first").start().await;
    let (mut connection, id) = replay(&bench, 60, 20).await;
    let begun = until(&mut connection, id, "it has begun", |job| job.replayed > 0).await;
    assert_eq!(begun.worker.as_deref(), Some("first"));
    assert_eq!(first.terminate().await.code(), Some(0), "{}", first.logs());
    let left = replays::get(&mut connection, id).await.unwrap().unwrap();
    assert_eq!((left.state, left.worker.as_deref()), (ReplayState::Running, None), "{}", first.logs());
    let _second = bench.worker().env("ONERING_INSTANCE", "second").start().await;
    let done = until(&mut connection, id, "the replay is done", |job| job.state == ReplayState::Done).await;
    assert_eq!((done.replayed, done.left(), done.started_at), (60, 0, begun.started_at));
    bench.wait_for(&format!("status = 'DELIVERED' AND {ONCE_EACH}"), 60).await;
    let twice = "original_delivery_id IN (SELECT original_delivery_id FROM webhook_deliveries \
                 WHERE original_delivery_id IS NOT NULL GROUP BY 1 HAVING count(*) > 1)";
    assert_eq!(bench.count(twice).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_is_cancelled_stops() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    delivered(&bench, &receiver, 200).await;
    let worker = bench.worker().start().await;
    let (mut connection, id) = replay(&bench, 200, 10).await;
    until(&mut connection, id, "it has begun", |job| job.replayed > 0).await;
    let cancelled = replays::cancel(&mut connection, id).await.unwrap().unwrap().after;
    assert!(cancelled.replayed < 200);
    let another = replay(&bench, 200, 10_000).await.1;
    let done = until(&mut connection, another, "another one is done", |job| job.state == ReplayState::Done).await;
    assert_eq!(done.replayed + done.skips.still_waiting, 200, "{}", worker.logs());
    let still = replays::get(&mut connection, id).await.unwrap().unwrap();
    assert_eq!(still, cancelled, "nothing was added to it");
    let made = i64::try_from(done.replayed + cancelled.replayed).unwrap();
    assert_eq!(bench.count("original_delivery_id IS NOT NULL").await, made);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_that_postgres_refuses_again_and_again_fails_and_says_why() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    delivered(&bench, &receiver, 5).await;
    bench.sql("ALTER TABLE webhook_deliveries ADD CONSTRAINT nothing_twice CHECK (original_delivery_id IS NULL)").await;
    let _worker = bench.worker().start().await;
    let (mut connection, id) = replay(&bench, 5, 100).await;
    let failed = until(&mut connection, id, "the replay has failed", |job| job.state == ReplayState::Failed).await;
    assert_eq!((failed.replayed, failed.worker), (0, None));
    let why = failed.failure.unwrap();
    assert!(why.contains("replay deliveries"), "{why}");
    assert!(failed.finished_at.is_some());
}
