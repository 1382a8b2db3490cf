//! Subscriptions that fail for days, and what was held meanwhile. The days pass in the rows, not in the clock.

use onering_queue::Announcement;
use onering_testkit::{Received, Receiver, Reply, eventually};
use serde_json::{Value, json};

use crate::bench::{Bench, PATIENCE};

/// The data of the events of one type among the requests.
fn told(requests: &[Received], event_type: &str) -> Vec<Value> {
    let bodies = requests.iter().map(|request| serde_json::from_slice::<Value>(&request.body).unwrap());
    bodies.filter(|body| body["event_type"] == event_type).map(|body| body["data"].clone()).collect()
}

async fn one(receiver: &Receiver, event_type: &str) -> Value {
    let so_far = receiver.wait_until(event_type, |requests| !told(requests, event_type).is_empty()).await;
    let all = told(&so_far, event_type);
    assert_eq!(all.len(), 1, "{all:?}");
    all[0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_warn_once_and_disable_once() {
    let bench = Bench::new().await;
    let (broken, operations) = (Receiver::start().await, Receiver::start().await);
    broken.otherwise(Reply::status(503));
    let webhook = bench.subscribe(&broken.url("/hook?token=t0p-secret"), json!({})).await;
    bench.subscribe(&operations.url("/hook"), json!({ "events": ["webhook.*"] })).await;
    let worker = |name| bench.worker().env("ONERING_INSTANCE", name).env("ONERING_WEBHOOKS_MAX_ATTEMPTS", "1").start();
    let workers = [worker("one").await, worker("two").await];
    bench.publish(3).await;
    bench.wait_for("status = 'DEAD'", 3).await;
    let days_ago = async |days: u32| {
        let moved = format!("UPDATE external_webhooks SET failing_since = now() - interval '{days} days 1 minute'");
        let moved = format!("{moved}, failure_warned_at = failure_warned_at - interval '2 days'");
        bench.sql(&format!("{moved} WHERE webhook_id = '{}'", webhook.uuid())).await;
    };
    days_ago(3).await;
    let warning = one(&operations, "webhook.failing").await;
    assert_eq!((&warning["webhook_id"], &warning["days"]), (&json!(webhook), &json!(3)));
    assert_eq!(
        (&warning["host"], &warning["waiting"]),
        (&json!("127.0.0.1"), &json!(0)),
        "of the target the host alone"
    );
    days_ago(5).await;
    let end = one(&operations, "webhook.disabled").await;
    assert_eq!((&end["webhook_id"], &end["days"]), (&json!(webhook), &json!(5)));
    assert!(end["reason"].as_str().unwrap().contains("503"), "{end}");

    bench.publish(4).await;
    bench.wait_for("held_reason = 'SUBSCRIPTION_DISABLED'", 4).await;
    assert_eq!(broken.count(), 3, "nothing of this was sent to it, not even its own news");
    let client = bench.database.connect().await;
    let log = "SELECT string_agg(action, ' ' ORDER BY audit_id) FROM admin_audit_log WHERE actor = 'platform'";
    let actions: String = client.query_one(log, &[]).await.unwrap().get(0);
    assert_eq!(actions, "subscription.warn subscription.disable");
    let news = ["webhook.failing", "webhook.disabled"].map(|news| told(&operations.requests(), news).len());
    assert_eq!(news, [1, 1], "and none came later");
    let logs = workers.map(|worker| worker.logs()).concat();
    assert_eq!(logs.matches("its partner is warned").count(), 1, "{logs}");
    assert_eq!(logs.matches("it is disabled, and what it misses is held").count(), 1, "{logs}");
    assert!(!logs.contains("t0p-secret"), "{logs}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_held_goes_out_at_the_receivers_pace_when_it_is_enabled() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    receiver.otherwise(Reply::status(200).delay(std::time::Duration::from_millis(2)));
    let webhook = bench.subscribe(&receiver.url("/hook"), json!({ "max_in_flight": 8 })).await;
    bench
        .sql(
            "UPDATE external_webhooks SET status = 'disabled', disabled_by = 'platform', disabled_reason = 'it failed', \
             disabled_at = now(), failing_since = now() - interval '5 days'",
        )
        .await;
    let _worker = bench.worker().start().await;
    // More than one release lets out.
    bench.publish(3_000).await;
    assert_eq!(bench.count("held_reason = 'SUBSCRIPTION_DISABLED'").await, 3_000);
    bench
        .sql(
            "UPDATE external_webhooks SET status = 'active', disabled_by = NULL, disabled_reason = NULL, \
             disabled_at = NULL, failing_since = NULL",
        )
        .await;
    bench.queue().announcer().announce(&Announcement::Subscription(webhook)).await.unwrap();
    eventually(PATIENCE * 4, "everything has arrived", async || match bench.count("status = 'DELIVERED'").await {
        3_000 => Ok(()),
        some => Err(format!("{some} of 3000")),
    })
    .await;
    assert_eq!(receiver.count(), 3_000, "each once");
    assert!(receiver.most_in_flight() <= 8, "{} at once", receiver.most_in_flight());
}
