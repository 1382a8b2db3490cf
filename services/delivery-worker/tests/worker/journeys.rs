//! From an event to its end, when nothing is broken.

use std::time::Duration;

use onering_testkit::{Receiver, Reply, eventually};
use serde_json::json;

use crate::bench::{Bench, PATIENCE};

#[tokio::test(flavor = "multi_thread")]
async fn once_delivers_what_is_due_and_ends() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    bench.subscribe(&receiver.url("/hook"), json!({})).await;
    // More than a lane takes: what overflows is put off for seconds, and still delivered.
    bench.publish(1_500).await;
    let mut worker = bench.worker().arg("--once").spawn();
    let status = worker.wait_exit().await;
    assert!(status.success(), "{}", worker.logs());
    assert_eq!(receiver.count(), 1_500);
    assert_eq!(bench.count("status = 'DELIVERED'").await, 1_500);
    let logs = worker.logs();
    assert!(logs.contains("Webhook delivery worker started"), "{logs}");
    assert!(logs.contains("processing delivery"), "{logs}");
    assert!(!logs.contains("whsec_") && !logs.contains("\"number\""), "secrets and payloads are never logged");
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_lets_attempts_finish_and_gives_the_rest_back() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    receiver.otherwise(Reply::status(200).delay(Duration::from_secs(1)));
    bench.subscribe(&receiver.url("/hook"), json!({ "max_in_flight": 10 })).await;
    let mut worker = bench.worker().start().await;
    bench.publish(30).await;
    receiver.wait_until("ten attempts are under way", |_| receiver.in_flight() >= 10).await;
    let status = worker.terminate().await;
    assert_eq!(status.code(), Some(0), "{}", worker.logs());
    let delivered = bench.count("status = 'DELIVERED'").await;
    assert_eq!(i64::try_from(receiver.count()).unwrap(), delivered, "every attempt that was made is settled");
    assert_eq!(bench.count("queued_until > now() + interval '2 seconds'").await, 0, "the rest is due at once");
    receiver.otherwise(Reply::status(200));
    let _second = bench.worker().start().await;
    bench.wait_for("status = 'DELIVERED'", 30).await;
    assert_eq!(receiver.count(), 30, "nothing is sent twice without a crash");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_receiver_fills_its_own_lane_and_no_other() {
    let bench = Bench::new().await;
    let (slow, quick) = (Receiver::start().await, Receiver::start().await);
    slow.otherwise(Reply::hang());
    bench.subscribe(&slow.url("/hook"), json!({ "max_in_flight": 2, "timeout_seconds": 30 })).await;
    bench.subscribe(&quick.url("/hook"), json!({})).await;
    let _worker = bench.worker().start().await;
    bench.publish(200).await;
    quick.wait_for(200).await;
    assert!(slow.most_in_flight() <= 2, "max_in_flight is exceeded: {}", slow.most_in_flight());
    // What does not fit into the slow lane waits in Postgres, not in memory, and not in anybody's way.
    bench.wait_for("status = 'DELIVERED'", 200).await;
    assert_eq!(bench.count("settled_at IS NULL").await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_limit_paces_a_subscription() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    bench.subscribe(&receiver.url("/hook"), json!({ "rate_limit_per_second": 10 })).await;
    let _worker = bench.worker().start().await;
    bench.publish(16).await;
    receiver.wait_for(16).await;
    bench.wait_for("status = 'DELIVERED'", 16).await;
    // By the worker's own record: how long a request travels is not the worker's doing.
    let span = "SELECT extract(epoch FROM max(started_at) - min(started_at))::float8 FROM external_delivery_logs";
    let took: f64 = bench.database.connect().await.query_one(span, &[]).await.unwrap().get(0);
    assert!(took >= 1.3, "16 attempts at 10 a second were started within {took} s");
}

#[tokio::test(flavor = "multi_thread")]
async fn switched_off_nothing_is_sent_and_switched_on_nothing_was_lost() {
    let bench = Bench::new().await;
    bench.delivery(false);
    let receiver = Receiver::start().await;
    bench.subscribe(&receiver.url("/hook"), json!({})).await;
    let _worker = bench.worker().start().await;
    bench.publish(50).await;
    // Longer than a sweep would have taken.
    bench.wait_for("settled_at IS NULL AND created_at < now() - interval '2 seconds'", 50).await;
    assert_eq!(receiver.count(), 0);
    bench.delivery(true);
    receiver.wait_for(50).await;
    bench.wait_for("status = 'DELIVERED'", 50).await;
    assert_eq!(receiver.count(), 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn switched_off_what_waits_for_its_turn_is_held() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    receiver.otherwise(Reply::hang());
    bench.subscribe(&receiver.url("/hook"), json!({ "max_in_flight": 1, "timeout_seconds": 2 })).await;
    let entries = bench.publish_leased(6, "1 hour").await;
    let _worker = bench.worker().start().await;
    bench.stream().push(&entries).await.unwrap();
    receiver.wait_for(1).await;
    bench.delivery(false);
    // A sweep that began just before may have released them again: then they are due, and nobody sends them either.
    bench.wait_for("held_reason = 'DELIVERY_OFF' OR (attempt_count = 0 AND queued_until <= now())", 5).await;
    assert_eq!(receiver.count(), 1);
    receiver.otherwise(Reply::status(200));
    bench.delivery(true);
    bench.wait_for("status = 'DELIVERED'", 6).await;
    assert_eq!(receiver.count(), 7, "the first one twice: it had timed out");
}

#[tokio::test(flavor = "multi_thread")]
async fn old_events_expire_unsent() {
    let bench = Bench::new().await;
    bench.delivery(false);
    let receiver = Receiver::start().await;
    bench.subscribe(&receiver.url("/hook"), json!({ "max_event_age_seconds": 1 })).await;
    bench.publish(1).await;
    let client = bench.database.connect().await;
    eventually(PATIENCE, "the event is over a second old", async || {
        let old: bool = client
            .query_one("SELECT created_at < now() - interval '1.1 seconds' FROM webhook_events", &[])
            .await
            .unwrap()
            .get(0);
        old
    })
    .await;
    bench.delivery(true);
    let _worker = bench.worker().start().await;
    bench.wait_for("status = 'REPLAY_EXPIRED'", 1).await;
    assert_eq!(receiver.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_share_the_work_and_never_double_it() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    receiver.otherwise(Reply::status(200).delay(Duration::from_millis(5)));
    bench.subscribe(&receiver.url("/hook"), json!({})).await;
    // So few places that neither can take everything at once.
    let worker =
        |name| bench.worker().env("ONERING_INSTANCE", name).env("ONERING_WEBHOOKS_MAX_IN_FLIGHT", "10").start();
    let (_one, _two) = (worker("one").await, worker("two").await);
    for _ in 0..5 {
        bench.publish(200).await;
    }
    bench.wait_for("status = 'DELIVERED'", 1_000).await;
    assert_eq!(receiver.count(), 1_000, "nothing is sent twice without a crash");
    let client = bench.database.connect().await;
    let workers: i64 =
        client.query_one("SELECT count(DISTINCT worker) FROM external_delivery_logs", &[]).await.unwrap().get(0);
    assert_eq!(workers, 2);
}

/// A slow Postgres is not an idle one.
#[tokio::test(flavor = "multi_thread")]
async fn once_does_not_end_before_it_has_looked() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    bench.subscribe(&receiver.url("/hook"), json!({})).await;
    bench.publish(3).await;
    let (mut blocker, observer) = (bench.database.connect().await, bench.database.connect().await);
    let lock = blocker.transaction().await.unwrap();
    lock.batch_execute("LOCK TABLE webhook_deliveries").await.unwrap();
    let mut worker = bench.worker().arg("--once").spawn();
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' \
                   AND query_start < clock_timestamp() - interval '4 seconds'";
    eventually(PATIENCE, "the sweep has waited for four seconds", async || {
        observer.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0) > 0
    })
    .await;
    assert!(worker.is_running(), "{}", worker.logs());
    lock.rollback().await.unwrap();
    assert!(worker.wait_exit().await.success(), "{}", worker.logs());
    assert_eq!(bench.count("status = 'DELIVERED'").await, 3);
}
