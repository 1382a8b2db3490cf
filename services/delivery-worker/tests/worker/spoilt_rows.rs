//! One row that cannot be understood or written must not stop the others.

use onering_queue::Announcement;
use onering_testkit::{Receiver, eventually};
use serde_json::json;

use crate::bench::{Bench, PATIENCE};

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_that_is_not_understood_waits_and_blocks_nobody() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    let spoilt = bench.subscribe(&receiver.url("/spoilt"), json!({})).await.uuid();
    let entries = bench.publish_leased(2, "1 hour").await;
    bench.subscribe(&receiver.url("/good"), json!({})).await;
    bench.sql(&format!("UPDATE external_webhooks SET url = 'nonsense' WHERE webhook_id = '{spoilt}'")).await;
    let _worker = bench.worker().start().await;
    bench.stream().push(&entries).await.unwrap();
    bench.publish(5).await;
    bench.wait_for("status = 'DELIVERED'", 5).await;
    // Nothing of it stays in the stream, where it would count against its bound; it is put off in Postgres.
    bench.wait_for_empty_stream().await;
    bench.wait_for("status = 'PENDING' AND queued_until BETWEEN now() AND now() + interval '5 minutes'", 7).await;
    let url = receiver.url("/spoilt");
    bench
        .sql(&format!(
            "UPDATE external_webhooks SET url = '{url}' WHERE webhook_id = '{spoilt}'; \
             UPDATE webhook_deliveries SET queued_until = now() WHERE settled_at IS NULL"
        ))
        .await;
    bench.wait_for("status = 'DELIVERED'", 12).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_key_pair_it_needs_nothing_is_sent_and_nobody_is_blocked() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    let bare = bench.subscribe(&receiver.url("/bare"), json!({ "signature_schemes": ["standard-webhooks-v1a"] })).await;
    bench.subscribe(&receiver.url("/good"), json!({})).await;
    let worker = bench.worker().start().await;
    bench.publish(3).await;
    bench.wait_for("status = 'DELIVERED'", 3).await;
    eventually(PATIENCE, "the operator is told", async || {
        worker.logs().contains("no key pair for standard-webhooks-v1a")
    })
    .await;
    assert!(receiver.requests().iter().all(|request| request.path == "/good"), "a request went out unsigned");
    let bare = bare.uuid();
    bench
        .sql(&format!(
            "UPDATE external_webhooks SET signature_schemes = '{{standard-webhooks}}' WHERE webhook_id = '{bare}'; \
             UPDATE webhook_deliveries SET queued_until = now() WHERE settled_at IS NULL"
        ))
        .await;
    bench.queue().announcer().announce(&Announcement::Subscriptions).await.unwrap();
    bench.wait_for("status = 'DELIVERED'", 6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_subscription_of_a_newer_version_stops_no_sweep_and_no_release() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    let elsewhere = json!({ "events": ["nothing.else"] });
    let newer = bench.subscribe(&receiver.url("/newer"), elsewhere.clone()).await.uuid();
    let resumed = bench.subscribe(&receiver.url("/resumed"), elsewhere).await.uuid();
    bench.hold(newer, "SUBSCRIPTION_PAUSED").await;
    for reason in ["SUBSCRIPTION_PAUSED", "BREAKER_OPEN"] {
        bench.hold(resumed, reason).await;
    }
    bench
        .sql(&format!(
            "ALTER TABLE external_webhooks DROP CONSTRAINT external_webhooks_status_check; \
             UPDATE external_webhooks SET status = 'archived' WHERE webhook_id = '{newer}'"
        ))
        .await;
    bench.subscribe(&receiver.url("/good"), json!({})).await;
    let worker = bench.worker().start().await;
    bench.publish(5).await;
    bench.wait_for("status = 'DELIVERED'", 7).await;
    assert_eq!(bench.count(&format!("held_reason IS NOT NULL AND webhook_id = '{newer}'")).await, 1);
    let logs = worker.logs();
    assert_eq!(logs.matches("what is held of it stays held").count(), 1, "{logs}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_cannot_be_written_stops_no_other() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    bench.subscribe(&receiver.url("/hook"), json!({})).await;
    let entries = bench.publish_leased(50, "1 hour").await;
    // The log of an attempt that was never made: the real one's collides with it.
    bench
        .sql(
            "INSERT INTO external_delivery_logs (delivery_id, attempt, webhook_id, outcome, started_at, duration_ms, worker) \
             SELECT delivery_id, 1, webhook_id, 'RETRY', now(), 1, 'nobody' FROM webhook_deliveries LIMIT 1",
        )
        .await;
    let _worker = bench.worker().start().await;
    bench.stream().push(&entries).await.unwrap();
    // The one that collides is delivered without a log of its own.
    bench.wait_for("status = 'DELIVERED'", 50).await;
    bench.wait_for_empty_stream().await;
    assert_eq!(receiver.count(), 50, "nothing is sent twice");
}
