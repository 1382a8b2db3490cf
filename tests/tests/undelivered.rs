//! A receiver that fails for days, as its partner and the operators meet it: told of, disabled, held, and complete again
//! once it is enabled. The days pass in the database.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says what is wrong by failing")]

use std::collections::BTreeSet;
use std::time::Duration;

use onering_testkit::{Received, Receiver, Reply, eventually, scratch_dir};
use onering_tests::{Partner, Stack, StackOptions, Subscription};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(90);
/// Published while it is disabled.
const HELD: usize = 1_500;

/// The data of the events of this type among the requests.
fn told(requests: &[Received], event_type: &str) -> Vec<Value> {
    let bodies = requests.iter().map(|request| serde_json::from_slice::<Value>(&request.body).unwrap());
    bodies.filter(|body| body["event_type"] == event_type).map(|body| body["data"].clone()).collect()
}

/// What the ids were that arrived.
fn ids(requests: &[Received]) -> BTreeSet<String> {
    requests.iter().map(|request| request.header("webhook-id").unwrap_or_default().to_owned()).collect()
}

async fn fails_for(stack: &Stack, subscription: &Subscription, days: u32) {
    let moved = format!(
        "UPDATE external_webhooks SET failing_since = now() - interval '{days} days 1 minute', \
             failure_warned_at = failure_warned_at - interval '2 days' \
         WHERE onering.typeid('wh', webhook_id) = '{}'",
        subscription.id
    );
    stack.database.connect().await.batch_execute(&moved).await.unwrap();
}

async fn publish(partner: &Partner, count: usize) {
    for chunk in (0..count).collect::<Vec<_>>().chunks(500) {
        let events: Vec<Value> =
            chunk.iter().map(|number| json!({ "event_type": "ring.forged", "data": { "number": number } })).collect();
        let answer = partner.api.post("/v1/external/events/batch", &json!(events)).await.expect(202);
        assert_eq!(answer["accepted"], chunk.len());
    }
}

/// The audit by owner and against the receiver's own list; answers both exit codes and what was printed last.
async fn audits(stack: &Stack, partner: &Partner, subscription: &Subscription, list: &str) -> (i32, i32, String) {
    let (owner, text) = stack.onering(&["audit", "--owner", &partner.owner]).await;
    let compare = ["audit", "--received", list, "--webhook", &subscription.id, "--owner", &partner.owner];
    let (received, compared) = stack.onering(&compare).await;
    (owner, received, format!("{text}\n{compared}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_fails_for_days_loses_nothing() {
    let environment = vec![("ONERING_WEBHOOKS_MAX_ATTEMPTS", "1".to_owned())];
    let stack = Stack::start(StackOptions { more_workers: 1, environment, ..StackOptions::default() }).await;
    let (broken, watcher) = (Receiver::start().await, Receiver::start().await);
    broken.otherwise(Reply::status(500));
    let partner = Partner::create(&stack, "acme", json!({ "rate_limit_override": 100_000 })).await;
    let subscription = partner
        .subscribe(
            &broken.url("/in?token=t0p-secret"),
            json!({ "events": ["ring.*", "webhook.*"], "max_in_flight": 4 }),
        )
        .await;
    partner.subscribe(&watcher.url("/watch"), json!({ "events": ["webhook.*"] })).await;
    publish(&partner, 2).await;
    stack.wait_until_settled(PATIENCE).await;

    fails_for(&stack, &subscription, 3).await;
    let shown = format!("/v1/external/webhooks/{}", subscription.id);
    let requests = watcher.wait_until("the warning", |all| !told(all, "webhook.failing").is_empty()).await;
    let warning = &told(&requests, "webhook.failing")[0];
    assert_eq!((&warning["webhook_id"], &warning["days"]), (&json!(subscription.id), &json!(3)), "{warning}");
    assert_eq!(partner.api.get(&shown).await.expect(200)["status"], "active");
    eventually(PATIENCE, "the alert fires", async || {
        let alerts = stack.monitoring().get("/v1/monitoring/alerts").await.expect(200);
        let alert = alerts["alerts"].as_array().unwrap().iter().find(|alert| alert["name"] == "subscriptions_failing");
        alert.is_some_and(|alert| alert["firing"] == true)
    })
    .await;

    fails_for(&stack, &subscription, 5).await;
    let requests = watcher.wait_until("the end", |all| !told(all, "webhook.disabled").is_empty()).await;
    let (warnings, ends) = (told(&requests, "webhook.failing"), told(&requests, "webhook.disabled"));
    assert_eq!((warnings.len(), ends.len()), (1, 1));
    assert!(ends[0]["host"] == "127.0.0.1" && !ends[0].to_string().contains("t0p-secret"), "{}", ends[0]);
    let disabled = partner.api.get(&shown).await.expect(200);
    assert_eq!((&disabled["status"], &disabled["disabled_by"]), (&json!("disabled"), &json!("platform")));
    assert!(disabled["disabled_reason"].as_str().unwrap().contains("500"), "{disabled}");
    let log = stack.operator().get("/v1/admin/audit?actor=platform").await.expect(200);
    let actions: Vec<&Value> = log["items"].as_array().unwrap().iter().map(|row| &row["action"]).collect();
    assert_eq!(actions, ["subscription.disable", "subscription.warn"]);

    let before = broken.count();
    publish(&partner, HELD).await;
    let shows_held = partner.api.get(&shown).await.expect(200);
    assert_eq!(shows_held["waiting"], json!({ "pending": HELD, "retrying": 0, "held": HELD }));
    let list = partner.api.get("/v1/external/deliveries?held_reason=SUBSCRIPTION_DISABLED&limit=3").await.expect(200);
    let reasons: Vec<&Value> = list["items"].as_array().unwrap().iter().map(|item| &item["held_reason"]).collect();
    assert_eq!(reasons, ["SUBSCRIPTION_DISABLED"; 3]);
    assert_eq!(broken.count(), before, "nothing is sent to it");

    broken.otherwise(Reply::status(200));
    let enabled = partner.api.patch(&shown, &json!({ "status": "active" })).await.expect(200);
    assert_eq!((&enabled["status"], &enabled["failing_since"]), (&json!("active"), &json!(null)));
    stack.wait_until_settled(PATIENCE).await;
    // Two workers, four at once each: held back, not let loose.
    assert!(broken.most_in_flight() <= 8, "{} at once", broken.most_in_flight());

    let news = ["webhook.failing", "webhook.disabled"].map(|news| told(&watcher.requests(), news).len());
    assert_eq!(news, [1, 1], "of two workers one took each step");

    let got: Vec<String> = ids(&broken.requests()[before..]).into_iter().collect();
    assert_eq!(got.len(), HELD);
    let folder = scratch_dir("received");
    let file = folder.path().join("received.txt");
    let path = file.display().to_string();
    std::fs::write(&file, got.join("\n")).unwrap();
    let (owner, received, text) = audits(&stack, &partner, &subscription, &path).await;
    assert_eq!((owner, received), (0, 0), "{text}");
    std::fs::write(&file, got[1..].join("\n")).unwrap();
    let (_, received, text) = audits(&stack, &partner, &subscription, &path).await;
    assert!(received == 1 && text.contains(&got[0]), "{text}");
}
