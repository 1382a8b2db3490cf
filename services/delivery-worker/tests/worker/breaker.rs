//! Leaving a receiver alone that fails: with Redis, without it, and whatever becomes of its subscription.

use std::ops::RangeInclusive;
use std::time::Duration;

use onering_queue::Announcement;
use onering_testkit::{Receiver, Reply, eventually};
use serde_json::json;

use crate::bench::{Bench, PATIENCE};

const HELD: &str = "held_reason = 'BREAKER_OPEN'";

/// One request at a time is sent, and each takes longer than the breaker to get to know of the one before it. On a busy
/// machine it may come a little later.
const FEW: RangeInclusive<usize> = 5..=8;

fn slow_failure() -> Reply {
    Reply::status(503).delay(Duration::from_millis(200))
}

/// A worker whose circuits stay open for longer than a test lasts.
fn options(bench: &Bench) -> onering_testkit::ServiceOptions {
    bench
        .worker()
        .env("ONERING_BREAKER_OPEN_SECONDS", "3600")
        .env("ONERING_BREAKER_OPEN_MAX_SECONDS", "3600")
        .env("ONERING_WEBHOOKS_MAX_ATTEMPTS", "50")
}

#[tokio::test(flavor = "multi_thread")]
async fn five_failures_and_no_more_and_nobody_else_is_held() {
    let bench = Bench::new().await;
    let (down, well) = (Receiver::start().await, Receiver::start().await);
    down.otherwise(slow_failure());
    bench.subscribe(&down.url("/hook"), json!({ "max_in_flight": 1 })).await;
    bench.subscribe(&well.url("/hook"), json!({})).await;
    let worker = options(&bench).start().await;
    bench.publish(50).await;
    bench.wait_for(HELD, 50).await;
    well.wait_for(50).await;
    bench.wait_for("status = 'DELIVERED'", 50).await;
    assert!(FEW.contains(&down.count()), "{} requests", down.count());
    assert_eq!(bench.count(&format!("{HELD} AND attempt_count > 0")).await, i64::try_from(down.count()).unwrap());
    let events = "SELECT count(*) FROM circuit_events WHERE kind = 'OPENED' AND failures = 5 AND owner_id = 'default'";
    let client = bench.database.connect().await;
    eventually(PATIENCE, "the event is written down", async || {
        client.query_one(events, &[]).await.unwrap().get::<_, i64>(0) == 1
    })
    .await;
    assert_eq!(worker.metric("onering_circuits_open", &[]).await, Some(1.0));
    assert_eq!(worker.metric("onering_circuit_transitions_total", &[("kind", "OPENED")]).await, Some(1.0));
}

/// Somebody is there: it refuses for good what it is sent, and is not left alone for it.
#[tokio::test(flavor = "multi_thread")]
async fn refusals_for_good_open_nothing() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    receiver.otherwise(Reply::status(400));
    bench.subscribe(&receiver.url("/hook"), json!({})).await;
    let _worker = options(&bench).start().await;
    bench.publish(30).await;
    bench.wait_for("status = 'DEAD'", 30).await;
    assert_eq!(receiver.count(), 30);
}

/// What the worker sees by itself is enough to leave a receiver alone.
#[tokio::test(flavor = "multi_thread")]
async fn without_redis_a_worker_protects_receivers_by_itself() {
    let mut bench = Bench::new().await;
    let receiver = Receiver::start().await;
    receiver.otherwise(slow_failure());
    bench.subscribe(&receiver.url("/hook"), json!({ "max_in_flight": 1 })).await;
    let worker = options(&bench).start().await;
    bench.redis.kill9();
    eventually(PATIENCE, "the worker has noticed", async || worker.logs().contains("breakers: Redis is lost")).await;
    bench.publish(20).await;
    bench.wait_for(HELD, 20).await;
    assert!(FEW.contains(&receiver.count()), "{} requests", receiver.count());
    // Redis comes back and knows of nothing: then nothing is held any more.
    receiver.otherwise(Reply::status(200));
    bench.redis.restart().await.unwrap();
    bench.wait_for("status = 'DELIVERED'", 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_breaker_holds_is_cancelled_with_its_subscription() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    receiver.otherwise(Reply::status(503));
    let webhook = bench.subscribe(&receiver.url("/hook"), json!({ "max_in_flight": 1 })).await;
    let _worker = options(&bench).start().await;
    bench.publish(20).await;
    bench.wait_for(HELD, 20).await;
    bench.sql("UPDATE external_webhooks SET status = 'paused'").await;
    bench.queue().announcer().announce(&Announcement::Subscription(webhook)).await.unwrap();
    bench.publish(1).await;
    bench.wait_for("held_reason = 'SUBSCRIPTION_PAUSED'", 1).await;
    assert_eq!(bench.count(HELD).await, 20);
    bench.sql("UPDATE external_webhooks SET status = 'active'").await;
    bench.queue().announcer().announce(&Announcement::Subscription(webhook)).await.unwrap();
    bench.wait_for(HELD, 21).await;
    bench.sql("UPDATE external_webhooks SET deleted_at = now()").await;
    bench.queue().announcer().announce(&Announcement::Subscription(webhook)).await.unwrap();
    bench.wait_for("status = 'CANCELLED'", 21).await;
}
