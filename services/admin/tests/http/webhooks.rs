//! Subscriptions of any owner.

use onering_queue::Announcement;
use onering_signing::SigningSecret;
use onering_testkit::eventually;
use serde_json::{Value, json};
use std::time::Duration;

use crate::support::{World, text};

const WEBHOOKS: &str = "/v1/admin/external/webhooks";

fn hook(owner: &str) -> Value {
    json!({"owner_id": owner, "url": "http://127.0.0.1:9/hook", "events": ["ring.*"], "timeout_seconds": 1,
           "headers": {"Authorization": "Bearer hunter2", "X-Team": "gold"}})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_is_made_for_a_partner_and_its_secret_shown_once() {
    let world = World::new().await;
    let answer = world.post(WEBHOOKS, &hook("acme")).await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let made = answer.expect(201);
    let secret = text(&made, "secret");
    assert!(secret.parse::<SigningSecret>().is_ok() && secret.len() == "whsec_".len() + 64);
    for (field, value) in [
        ("owner_id", json!("acme")),
        ("url", json!("http://127.0.0.1:9/hook")),
        ("events", json!(["ring.*"])),
        ("headers", json!({"authorization": "********", "x-team": "gold"})),
        ("timeout_seconds", json!(1)),
        ("max_in_flight", json!(64)),
        ("signature_schemes", json!(["x-webhook", "standard-webhooks"])),
        ("status", json!("active")),
        ("disabled_by", Value::Null),
        ("filter", Value::Null),
    ] {
        assert_eq!(made[field], value, "{field}");
    }
    assert!(made.get("previous_secret_expires_at").is_none());
    let read = world.get(&format!("{WEBHOOKS}/{}", text(&made, "id"))).await.expect(200);
    assert_eq!(read["secret"], Value::Null);
    assert!(!read.to_string().contains(secret) && !read.to_string().contains("hunter2"));
    let row = world.database.connect().await.query_one("SELECT w::text || s::text FROM external_webhooks AS w JOIN external_webhook_secrets AS s USING (webhook_id)", &[]).await.unwrap();
    assert!(!row.get::<_, String>(0).contains(&secret[6..]), "it is sealed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_url_takes_no_credentials_along() {
    let world = World::new().await;
    let made = world.subscription(&hook("acme")).await;
    let path = format!("{WEBHOOKS}/{}", text(&made, "id"));
    let elsewhere = "http://127.0.0.1:9/elsewhere";
    let refused = world.patch(&path, &json!({"url": elsewhere, "description": "x"})).await;
    assert_eq!(refused.refusal(), (422, "VALIDATION_FAILED", Some("headers")));
    let kept = world.get(&path).await.expect(200);
    assert_eq!((&kept["url"], &kept["description"]), (&made["url"], &json!("")), "nothing of it was done");

    world.patch(&path, &json!({"url": made["url"]})).await.expect(200);
    let again = json!({"url": elsewhere, "headers": {"Authorization": "Bearer hunter3"}});
    assert_eq!(world.patch(&path, &again).await.expect(200)["url"], elsewhere);
    let without = world.patch(&path, &json!({"url": made["url"], "headers": {"X-Team": "gold"}})).await.expect(200);
    assert_eq!(without["headers"], json!({"x-team": "gold"}));
    let plain = world.patch(&path, &json!({"url": elsewhere})).await.expect(200);
    assert_eq!(plain["headers"], json!({"x-team": "gold"}), "what anybody may read goes along");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_changed_switched_rotated_and_deleted_and_workers_are_told() {
    let world = World::new().await;
    let made = world.subscription(&hook("acme")).await;
    let path = format!("{WEBHOOKS}/{}", text(&made, "id"));
    let told = Announcement::Subscription(text(&made, "id").parse().unwrap());
    let mut listener = world.listen().await;

    let changed = world.patch(&path, &json!({"description": "x", "filter": {"kind": ["gold"]}})).await.expect(200);
    assert_eq!(listener.next().await, told);
    assert_eq!((&changed["description"], &changed["filter"]), (&json!("x"), &json!({"kind": ["gold"]})));
    assert_eq!((&changed["url"], &changed["timeout_seconds"]), (&made["url"], &made["timeout_seconds"]));
    let cleared = world.patch(&path, &json!({"filter": null, "headers": null})).await.expect(200);
    assert_eq!(listener.next().await, told);
    assert_eq!((&cleared["filter"], &cleared["headers"]), (&Value::Null, &json!({})));

    for (verb, body, status) in [
        ("pause", json!({}), "paused"),
        ("enable", json!({}), "active"),
        ("disable", json!({"reason": "noisy"}), "disabled"),
        ("pause", json!({}), "disabled"),
        ("enable", json!({}), "active"),
    ] {
        let answer = world.patch(&format!("{path}/{verb}"), &body).await.expect(200);
        assert_eq!(answer["status"], status, "{verb}");
        let (by, why) = if status == "disabled" { (json!("operator"), json!("noisy")) } else { Default::default() };
        assert_eq!((&answer["disabled_by"], &answer["disabled_reason"]), (&by, &why), "{verb}");
        assert_eq!(listener.next().await, told);
    }

    let rotated = world.post(&format!("{path}/rotate-secret"), &json!({"overlap_seconds": 60})).await;
    assert_eq!(rotated.header("cache-control"), Some("no-store"));
    let rotated = rotated.expect(200);
    assert_ne!(rotated["secret"], made["secret"]);
    assert!(rotated["previous_secret_expires_at"].is_string());
    assert_eq!(listener.next().await, told);
    let at_once = world.post(&format!("{path}/rotate-secret"), &json!({"overlap_seconds": 0})).await.expect(200);
    assert_eq!(at_once.get("previous_secret_expires_at"), Some(&Value::Null));
    assert_eq!(listener.next().await, told);

    world.delete(&path).await.expect(204);
    assert_eq!(listener.next().await, told);
    assert_eq!(world.get(&path).await.refusal(), (404, "NOT_FOUND", None));
}

#[tokio::test(flavor = "multi_thread")]
async fn public_keys_and_the_rotation_of_any_owner_are_shown() {
    let world = World::new().await;
    let mut body = hook("acme");
    body["signature_schemes"] = json!(["standard-webhooks-v1a"]);
    let made = world.post(WEBHOOKS, &body).await.expect(201);
    let path = format!("{WEBHOOKS}/{}", text(&made, "id"));
    let keys = world.get(&format!("{path}/public-key")).await.expect(200);
    let only = json!({"public_key": made["public_key"], "current": true, "expires_at": null});
    assert_eq!(keys, json!({ "keys": [only] }));
    assert_eq!(world.get(&path).await.expect(200)["rotation"], Value::Null);

    let rotated = world.post(&format!("{path}/rotate-secret"), &json!({})).await.expect(200);
    let keys = world.get(&format!("{path}/public-key")).await.expect(200);
    assert_eq!(keys["keys"][0]["public_key"], rotated["public_key"]);
    assert_eq!(keys["keys"][1]["expires_at"], rotated["previous_secret_expires_at"]);
    let rotation = world.get(&path).await.expect(200)["rotation"].clone();
    assert_eq!(rotation["previous_expires_at"], rotated["previous_secret_expires_at"]);
    assert_eq!((&rotation["confirmed_at"], &rotation["still_on_previous"]), (&Value::Null, &Value::Null));

    let other = world.subscription(&hook("acme")).await;
    let refused = world.get(&format!("{WEBHOOKS}/{}/public-key", text(&other, "id"))).await;
    assert_eq!(refused.refusal(), (409, "CONFLICT", Some("signature_schemes")));
    let unknown = world.get(&format!("{WEBHOOKS}/wh_00000000000000000000000000/public-key")).await;
    assert_eq!(unknown.refusal(), (404, "NOT_FOUND", None));
    let odd = world.post(&format!("{path}/test"), &json!({"sign_with": "previous"})).await;
    assert_eq!(odd.refusal().0, 422);
}

#[tokio::test(flavor = "multi_thread")]
async fn they_are_listed_by_owner_and_status() {
    let world = World::new().await;
    let mine = world.subscription(&hook("acme")).await;
    world.subscription(&hook("umbrella")).await;
    world.patch(&format!("{WEBHOOKS}/{}/pause", text(&mine, "id")), &json!({})).await.expect(200);
    for (query, expected) in
        [("", 2), ("owner_id=acme", 1), ("status=paused", 1), ("owner_id=umbrella&status=paused", 0)]
    {
        let page = world.get(&format!("{WEBHOOKS}?{query}")).await.expect(200);
        assert_eq!(page["items"].as_array().unwrap().len(), expected, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn targets_out_of_bounds_and_bad_fields_are_refused_by_name() {
    let world = World::new().await;
    let made = world.subscription(&hook("acme")).await;
    let path = format!("{WEBHOOKS}/{}", text(&made, "id"));
    for url in
        ["http://169.254.169.254/latest", "https://10.0.0.1/", "https://[::ffff:10.0.0.1]/", "http://0x0a000001/"]
    {
        let mut body = hook("acme");
        body["url"] = json!(url);
        assert_eq!(world.post(WEBHOOKS, &body).await.refusal(), (422, "URL_NOT_ALLOWED", Some("url")), "{url}");
        let patched = world.patch(&path, &json!({ "url": url })).await;
        assert_eq!(patched.refusal(), (422, "URL_NOT_ALLOWED", Some("url")), "{url}");
    }
    for (field, value, named) in [
        ("url", json!("not a url"), "url"),
        ("events", json!([]), "events"),
        ("events", json!(["a b"]), "events[0]"),
        ("timeout_seconds", json!(31), "timeout_seconds"),
        ("max_in_flight", json!(0), "max_in_flight"),
        ("headers", json!({"Host": "x"}), "headers.Host"),
        ("headers", json!({"Authorization": "********"}), "headers.Authorization"),
        ("signature_schemes", json!([]), "signature_schemes"),
        ("filter", json!({"a": []}), "filter.a"),
        ("owner_id", json!("*"), "owner_id"),
        ("colour", json!("gold"), "colour"),
    ] {
        let mut body = hook("acme");
        body[field] = value;
        let refused = world.post(WEBHOOKS, &body).await;
        assert_eq!((refused.refusal().0, refused.refusal().2), (422, Some(named)), "{body}");
    }
    let refused = world.post(&format!("{path}/rotate-secret"), &json!({"overlap_seconds": -1})).await;
    assert_eq!(refused.refusal(), (422, "VALIDATION_FAILED", Some("overlap_seconds")));
    let read = world.get(&path).await.expect(200);
    assert_eq!(read["updated_at"], made["updated_at"], "nothing was changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_is_refused_when_nothing_would_be_sent() {
    let world = World::new().await;
    let made = world.subscription(&hook("acme")).await;
    let path = format!("{WEBHOOKS}/{}", text(&made, "id"));
    let refused = async |why: &str| {
        let answer = world.post(&format!("{path}/test"), &json!({})).await;
        assert_eq!(answer.refusal(), (409, "CONFLICT", Some("status")));
        assert!(text(&answer.body, "detail").contains(why), "{:#}", answer.body);
    };
    world.patch(&format!("{path}/pause"), &json!({})).await.expect(200);
    refused("paused").await;
    world.patch(&format!("{path}/enable"), &json!({})).await.expect(200);
    world.patch("/v1/admin/partners/acme/disable", &json!({})).await.expect(200);
    refused("partner is disabled").await;
    world.patch("/v1/admin/partners/acme/enable", &json!({})).await.expect(200);
    world.put("/v1/admin/flags/ONERING_WEBHOOKS_DELIVERY_ENABLED", &json!({"value": 0})).await.expect(200);
    eventually(Duration::from_secs(10), "delivery is off", async || {
        world.get("/v1/admin/flags").await.body["switches"]["ONERING_WEBHOOKS_DELIVERY_ENABLED"]["value"] == false
    })
    .await;
    refused("switched off").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_answers_with_the_attempt_that_a_worker_wrote_down() {
    let world = World::new().await;
    let mut body = hook("acme");
    body["timeout_seconds"] = json!(30);
    let made = world.subscription(&body).await;
    let path = format!("{WEBHOOKS}/{}/test", text(&made, "id"));
    let connection = world.database.connect().await;
    // What a worker writes when the receiver answers 503.
    let settle = "
        WITH failed AS (
            UPDATE webhook_deliveries SET status = 'RETRYING', attempt_count = 1, last_status_code = 503,
                next_attempt_at = now() + interval '1 minute', queued_until = now() + interval '1 minute'
            WHERE event_type = 'webhook.test' AND attempt_count = 0 RETURNING delivery_id, webhook_id
        )
        INSERT INTO external_delivery_logs (delivery_id, attempt, webhook_id, outcome, status_code, started_at, duration_ms, worker)
        SELECT delivery_id, 1, webhook_id, 'RETRY', 503, now(), 7, 'worker-1' FROM failed";
    let nothing = json!({});
    let settled = eventually(Duration::from_secs(10), "the test delivery is written", async || {
        connection.execute(settle, &[]).await.unwrap() == 1
    });
    let (answer, ()) = tokio::join!(world.post(&path, &nothing), settled);
    let result = answer.expect(200);
    assert_eq!((&result["status"], &result["delivered"]), (&json!("RETRYING"), &json!(false)));
    let attempt = &result["attempt"];
    assert_eq!(
        (&attempt["attempt"], &attempt["status_code"], &attempt["worker"]),
        (&json!(1), &json!(503), &json!("worker-1"))
    );
    let body = connection.query_one("SELECT convert_from(body, 'UTF8') FROM webhook_events", &[]).await.unwrap();
    let envelope: Value = serde_json::from_str(&body.get::<_, String>(0)).unwrap();
    assert_eq!((&envelope["event_id"], &envelope["event_type"]), (&result["event_id"], &json!("webhook.test")));
}
