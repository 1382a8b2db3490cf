//! What one subscription may take up of a worker: places, bytes, statements.

use std::time::Duration;

use onering_testkit::{Receiver, Reply, ServiceProcess};
use serde_json::json;

use crate::bench::Bench;

/// A figure of the worker, over all its labels.
async fn counted(worker: &ServiceProcess, name: &str) -> f64 {
    worker.metric(name, &[]).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_limited_backlog_neither_holds_places_nor_goes_round_in_circles() {
    let bench = Bench::new().await;
    let (paced, other) = (Receiver::start().await, Receiver::start().await);
    bench.subscribe(&paced.url("/hook"), json!({ "rate_limit_per_second": 10 })).await;
    bench.publish(10_000).await;
    let worker = bench.worker().start().await;
    paced.wait_for(5).await;
    // Beside it another one gets its event at once; the first has seen that one, too.
    bench.subscribe(&other.url("/hook"), json!({})).await;
    bench.publish(1).await;
    other.wait_for(1).await;
    paced.wait_for(40).await;
    let sent = paced.count() as f64;
    // Beside what its lane holds, those that were brought before its rate was known, and once more when it was.
    let swept = counted(&worker, "onering_deliveries_swept_total").await;
    assert!(swept <= sent + 300.0, "{swept} deliveries leased for {sent} sent");
    assert!(counted(&worker, "onering_delivery_lanes_queued").await <= 21.0);
    // About once each; what stays due is for the lane to go on with.
    let put_off = counted(&worker, "onering_deliveries_put_off_total").await;
    assert!((4_000.0..=12_000.0).contains(&put_off), "{put_off}");
    assert!(
        bench.count("queued_until > now() + interval '5 minutes'").await > 1_000,
        "when its turn comes, not sooner"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_hangs_gets_no_more_than_is_tried_out() {
    let bench = Bench::new().await;
    let (stuck, other) = (Receiver::start().await, Receiver::start().await);
    stuck.otherwise(Reply::hang());
    bench.subscribe(&stuck.url("/hook"), json!({ "timeout_seconds": 1 })).await;
    bench.publish(3_000).await;
    let worker = bench.worker().env("ONERING_BREAKER_FAILURES", "1000").start().await;
    stuck.wait_for(16).await;
    bench.subscribe(&other.url("/hook"), json!({})).await;
    for number in 1..=5 {
        bench.publish(1).await;
        other.wait_for(number).await;
    }
    stuck.wait_for(28).await;
    assert_eq!(stuck.most_in_flight(), 16);
    let swept = counted(&worker, "onering_deliveries_swept_total").await;
    assert!(swept < 1_000.0, "{swept} deliveries leased for a receiver that takes none");
}

/// Large bodies, each most of what a source may hold: half a mebibyte.
const LARGE: &str =
    "UPDATE webhook_events SET body = convert_to('{\"data\":\"' || repeat('x', 400000) || '\"}', 'UTF8')";

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_bounded_by_their_bytes() {
    for is_streamed in [true, false] {
        let bench = Bench::new().await;
        let receiver = Receiver::start().await;
        receiver.otherwise(Reply::status(200).delay(Duration::from_millis(50)));
        bench.subscribe(&receiver.url("/hook"), json!({})).await;
        let lease = if is_streamed { "1 hour" } else { "0 seconds" };
        let mut entries = bench.publish_leased(12, lease).await;
        bench.sql(LARGE).await;
        let _worker = bench.worker().env("ONERING_WORKER_BODY_BYTES", "1048576").start().await;
        if is_streamed {
            entries.iter_mut().for_each(|entry| entry.body = None);
            bench.stream().push(&entries).await.unwrap();
        }
        bench.wait_for("status = 'DELIVERED'", 12).await;
        assert_eq!((receiver.count(), receiver.most_in_flight()), (12, 1), "streamed: {is_streamed}");
    }
}
