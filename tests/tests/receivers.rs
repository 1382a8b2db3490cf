//! What a receiver answers, and what becomes of the delivery: the table of DESIGN §8 through the real processes.

use std::time::Duration;

use onering_signing::{Scheme, Verifier};
use onering_testkit::{Receiver, Reply, eventually};
use onering_tests::outside::{psql, run, tests_folder};
use onering_tests::{Partner, Stack, StackOptions};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(30);

async fn stack() -> Stack {
    Stack::start(StackOptions {
        environment: vec![("ONERING_WEBHOOKS_BACKOFF_SECONDS", "1,2".to_owned())],
        ..StackOptions::default()
    })
    .await
}

/// Waits until the one delivery of an event has this status, and answers it with its attempts.
async fn settled(partner: &Partner, event_id: &str, status: &str) -> Value {
    eventually(PATIENCE, "the delivery is settled", async || {
        let deliveries = partner.deliveries_of(event_id).await;
        match deliveries.as_slice() {
            [delivery] if delivery["status"] == status => Ok(delivery.clone()),
            other => Err(format!("{other:?}")),
        }
    })
    .await
}

fn attempts(delivery: &Value) -> Vec<Value> {
    delivery["attempts"].as_array().cloned().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_arrives_signed_in_every_scheme_it_should() {
    let stack = stack().await;
    let receiver = Receiver::start().await;
    let partner = Partner::create(&stack, "acme", json!({})).await;
    let subscription = partner.subscribe(&receiver.url("/hook"), json!({})).await;
    let event_id = partner.publish("ring.forged", json!({ "ring_id": "one", "text": "café ☃" })).await;

    let received = receiver.wait_for(1).await.remove(0);
    let body = received.json();
    assert_eq!(body["event_id"], event_id.as_str());
    assert_eq!(body["event_type"], "ring.forged");
    assert_eq!(body["data"], json!({ "ring_id": "one", "text": "café ☃" }));
    assert_eq!(body.as_object().map(serde_json::Map::len), Some(4), "exactly the four fields of the contract");
    assert_eq!(received.header("X-Webhook-Event-ID"), Some(event_id.as_str()));
    assert_eq!(received.header("webhook-id"), Some(event_id.as_str()));
    assert_eq!(received.header("X-Webhook-Event"), Some("ring.forged"));
    assert_eq!(received.header("X-Webhook-Attempt"), Some("1"));
    let verifier = Verifier::new(subscription.secret.parse().unwrap());
    let now = onering_clock::Clock::system().now().timestamp();
    for scheme in [Scheme::XWebhook, Scheme::StandardWebhooks] {
        let verified = verifier.verify(scheme, |name| received.header(name), &received.body, now).unwrap();
        assert_eq!(verified.event_id, Some(event_id.as_str()));
    }
    let delivery = settled(&partner, &event_id, "DELIVERED").await;
    assert_eq!(received.header("X-Webhook-Delivery-ID"), delivery["id"].as_str());
    stack.assert_ledger_balances().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_failures_and_a_success_take_three_attempts_at_the_scheduled_waits() {
    let stack = stack().await;
    let receiver = Receiver::start().await;
    receiver.script([Reply::status(503), Reply::status(503), Reply::status(200)]);
    let partner = Partner::create(&stack, "acme", json!({})).await;
    partner.subscribe(&receiver.url("/hook"), json!({})).await;
    let event_id = partner.publish("ring.forged", json!({})).await;

    let requests = receiver.wait_for(3).await;
    let delivery = settled(&partner, &event_id, "DELIVERED").await;
    assert_eq!(delivery["attempt_count"], 3);
    let outcomes: Vec<Value> = attempts(&delivery).iter().map(|attempt| attempt["status_code"].clone()).collect();
    assert_eq!(outcomes, [json!(503), json!(503), json!(200)]);
    let waits: Vec<Duration> = requests.windows(2).map(|pair| pair[1].instant - pair[0].instant).collect();
    println!("waits between attempts: {waits:?}");
    assert!(
        waits[0] >= Duration::from_secs(1) && waits[1] >= Duration::from_secs(2),
        "earlier than scheduled: {waits:?}"
    );
    assert!(requests.iter().all(|request| request.body == requests[0].body), "the body is the same on every attempt");
    let stamps: Vec<_> =
        requests.iter().map(|request| request.header("X-Webhook-Timestamp").map(str::to_owned)).collect();
    assert!(stamps[0] != stamps[2], "each attempt is stamped anew: {stamps:?}");
    stack.assert_ledger_balances().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_end_a_delivery() {
    let stack = stack().await;
    let receiver = Receiver::start().await;
    let partner = Partner::create(&stack, "acme", json!({})).await;
    partner.subscribe(&receiver.url("/hook"), json!({})).await;

    // 400: given up after one attempt.
    receiver.otherwise(Reply::status(400));
    let refused = settled(&partner, &partner.publish("ring.forged", json!({})).await, "DEAD").await;
    assert_eq!(refused["attempt_count"], 1);

    // A redirect is not followed.
    receiver.otherwise(Reply::redirect(302, &receiver.url("/elsewhere")));
    let redirected = settled(&partner, &partner.publish("ring.forged", json!({})).await, "DEAD").await;
    assert_eq!(redirected["last_status_code"], 302);
    assert!(receiver.requests().iter().all(|request| request.path == "/hook"), "a redirect was followed");

    // 503 to the end: dead after the last attempt.
    receiver.clear();
    receiver.otherwise(Reply::status(503));
    let exhausted = settled(&partner, &partner.publish("ring.forged", json!({})).await, "DEAD").await;
    assert_eq!(exhausted["attempt_count"], 3);
    assert_eq!(receiver.count(), 3);

    // The receiver's own verdict on a stale request.
    receiver.otherwise(Reply::status(409).header("X-Webhook-Error", "REPLAY_EXPIRED"));
    settled(&partner, &partner.publish("ring.forged", json!({})).await, "REPLAY_EXPIRED").await;
    stack.assert_ledger_balances().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gone_disables_the_subscription_and_later_events_are_held_until_it_is_enabled() {
    let stack = stack().await;
    let receiver = Receiver::start().await;
    receiver.script([Reply::status(410)]);
    let partner = Partner::create(&stack, "acme", json!({})).await;
    let subscription = partner.subscribe(&receiver.url("/hook"), json!({})).await;
    settled(&partner, &partner.publish("ring.forged", json!({})).await, "DEAD").await;
    let path = format!("/v1/external/webhooks/{}", subscription.id);
    assert_eq!(partner.api.get(&path).await.expect(200)["status"], "disabled");

    let held = partner.publish("ring.forged", json!({})).await;
    let waiting = settled(&partner, &held, "PENDING").await;
    assert_eq!(waiting["held_reason"], "SUBSCRIPTION_DISABLED");
    let enable = format!("/v1/admin/external/webhooks/{}/enable", subscription.id);
    let _ = stack.operator().patch(&enable, &json!({})).await.expect(200);
    settled(&partner, &held, "DELIVERED").await;
    stack.assert_ledger_balances().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_after_is_honoured() {
    let stack = stack().await;
    let receiver = Receiver::start().await;
    receiver.script([Reply::retry_after(429, "4"), Reply::status(200)]);
    let partner = Partner::create(&stack, "acme", json!({})).await;
    partner.subscribe(&receiver.url("/hook"), json!({})).await;
    partner.publish("ring.forged", json!({})).await;
    let requests = receiver.wait_for(2).await;
    let wait = requests[1].instant - requests[0].instant;
    assert!(wait >= Duration::from_secs(4), "the receiver asked for 4 s and was asked again after {wait:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_event_arrives_whole() {
    let stack = stack().await;
    let receiver = Receiver::start().await;
    let partner = Partner::create(&stack, "acme", json!({})).await;
    partner.subscribe(&receiver.url("/hook"), json!({})).await;
    // Larger than what travels in a stream entry.
    let text = "x".repeat(100_000);
    partner.publish("ring.forged", json!({ "text": text })).await;
    let received = receiver.wait_for(1).await.remove(0);
    assert_eq!(received.json()["data"]["text"], text.as_str());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_secret_signs_beside_the_old_one() {
    let stack = stack().await;
    let receiver = Receiver::start().await;
    let partner = Partner::create(&stack, "acme", json!({})).await;
    let subscription = partner.subscribe(&receiver.url("/hook"), json!({})).await;
    let rotate = format!("/v1/external/webhooks/{}/rotate-secret", subscription.id);
    let rotated = partner.api.post(&rotate, &json!({})).await.expect(200);
    let fresh = rotated["secret"].as_str().unwrap().to_owned();
    assert_ne!(fresh, subscription.secret);
    partner.publish("ring.forged", json!({})).await;
    let received = receiver.wait_for(1).await.remove(0);
    let now = onering_clock::Clock::system().now().timestamp();
    let verifier = Verifier::new(subscription.secret.parse().unwrap());
    verifier.verify(Scheme::StandardWebhooks, |name| received.header(name), &received.body, now).unwrap();
    let verifier = Verifier::new(fresh.parse().unwrap());
    for scheme in [Scheme::XWebhook, Scheme::StandardWebhooks] {
        verifier.verify(scheme, |name| received.header(name), &received.body, now).unwrap();
    }
    assert!(received.header("X-Webhook-Signature").unwrap().contains(",v1p="));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_test_call_answers_what_the_receiver_said() {
    let stack = stack().await;
    let receiver = Receiver::start().await;
    receiver.otherwise(Reply::status(204));
    let partner = Partner::create(&stack, "acme", json!({})).await;
    let subscription = partner.subscribe(&receiver.url("/hook"), json!({})).await;
    let attempt =
        partner.api.post(&format!("/v1/external/webhooks/{}/test", subscription.id), &json!({})).await.expect(200);
    assert!(attempt.to_string().contains("204"), "{attempt}");
    assert_eq!(receiver.wait_for(1).await[0].header("X-Webhook-Event"), Some("webhook.test"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_published_in_sql_is_delivered_when_its_transaction_commits() {
    let stack = stack().await;
    let receiver = Receiver::start().await;
    let partner = Partner::create(&stack, "acme", json!({})).await;
    partner.subscribe(&receiver.url("/hook"), json!({})).await;
    // The statements of a product that keeps its books in the same database.
    let script = "CREATE TABLE product_rings (ring integer);
        BEGIN;
        INSERT INTO product_rings VALUES (1);
        SELECT onering.publish_event('acme', 'ring.forged', '{\"number\": 1}');
        ROLLBACK;
        BEGIN;
        INSERT INTO product_rings VALUES (2);
        SELECT onering.publish_event('acme', 'ring.forged', jsonb_build_object('number', ring), 'ring-' || ring)
            FROM product_rings;
        COMMIT;
        SELECT onering.publish_event('acme', 'ring.forged', '{\"number\": 2}', 'ring-2');";
    let arguments = [stack.database.url(), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"];
    let ran = run(psql(), arguments, tests_folder(), script.as_bytes()).await;
    let ids: Vec<&str> = ran.text.lines().collect();
    assert!(ran.code == 0 && ids.len() == 3 && ids[0] != ids[1] && ids[1] == ids[2], "{ran:?}");
    let received = receiver.wait_for(1).await.remove(0);
    assert_eq!(received.json()["data"]["number"], 2);
    stack.wait_until_settled(PATIENCE).await;
    assert_eq!(receiver.count(), 1, "what was rolled back must not be sent");
    stack.assert_ledger_balances().await;
}
