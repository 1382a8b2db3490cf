//! Waiting for a turn: what has changed meanwhile counts, and so does the lease.

use std::time::Duration;

use onering_queue::Announcement;
use onering_testkit::{Receiver, Reply, eventually};
use serde_json::json;

use crate::bench::{Bench, PATIENCE};

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_in_a_lane_is_not_sent_after_its_subscription_was_paused() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    receiver.otherwise(Reply::hang());
    let webhook = bench.subscribe(&receiver.url("/hook"), json!({ "max_in_flight": 1, "timeout_seconds": 3 })).await;
    let _worker = bench.worker().start().await;
    bench.publish(6).await;
    receiver.wait_for(1).await;
    bench.sql("UPDATE external_webhooks SET status = 'paused'").await;
    bench.queue().announcer().announce(&Announcement::Subscription(webhook)).await.unwrap();
    bench.wait_for("held_reason = 'SUBSCRIPTION_PAUSED'", 6).await;
    assert_eq!(receiver.count(), 1, "only what was under way when it was paused");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sweep_finds_room_beside_a_waiting_reader() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    bench.subscribe(&receiver.url("/hook"), json!({})).await;
    let _worker = bench.worker().env("ONERING_WEBHOOKS_MAX_IN_FLIGHT", "1").start().await;
    for number in 1..=10 {
        bench.publish(1).await;
        receiver.wait_for(number).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_goes_out_as_fast_as_there_is_room() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    bench.subscribe(&receiver.url("/hook"), json!({})).await;
    let _worker = bench.worker().env("ONERING_WEBHOOKS_MAX_IN_FLIGHT", "2").start().await;
    bench.publish(200).await;
    // A handful a second, as often as the sweep looks by itself, would take most of a minute.
    receiver.wait_for(200).await;
    bench.wait_for("status = 'DELIVERED'", 200).await;
}

/// What may not go out gets no lane that would ask for more. A batch each time the sweep looks by itself would take more than a
/// minute.
#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_that_may_not_go_out_is_held_round_after_round() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    bench.subscribe(&receiver.url("/hook"), json!({})).await;
    bench.publish_leased(10_000, "-1 second").await;
    bench.sql("UPDATE external_webhooks SET status = 'paused'").await;
    let _worker = bench.worker().start().await;
    bench.wait_for("held_reason = 'SUBSCRIPTION_PAUSED'", 10_000).await;
    assert_eq!(receiver.count(), 0);
}

/// A lane is full of few bodies when they are large; more of them are not read only to be put off.
#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_of_large_bodies_is_read_about_once() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    receiver.otherwise(Reply::status(200).delay(Duration::from_millis(20)));
    bench.subscribe(&receiver.url("/hook"), json!({})).await;
    let publish = "SELECT onering.publish_event('default', 'ring.forged', jsonb_build_object('data', repeat('x', 150000))) \
                   FROM generate_series(1, 100)";
    bench.sql(publish).await;
    let worker = bench.worker().env("ONERING_WORKER_BODY_BYTES", "4194304").start().await;
    bench.wait_for("status = 'DELIVERED'", 100).await;
    assert_eq!(receiver.count(), 100);
    let (swept, overflowed) = (
        worker.metric("onering_deliveries_swept_total", &[]).await.unwrap(),
        worker.metric("onering_deliveries_overflowed_total", &[]).await.unwrap(),
    );
    assert!(swept < 120.0, "{swept:?} were read, and {overflowed:?} of them put off");
}

/// While a flood is put off, what is held has its turn.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_for_a_full_lane_keeps_nothing_held() {
    let bench = Bench::new().await;
    let (slow, resumed) = (Receiver::start().await, Receiver::start().await);
    slow.otherwise(Reply::hang());
    bench.subscribe(&slow.url("/hook"), json!({ "max_in_flight": 1, "timeout_seconds": 30 })).await;
    bench.publish_leased(40_000, "-1 second").await;
    let resumed = bench.subscribe(&resumed.url("/hook"), json!({ "events": ["nothing.else"] })).await.uuid();
    // Each round of the sweep takes a second.
    bench
        .sql(
            "CREATE FUNCTION slowed() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.5); RETURN NULL; END'; \
             CREATE TRIGGER slowed BEFORE UPDATE ON webhook_deliveries FOR EACH STATEMENT EXECUTE FUNCTION slowed()",
        )
        .await;
    let _worker = bench.worker().start().await;
    let still_due = "webhook_id IN (SELECT webhook_id FROM external_webhooks WHERE url LIKE '%/hook' AND max_in_flight = 1) \
                     AND queued_until <= now()";
    eventually(PATIENCE, "the flood is being put off", async || bench.count(still_due).await < 38_000).await;
    bench.hold(resumed, "BREAKER_OPEN").await;
    bench.wait_for(&format!("held_reason IS NULL AND webhook_id = '{resumed}'"), 1).await;
    let left = bench.count(still_due).await;
    assert!(left > 8_000, "only {left} of the flood had not been put off yet");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_covers_the_request_that_is_under_way() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    receiver.otherwise(Reply::hang());
    bench.subscribe(&receiver.url("/hook"), json!({ "timeout_seconds": 30 })).await;
    let _worker = bench.worker().start().await;
    bench.publish(3).await;
    receiver.wait_for(3).await;
    assert_eq!(bench.count("queued_until > now() + interval '35 seconds'").await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_whose_lease_was_lost_is_not_written() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    receiver.otherwise(Reply::status(200).delay(Duration::from_secs(1)));
    bench.subscribe(&receiver.url("/hook"), json!({})).await;
    let worker = bench.worker().start().await;
    bench.publish(1).await;
    receiver.wait_for(1).await;
    bench.sql("UPDATE webhook_deliveries SET queued_until = now() + interval '1 hour'").await;
    eventually(PATIENCE, "the result counts as late", async || {
        match worker.metric("onering_settlement_late_total", &[]).await {
            Some(late) if late >= 1.0 => Ok(()),
            late => Err(format!("{late:?}")),
        }
    })
    .await;
    assert_eq!(bench.count("status = 'PENDING' AND attempt_count = 0").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_measured() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    receiver.otherwise(Reply::hang());
    bench.subscribe(&receiver.url("/hook"), json!({ "max_in_flight": 2, "timeout_seconds": 30 })).await;
    let entries = bench.publish_leased(12, "1 hour").await;
    let worker = bench.worker().start().await;
    for pack in entries.chunks(4) {
        bench.stream().push(pack).await.unwrap();
    }
    for (gauge, expected) in [
        ("onering_delivery_lanes_queued", 10.0),
        ("onering_delivery_lanes", 1.0),
        ("onering_delivery_attempts_in_flight", 2.0),
        ("onering_stream_entries", 3.0),
    ] {
        eventually(PATIENCE, gauge, async || match worker.metric(gauge, &[]).await {
            Some(value) if value == expected => Ok(()),
            value => Err(format!("{value:?}")),
        })
        .await;
    }
}

/// An entry that was handed out again, and a row that was swept while its entry waited in a lane: both bring the same
/// delivery twice into one worker, whose leases are renewed by one statement.
#[tokio::test(flavor = "multi_thread")]
async fn what_comes_twice_is_sent_once() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    bench.subscribe(&receiver.url("/hook"), json!({ "timeout_seconds": 2 })).await;
    // Less than a request needs: each is renewed before it is sent.
    let entries = bench.publish_leased(20, "6 seconds").await;
    for _ in 0..3 {
        bench.stream().push(&entries).await.unwrap();
    }
    let _worker = bench.worker().start().await;
    bench.wait_for("status = 'DELIVERED'", 20).await;
    bench.wait_for_empty_stream().await;
    assert_eq!(receiver.count(), 20, "nothing is sent twice without a crash");
}
