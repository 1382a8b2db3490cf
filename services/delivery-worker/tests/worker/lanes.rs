//! Waiting for a turn: what has changed meanwhile counts, and so does the lease.

use std::time::Duration;

use onering_queue::Announcement;
use onering_testkit::{Receiver, Reply, eventually, http_client};
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
    let metrics = async || http_client().get(worker.url("/metrics")).send().await.unwrap().text().await.unwrap();
    eventually(PATIENCE, "the result counts as late", async || {
        metrics().await.contains("onering_settlement_late_total{")
            && !metrics().await.contains("onering_settlement_late_total 0")
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
    bench.stream().push(&entries).await.unwrap();
    for (gauge, expected) in [
        ("onering_delivery_lanes_queued", 10.0),
        ("onering_delivery_lanes", 1.0),
        ("onering_delivery_attempts_in_flight", 2.0),
        ("onering_stream_entries", 12.0),
    ] {
        eventually(PATIENCE, gauge, async || {
            let metrics = http_client().get(worker.url("/metrics")).send().await.unwrap().text().await.unwrap();
            let line = metrics.lines().find(|line| line.split(['{', ' ']).next() == Some(gauge));
            let value = line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
            if value == Some(expected) { Ok(()) } else { Err(format!("{line:?}")) }
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
