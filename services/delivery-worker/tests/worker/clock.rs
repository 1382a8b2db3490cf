//! A machine whose clock is wrong.

use std::time::Duration;

use onering_clock::Clock;
use onering_testkit::{Receiver, Reply};
use serde_json::json;

use crate::bench::Bench;

/// What receivers take for fresh at the worst: 30 s ahead of their clock.
const TOLERANCE_S: u64 = 30;

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_clock_stamps_what_receivers_take() {
    for skew in ["600", "-600"] {
        let bench = Bench::new().await;
        let receiver = Receiver::start().await;
        receiver.script([Reply::status(503)]);
        bench.subscribe(&receiver.url("/hook"), json!({})).await;
        let _worker = bench.worker().env("ONERING_CLOCK_SKEW_SECONDS", skew).start().await;
        bench.publish(3).await;
        for request in receiver.wait_for(4).await {
            let now = request.at.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
            for name in ["X-Webhook-Timestamp", "webhook-timestamp"] {
                let stamp: u64 = request.header(name).unwrap().parse().unwrap();
                assert!(stamp.abs_diff(now) <= TOLERANCE_S, "{name} is {stamp} at {now} with a clock {skew} s off");
            }
        }
        bench.wait_for("status = 'DELIVERED' AND delivery_latency_ms < 60000", 3).await;
    }
}

/// A receiver names a date by its own clock, which is right.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_clock_does_not_misread_when_to_come_again() {
    for skew in ["600", "-600"] {
        let bench = Bench::new().await;
        let receiver = Receiver::start().await;
        let date = Clock::system().now() + Duration::from_secs(20 * 60);
        receiver.otherwise(Reply::retry_after(503, &date.format("%a, %d %b %Y %H:%M:%S GMT").to_string()));
        bench.subscribe(&receiver.url("/hook"), json!({})).await;
        let _worker = bench.worker().env("ONERING_CLOCK_SKEW_SECONDS", skew).start().await;
        bench.publish(1).await;
        bench.wait_for("status = 'RETRYING'", 1).await;
        let in_time = "next_attempt_at BETWEEN now() + interval '18 minutes' AND now() + interval '24 minutes'";
        assert_eq!(bench.count(in_time).await, 1, "with a clock {skew} s off");
    }
}
