//! Subscriptions and deliveries of a partner, and that nobody else's exist for it.

use onering_keys::ScopeSet;
use reqwest::Method;
use serde_json::json;

use crate::support::{KeySpec, Stack, send};

#[tokio::test]
async fn a_subscriptions_life() {
    let stack = Stack::start().await;
    let key = stack.usual_key().await;
    let made = stack.post("/webhooks", &key, &json!({"url": "http://127.0.0.1:9/hook", "events": ["ring.*"]})).await;
    assert_eq!((made.status.as_u16(), made.header("cache-control")), (201, Some("no-store")), "{made:?}");
    made.quota();
    let (id, secret) =
        (made.json()["id"].as_str().unwrap().to_owned(), made.json()["secret"].as_str().unwrap().to_owned());
    assert!(id.starts_with("wh_") && secret.starts_with("whsec_"));
    assert_eq!(made.header("location"), Some(format!("/v1/external/webhooks/{id}").as_str()));

    let path = format!("/webhooks/{id}");
    let shown = stack.get(&path, &key).await;
    assert_eq!((shown.status.as_u16(), &shown.json()["secret"]), (200, &json!(null)));
    assert_eq!(stack.get("/webhooks", &key).await.json()["items"][0]["id"], id);
    let patched = send(stack.with_key(Method::PATCH, &path, &key).json(&json!({"description": "mine"}))).await;
    assert_eq!((patched.status.as_u16(), &patched.json()["description"]), (200, &json!("mine")));
    let rotated = send(stack.with_key(Method::POST, &format!("{path}/rotate-secret"), &key)).await;
    assert_eq!((rotated.status.as_u16(), rotated.header("cache-control")), (200, Some("no-store")), "{rotated:?}");
    assert_ne!(rotated.json()["secret"], secret);

    let event = json!({"event_type": "ring.forged", "data": {"n": 1}});
    assert_eq!(stack.post("/events", &key, &event).await.json()["queued"], 1);
    let delivery = stack.get("/deliveries?status=PENDING&limit=1", &key).await.json()["items"][0].clone();
    assert_eq!((&delivery["webhook_id"], &delivery["event_type"]), (&json!(id), &json!("ring.forged")));
    let delivery = format!("/deliveries/{}", delivery["id"].as_str().unwrap());
    assert_eq!(stack.get(&delivery, &key).await.status, 200);
    let early = send(stack.with_key(Method::POST, &format!("{delivery}/resend"), &key)).await;
    assert_eq!((early.problem().as_str(), early.status.as_u16()), ("CONFLICT", 409), "it is not over yet");

    let other = stack.key(KeySpec { owner: "other", ..KeySpec::default() }).await;
    for path in [&path, &delivery] {
        assert_eq!(stack.get(path, &other).await.problem(), "NOT_FOUND");
    }
    assert_eq!(stack.get("/webhooks", &other).await.json()["items"], json!([]));
    assert_eq!(stack.get("/deliveries", &other).await.json()["items"], json!([]));
    assert_eq!(send(stack.with_key(Method::DELETE, &path, &other)).await.problem(), "NOT_FOUND");

    let deleted = send(stack.with_key(Method::DELETE, &path, &key)).await;
    assert_eq!(deleted.status, 204);
    deleted.quota();
    assert_eq!(stack.get(&path, &key).await.problem(), "NOT_FOUND");
    assert_eq!(stack.get(&delivery, &key).await.json()["status"], "CANCELLED");
    assert!(!stack.gateway.logs().contains(&secret));
}

#[tokio::test]
async fn what_is_held_is_listed_by_its_reason_and_counted_with_its_subscription() {
    let stack = Stack::start().await;
    let key = stack.usual_key().await;
    let mut hooks = Vec::new();
    for _ in 0..2 {
        let made = stack.post("/webhooks", &key, &json!({"url": "http://127.0.0.1:9/hook", "events": ["*"]})).await;
        hooks.push(made.json()["id"].as_str().unwrap().to_owned());
    }
    let paused = format!("/webhooks/{}", hooks[0]);
    let patched = send(stack.with_key(Method::PATCH, &paused, &key).json(&json!({"status": "paused"}))).await;
    assert_eq!(patched.status, 200);
    for _ in 0..3 {
        stack.post("/events", &key, &json!({"event_type": "ring.forged", "data": 1})).await;
    }
    let listed = async |query: &str| {
        let page = stack.get(&format!("/deliveries?{query}"), &key).await.json();
        let items = page["items"].as_array().unwrap().clone();
        items.into_iter().map(|item| (item["webhook_id"].clone(), item["held_reason"].clone())).collect::<Vec<_>>()
    };
    let held = (json!(hooks[0]), json!("SUBSCRIPTION_PAUSED"));
    assert_eq!(listed("held=true").await, vec![held.clone(); 3]);
    assert_eq!(listed("held_reason=SUBSCRIPTION_PAUSED&limit=2").await, vec![held; 2]);
    assert_eq!(listed("held_reason=SUBSCRIPTION_DISABLED").await, []);
    assert_eq!(listed("held=false").await, vec![(json!(hooks[1]), json!(null)); 3]);
    assert_eq!(stack.get("/deliveries?held=maybe", &key).await.problem(), "INVALID_QUERY");
    assert_eq!(stack.get("/deliveries?held_reason=NO", &key).await.problem(), "INVALID_QUERY");

    let shown = async |id: &str| stack.get(&format!("/webhooks/{id}"), &key).await.json()["waiting"].clone();
    assert_eq!(shown(&hooks[0]).await, json!({"pending": 3, "retrying": 0, "held": 3}));
    assert_eq!(shown(&hooks[1]).await, json!({"pending": 3, "retrying": 0, "held": 0}));
    let list = stack.get("/webhooks", &key).await.json();
    assert_eq!(list["items"][0].get("waiting"), None, "a list does not count");
}

#[tokio::test]
async fn public_keys_are_for_their_owner_and_for_who_chose_them() {
    let stack = Stack::start().await;
    let key = stack.usual_key().await;
    let body =
        json!({"url": "http://127.0.0.1:9/hook", "events": ["*"], "signature_schemes": ["standard-webhooks-v1a"]});
    let made = stack.post("/webhooks", &key, &body).await.json();
    let path = format!("/webhooks/{}", made["id"].as_str().unwrap());
    let keys = stack.get(&format!("{path}/public-key"), &key).await;
    assert_eq!(keys.status, 200, "{keys:?}");
    keys.quota();
    let only = json!({"public_key": made["public_key"], "current": true, "expires_at": null});
    assert_eq!(keys.json(), json!({ "keys": [only] }));
    assert!(made["public_key"].as_str().unwrap().starts_with("whpk_"));

    let other = stack.key(KeySpec { owner: "other", ..KeySpec::default() }).await;
    assert_eq!(stack.get(&format!("{path}/public-key"), &other).await.problem(), "NOT_FOUND");
    let plain =
        send(stack.with_key(Method::PATCH, &path, &key).json(&json!({"signature_schemes": ["x-webhook"]}))).await;
    assert_eq!(plain.status, 200);
    let refused = stack.get(&format!("{path}/public-key"), &key).await;
    assert_eq!((refused.problem().as_str(), refused.json()["field"].as_str()), ("CONFLICT", Some("signature_schemes")));
    assert_eq!(stack.post(&format!("{path}/public-key"), &key, &json!({})).await.status, 405);
    let odd = stack.post(&format!("{path}/test"), &key, &json!({"sign_with": "old"})).await;
    assert_eq!(odd.status, 422, "{odd:?}");
}

#[tokio::test]
async fn a_partner_switches_on_what_the_platform_disabled_but_not_what_an_operator_did() {
    let stack = Stack::start().await;
    let key = stack.usual_key().await;
    let made = stack.post("/webhooks", &key, &json!({"url": "http://127.0.0.1:9/hook", "events": ["*"]})).await.json();
    assert_eq!((&made["status"], made.get("disabled_by")), (&json!("active"), Some(&json!(null))));
    let path = format!("/webhooks/{}", made["id"].as_str().unwrap());
    for (by, status) in [("platform", 200), ("operator", 409)] {
        let disable = format!(
            "UPDATE external_webhooks SET status = 'disabled', disabled_by = '{by}', disabled_reason = 'x', disabled_at = now()"
        );
        stack.sql(&disable).await;
        assert_eq!(stack.get(&path, &key).await.json()["disabled_by"], by);
        let answer = send(stack.with_key(Method::PATCH, &path, &key).json(&json!({"status": "active"}))).await;
        assert_eq!(answer.status, status, "{answer:?}");
        if status == 409 {
            let body = answer.json();
            assert_eq!((&body["code"], &body["field"]), (&json!("CONFLICT"), &json!("status")));
            assert!(body["recovery"].as_str().unwrap().contains("Ask your contact"), "{body:#}");
        }
        let now = if status == 200 { "active" } else { "disabled" };
        assert_eq!(stack.get(&path, &key).await.json()["status"], now);
    }
}

#[tokio::test]
async fn settled_deliveries_are_sent_again() {
    let stack = Stack::start().await;
    let key = stack.usual_key().await;
    stack.post("/webhooks", &key, &json!({"url": "http://127.0.0.1:9/hook", "events": ["*"]})).await;
    stack.post("/events", &key, &json!({"event_type": "ring.forged", "data": 1})).await;
    stack
        .sql("UPDATE webhook_deliveries SET status = 'DELIVERED', attempt_count = 1, queued_until = NULL, delivered_at = now(), delivery_latency_ms = 5, last_status_code = 200, settled_at = now()")
        .await;
    let id = stack.get("/deliveries", &key).await.json()["items"][0]["id"].as_str().unwrap().to_owned();
    let resent = send(stack.with_key(Method::POST, &format!("/deliveries/{id}/resend"), &key)).await;
    assert_eq!((resent.status.as_u16(), &resent.json()["original_delivery_id"]), (202, &json!(id)), "{resent:?}");
    assert_eq!(stack.get("/deliveries?status=PENDING", &key).await.json()["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn scopes_and_bad_input() {
    let stack = Stack::start().await;
    let key = stack.usual_key().await;
    let reader = stack.key(KeySpec { scopes: ScopeSet::parse(["read:webhooks"]).unwrap(), ..KeySpec::default() }).await;
    let good = json!({"url": "http://127.0.0.1:9/hook", "events": ["*"]});
    assert_eq!(stack.post("/webhooks", &reader, &good).await.problem(), "MISSING_SCOPE");
    assert_eq!(stack.get("/webhooks", &reader).await.status, 200);
    let bodies = [
        (json!({"url": "http://127.0.0.1:9", "events": ["*"], "secret": "x"}), "UNKNOWN_FIELD", "secret"),
        (json!({"url": "http://127.0.0.1:9"}), "VALIDATION_FAILED", "events"),
        (json!({"url": 7, "events": ["*"]}), "VALIDATION_FAILED", "url"),
        (json!({"url": "nowhere", "events": ["*"]}), "VALIDATION_FAILED", "url"),
        (json!({"url": "http://10.0.0.1/hook", "events": ["*"]}), "URL_NOT_ALLOWED", "url"),
        (
            json!({"url": "http://127.0.0.1:9", "events": ["*"], "timeout_seconds": 0}),
            "VALIDATION_FAILED",
            "timeout_seconds",
        ),
        (json!({"url": "http://127.0.0.1:9", "events": []}), "VALIDATION_FAILED", "events"),
    ];
    for (body, code, field) in bodies {
        let refused = stack.post("/webhooks", &key, &body).await;
        assert_eq!((refused.problem().as_str(), refused.field().as_str()), (code, field), "{body}");
        refused.quota();
    }
    let queries = [
        ("limit=-1", "INVALID_QUERY", "limit"),
        ("limit=201", "INVALID_QUERY", "limit"),
        ("cursor=nonsense", "INVALID_CURSOR", "cursor"),
        ("colour=gold", "INVALID_QUERY", "colour"),
        ("status=LOST", "INVALID_QUERY", "status"),
    ];
    for (query, code, field) in queries {
        for path in ["/deliveries", "/webhooks"] {
            let refused = stack.get(&format!("{path}?{query}"), &key).await;
            assert_eq!((refused.problem().as_str(), refused.field().as_str()), (code, field), "{path} {query}");
            assert_eq!(refused.status, 400);
            refused.quota();
        }
    }
    for path in ["/webhooks/7", "/deliveries/wh_01h455vb4pex5vsknk084sn02q", "/webhooks/wh_01h455vb4pex5vsknk084sn02q"]
    {
        assert_eq!(stack.get(path, &key).await.problem(), "NOT_FOUND", "{path}");
    }
}
