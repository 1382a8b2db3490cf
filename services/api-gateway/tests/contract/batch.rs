//! Publishing many events in one call.

use std::time::Duration;

use onering_keys::Tier;
use onering_testkit::eventually;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{KeySpec, Stack, send};

#[tokio::test]
async fn each_item_is_accepted_or_rejected_by_itself() {
    let stack = Stack::start().await;
    let key = stack.usual_key().await;
    let items = json!([
        {"event_type": "ring.forged", "data": {"n": 1}, "idempotency_key": "k1"},
        {"event_type": "not a type", "data": 1},
        {"event_type": "ring.forged", "data": 1, "colour": "gold"},
        7,
        {"event_type": "ring.forged", "data": 1, "owner_id": "other"},
        {"event_type": "ring.forged", "data": {"n": 1}, "idempotency_key": "k1"},
        {"event_type": "ring.forged", "data": {"n": 2}, "idempotency_key": "k1"},
        {"event_type": "ring.lost", "data": null},
    ]);
    let answer = stack.post("/events/batch", &key, &items).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(answer.quota(), (10_000, 9_992), "each item counts");
    let body = answer.json();
    assert_eq!((&body["accepted"], &body["rejected"]), (&json!(3), &json!(5)));
    let results = body["results"].as_array().unwrap();
    let told: Vec<(u64, &str, &str, &str)> = results
        .iter()
        .map(|result| {
            let text = |name: &str| result[name].as_str().unwrap_or_default();
            (result["index"].as_u64().unwrap(), text("status"), text("code"), text("field"))
        })
        .collect();
    let expected = [
        (0, "accepted", "", ""),
        (1, "rejected", "VALIDATION_FAILED", "event_type"),
        (2, "rejected", "UNKNOWN_FIELD", "colour"),
        (3, "rejected", "VALIDATION_FAILED", "body"),
        (4, "rejected", "MISSING_SCOPE", "owner_id"),
        (5, "accepted", "", ""),
        (6, "rejected", "IDEMPOTENCY_MISMATCH", "idempotency_key"),
        (7, "accepted", "", ""),
    ];
    assert_eq!(told, expected);
    assert_eq!((&results[5]["replayed"], &results[0]["replayed"]), (&json!(true), &Value::Null));
    assert_eq!(results[5]["event_id"], results[0]["event_id"]);
    assert_eq!(stack.count("SELECT count(*) FROM webhook_events").await, 2);
}

/// Nobody reads the stream, so it is long soon. What it turns away must not wait for the end of a lease (30 s) that nobody uses:
/// told by what the rows say, whenever that is looked at.
#[tokio::test]
async fn what_the_stream_turns_away_is_due_at_once() {
    let stack = Stack::start().await;
    let key = stack.usual_key().await;
    stack
        .sql(
            "INSERT INTO external_webhooks (webhook_id, owner_id, url, events) \
             SELECT onering.uuid_v7(), 'acme', 'https://receiver.example/hook', '{*}' FROM generate_series(1, 2)",
        )
        .await;
    let items: Vec<Value> = (0..1_000).map(|n| json!({"event_type": "ring.forged", "data": n})).collect();
    for _ in 0..5 {
        assert_eq!(stack.post("/events/batch", &key, &json!(items)).await.status, 202);
    }
    // 4,096 make it long, a push of 1,024 may be under way, and then each has its share of 256.
    let turned_away = 10_000 - (4_096 + 1_024 + 2 * 256);
    let due = "SELECT count(*) FROM webhook_deliveries WHERE queued_until < created_at + interval '20 seconds'";
    eventually(Duration::from_secs(60), "the rest is due", async || match stack.count(due).await {
        due if due >= turned_away => Ok(()),
        due => Err(format!("{due} of at least {turned_away}")),
    })
    .await;
    let all = "SELECT count(*) FROM webhook_deliveries WHERE status = 'PENDING' AND attempt_count = 0";
    assert_eq!(stack.count(all).await, 10_000);
}

#[tokio::test]
async fn an_idempotency_key_for_all_of_a_batch_is_refused_and_not_ignored() {
    let stack = Stack::start().await;
    let key = stack.usual_key().await;
    let items = json!([{"event_type": "ring.forged", "data": 1}]);
    let request = stack.with_key(Method::POST, "/events/batch", &key).header("Idempotency-Key", "k1").json(&items);
    let refused = send(request).await;
    assert_eq!((refused.problem().as_str(), refused.field().as_str()), ("VALIDATION_FAILED", "Idempotency-Key"));
    assert_eq!(refused.quota(), (10_000, 9_999), "as any call that cannot be understood");
    assert_eq!(stack.count("SELECT count(*) FROM webhook_events").await, 0);
}

#[tokio::test]
async fn lines_are_taken_and_a_bad_one_fails_alone() {
    let stack = Stack::start().await;
    let key = stack.usual_key().await;
    let mut body: Vec<u8> =
        (0..1_000).flat_map(|n| format!("{{\"event_type\":\"a\",\"data\":{n}}}\n").into_bytes()).collect();
    let post = |body: Vec<u8>| {
        let request =
            stack.with_key(Method::POST, "/events/batch", &key).header("content-type", "application/x-ndjson");
        send(request.body(body))
    };
    let answer = post(body.clone()).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["accepted"]), (202, &json!(1_000)), "{answer:?}");
    assert_eq!(answer.quota().1, 9_000);
    assert_eq!(stack.count("SELECT count(*) FROM webhook_events").await, 1_000);

    let mixed = post(b"{\"event_type\":\"a\",\"data\":1}\n{broken\n\xff\xfe\n\n".to_vec()).await;
    let results = mixed.json();
    assert_eq!((&results["accepted"], &results["rejected"]), (&json!(1), &json!(2)));
    assert_eq!(
        (&results["results"][1]["code"], &results["results"][2]["code"]),
        (&json!("MALFORMED_JSON"), &json!("MALFORMED_JSON"))
    );

    body.extend_from_slice(b"{}");
    let too_many = post(body).await;
    assert_eq!((too_many.problem().as_str(), too_many.field().as_str()), ("VALIDATION_FAILED", "body"));
    assert_eq!(post(b"\n \n".to_vec()).await.problem(), "VALIDATION_FAILED");
}

#[tokio::test]
async fn a_batch_that_does_not_fit_the_limit_is_refused_whole() {
    let stack = Stack::start().await;
    let key = stack.key(KeySpec { tier: Tier::Free, ..KeySpec::default() }).await;
    let batch = |items: usize| Value::Array(vec![json!({"event_type": "a", "data": 1}); items]);
    let hopeless = stack.post("/events/batch", &key, &batch(101)).await;
    assert_eq!((hopeless.problem().as_str(), hopeless.quota()), ("COST_ABOVE_LIMIT", (100, 100)));
    assert_eq!((hopeless.status.as_u16(), hopeless.header("retry-after")), (422, None), "no wait would help");
    assert_eq!(stack.post("/events/batch", &key, &batch(60)).await.quota(), (100, 40));
    let refused = stack.post("/events/batch", &key, &batch(41)).await;
    assert_eq!((refused.problem().as_str(), refused.quota()), ("RATE_LIMITED", (100, 40)));
    assert!(refused.number("retry-after") >= 1);
    assert_eq!(stack.post("/events/batch", &key, &batch(40)).await.quota(), (100, 0));
    assert_eq!(stack.count("SELECT count(*) FROM webhook_events").await, 100);
}
