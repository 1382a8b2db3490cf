//! Publishing one event.

use onering_keys::{Scope, ScopeSet};
use onering_testkit::{TcpProxy, eventually};
use reqwest::Method;
use serde_json::json;

use crate::support::{KeySpec, SOON, Stack, migrated_database, send};

#[tokio::test]
async fn a_key_sees_itself_and_an_event_is_stored() {
    let stack = Stack::start().await;
    let key = stack.usual_key().await;
    let me = stack.get("/me", &key).await;
    assert_eq!(me.status, 200, "{me:?}");
    assert_eq!(me.quota(), (10_000, 9_999));
    let body = me.json();
    assert_eq!(body["key_id"], key.id.to_string());
    assert_eq!(
        (&body["owner_id"], &body["rate_limit_tier"], &body["canary_enabled"]),
        (&json!("acme"), &json!("enterprise"), &json!(false))
    );
    assert_eq!((&body["rate_limit_limit"], &body["rate_limit_remaining"]), (&json!(10_000), &json!(9_999)));
    assert_eq!(body["rate_limit_reset"], me.number("x-ratelimit-reset"));
    assert!(body["scopes"].as_array().unwrap().contains(&json!("write:events")));

    let event = stack.post("/events", &key, &json!({"event_type": "ring.forged", "data": {"n": 1.50}})).await;
    assert_eq!(event.status, 202, "{event:?}");
    assert_eq!(event.quota(), (10_000, 9_998));
    let body = event.json();
    assert_eq!((&body["event_type"], &body["queued"]), (&json!("ring.forged"), &json!(0)));
    assert!(body["event_id"].as_str().unwrap().starts_with("evt_"));
    assert!(body["created_at"].as_str().unwrap().ends_with('Z'));
    let stored = format!(
        "SELECT count(*) FROM webhook_events WHERE owner_id = 'acme' AND convert_from(body, 'UTF8') LIKE '%{}%{{\"n\":1.5}}}}'",
        body["event_id"].as_str().unwrap()
    );
    assert_eq!(stack.count(&stored).await, 1);
}

#[tokio::test]
async fn the_same_idempotency_key_makes_one_event() {
    let stack = Stack::start().await;
    let (key, other) = (stack.usual_key().await, stack.key(KeySpec { owner: "other", ..KeySpec::default() }).await);
    let body = json!({"event_type": "ring.forged", "data": {"n": 1}});
    let publish =
        |key, body| send(stack.with_key(Method::POST, "/events", key).header("Idempotency-Key", "order-7").json(body));
    // At once, so that several meet in one commit.
    let answers = futures_util::future::join_all((0..8).map(|_| publish(&key, &body))).await;
    let replayed = answers.iter().filter(|answer| answer.header("idempotent-replayed") == Some("true")).count();
    assert_eq!(replayed, 7);
    for answer in &answers {
        assert_eq!((answer.status.as_u16(), answer.json()), (202, answers[0].json()));
    }
    assert_eq!(stack.count("SELECT count(*) FROM webhook_events").await, 1);

    let different = json!({"event_type": "ring.forged", "data": {"n": 2}});
    let mismatch = publish(&key, &different).await;
    assert_eq!((mismatch.problem().as_str(), mismatch.field().as_str()), ("IDEMPOTENCY_MISMATCH", "Idempotency-Key"));
    mismatch.quota();
    // Keys of different partners never meet.
    assert_eq!(publish(&other, &body).await.header("idempotent-replayed"), None);
    assert_eq!(stack.count("SELECT count(*) FROM webhook_events").await, 2);
}

#[tokio::test]
async fn only_a_service_key_publishes_for_others() {
    let stack = Stack::start().await;
    let key = stack.usual_key().await;
    let scopes = ScopeSet::parse([Scope::WRITE_EVENTS, Scope::PUBLISH_ANY]).unwrap();
    let product = stack.key(KeySpec { owner: "product", scopes, ..KeySpec::default() }).await;
    let for_owner = |owner: &str| json!({"event_type": "ring.forged", "data": 1, "owner_id": owner});
    assert_eq!(stack.post("/events", &key, &for_owner("acme")).await.status, 202);
    for owner in ["other", "*"] {
        let refused = stack.post("/events", &key, &for_owner(owner)).await;
        assert_eq!((refused.problem().as_str(), refused.status.as_u16()), ("MISSING_SCOPE", 403));
        assert!(refused.json()["detail"].as_str().unwrap().contains("publish:any"));
        assert_eq!(stack.post("/events", &product, &for_owner(owner)).await.status, 202, "{owner}");
    }
    assert_eq!(stack.count("SELECT count(*) FROM webhook_events WHERE owner_id IN ('other', '*')").await, 2);
}

#[tokio::test]
async fn a_deliverys_way_leads_through_the_stream_or_waits_while_delivery_is_off() {
    let stack = Stack::start().await;
    let key = stack.usual_key().await;
    stack
        .sql("INSERT INTO external_webhooks (webhook_id, owner_id, url, events) VALUES ('01890000-0000-7000-8000-000000000001', 'acme', 'https://receiver.example/hook', '{ring.*}')")
        .await;
    let event = json!({"event_type": "ring.forged", "data": {"n": 1}});
    let answer = stack.post("/events", &key, &event).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["queued"]), (202, &json!(1)), "{answer:?}");
    let deliveries = stack.queue.deliveries();
    eventually(SOON, "the delivery is in the stream", async || deliveries.len().await.unwrap() == 1).await;
    stack.set_switch("ONERING_WEBHOOKS_DELIVERY_ENABLED", "0");
    let held = "SELECT count(*) FROM webhook_deliveries WHERE held_reason = 'DELIVERY_OFF' AND queued_until IS NULL";
    eventually(SOON, "deliveries are held", async || {
        assert_eq!(stack.post("/events", &key, &event).await.json()["queued"], 1);
        stack.count(held).await > 0
    })
    .await;
}

#[tokio::test]
async fn broken_connections_cost_the_caller_nothing() {
    let stack = Stack::start().await;
    let key = stack.usual_key().await;
    let event = json!({"event_type": "ring.forged", "data": 1});
    assert_eq!(stack.post("/events", &key, &event).await.status, 202);
    // Every connection of the gateway breaks, as when Postgres restarts.
    stack.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()").await;
    for _ in 0..4 {
        let answer = stack.post("/events", &key, &event).await;
        assert_eq!(answer.status, 202, "{answer:?}");
    }
    assert_eq!(stack.count("SELECT count(*) FROM webhook_events").await, 5);
}

#[tokio::test]
async fn a_postgres_that_is_away_is_said_so_and_found_again() {
    let database = migrated_database().await;
    let port = database.url().parse::<url::Url>().unwrap().port().unwrap();
    let network = TcpProxy::start(port).await;
    let through = network.url(database.url());
    let stack = Stack::start_on(database, |_, _| vec![("DATABASE_URL", through)], "").await;
    let key = stack.usual_key().await;
    let event = json!({"event_type": "ring.forged", "data": 1});
    assert_eq!(stack.post("/events", &key, &event).await.status, 202);
    network.cut();
    // The key is still remembered, so the limits hold and say so.
    let refused = stack.post("/events", &key, &event).await;
    assert_eq!((refused.problem().as_str(), refused.status.as_u16()), ("DEPENDENCY_UNAVAILABLE", 503));
    assert_eq!((refused.number("retry-after"), refused.quota().1), (1, 9_998));
    let batch = stack.post("/events/batch", &key, &json!([event, event])).await;
    assert_eq!(batch.problem(), "DEPENDENCY_UNAVAILABLE", "a batch of which nothing was written failed as a whole");
    // A key that is not remembered is nobody's for now, and not a wrong one.
    let unknown = stack.usual_key().await;
    assert_eq!(stack.get("/me", &unknown).await.problem(), "DEPENDENCY_UNAVAILABLE");
    network.restore();
    eventually(SOON, "events are taken again", async || stack.post("/events", &key, &event).await.status == 202).await;
    assert_eq!(stack.get("/me", &unknown).await.status, 200);
}

#[tokio::test]
async fn an_event_that_postgres_refuses_fails_alone() {
    let stack = Stack::start().await;
    let key = stack.usual_key().await;
    stack.sql("ALTER TABLE webhook_events ADD CONSTRAINT poison CHECK (event_type <> 'poison')").await;
    let event = |event_type: &str| json!({"event_type": event_type, "data": 1});
    let batch = json!([event("a"), event("poison"), event("b")]);
    let answer = stack.post("/events/batch", &key, &batch).await.json();
    assert_eq!((&answer["accepted"], &answer["results"][1]["code"]), (&json!(2), &json!("INTERNAL")), "{answer}");
    assert_eq!(stack.count("SELECT count(*) FROM webhook_events WHERE event_type IN ('a', 'b')").await, 2);
    let alone = stack.post("/events", &key, &event("poison")).await;
    assert_eq!(alone.problem(), "INTERNAL");
    assert!(!String::from_utf8_lossy(&alone.body).contains("webhook_events"), "nothing of the inside is shown");
}
