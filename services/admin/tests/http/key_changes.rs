//! Changing, switching and ending keys; gateways are told each time.

use onering_keys::ApiToken;
use onering_queue::Announcement;
use serde_json::{Value, json};

use crate::support::{World, text};

const KEYS: &str = "/v1/admin/external/keys";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_out_stays_and_null_clears() {
    let world = World::new().await;
    let key = world
        .key(&json!({
            "name": "Acme", "owner_id": "acme", "tier": "pro", "expires_in_days": 9, "ip_allowlist": ["10.0.0.0/8"],
            "rate_limit_override": 50, "burst_per_second": 5, "metadata": {"a": 1}, "scopes": ["read:rings"],
        }))
        .await;
    let path = format!("{KEYS}/{}", text(&key, "key_id"));
    let fields = [
        "name",
        "rate_limit_tier",
        "expires_at",
        "ip_allowlist",
        "rate_limit_override",
        "burst_per_second",
        "metadata",
        "scopes",
        "canary_enabled",
    ];
    let nothing = world.patch(&path, &json!({})).await.expect(200);
    for field in fields {
        assert_eq!(nothing[field], key[field], "{field}");
    }
    let renamed = world.patch(&path, &json!({"name": "Acme 2", "tier": "enterprise"})).await.expect(200);
    assert_eq!((&renamed["name"], &renamed["tier"]), (&json!("Acme 2"), &json!("enterprise")));
    for field in fields.into_iter().skip(2) {
        assert_eq!(renamed[field], key[field], "{field}");
    }
    let cleared = world
        .patch(
            &path,
            &json!({"expires_at": null, "ip_allowlist": null, "rate_limit_override": null, "burst_per_second": null,
                    "metadata": null, "canary": true}),
        )
        .await
        .expect(200);
    for (field, value) in [
        ("expires_at", Value::Null),
        ("ip_allowlist", json!([])),
        ("rate_limit_override", Value::Null),
        ("burst_per_second", Value::Null),
        ("metadata", json!({})),
        ("canary_enabled", json!(true)),
        ("name", json!("Acme 2")),
        ("scopes", json!(["read:rings"])),
    ] {
        assert_eq!(cleared[field], value, "{field}");
    }
    for field in ["name", "scopes", "tier", "canary_enabled"] {
        let refused = world.patch(&path, &json!({ field: null })).await;
        assert_eq!(refused.refusal(), (422, "VALIDATION_FAILED", Some(field)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_disabled_enabled_revoked_and_deleted_and_gateways_are_told() {
    let world = World::new().await;
    let key = world.key(&json!({})).await;
    let told = Announcement::Key(ApiToken::parse(text(&key, "api_key")).unwrap().digest());
    let path = format!("{KEYS}/{}", text(&key, "key_id"));
    let mut listener = world.listen().await;

    let disabled = world.patch(&format!("{path}/disable"), &json!({})).await.expect(200);
    assert_eq!((&disabled["is_active"], &disabled["status"]), (&json!(false), &json!("disabled")));
    assert_eq!(listener.next().await, told);
    let enabled = world.patch(&format!("{path}/enable"), &json!({})).await.expect(200);
    assert_eq!((&enabled["is_active"], &enabled["status"]), (&json!(true), &json!("active")));
    assert_eq!(listener.next().await, told);
    world.patch(&path, &json!({"tier": "pro"})).await.expect(200);
    assert_eq!(listener.next().await, told);

    let revoked = world.post(&format!("{path}/revoke"), &json!({})).await.expect(200);
    assert_eq!(revoked["status"], "revoked");
    assert_eq!(listener.next().await, told);
    let again = world.post(&format!("{path}/revoke"), &json!({})).await.expect(200);
    assert_eq!(again["revoked_at"], revoked["revoked_at"], "once, for good");
    assert_eq!(listener.next().await, told);
    let refused = world.patch(&format!("{path}/enable"), &json!({})).await;
    assert_eq!(refused.refusal(), (409, "CONFLICT", None), "nothing brings it back");

    assert_eq!(world.delete(&path).await.expect(204), Value::Null);
    assert_eq!(listener.next().await, told);
    for gone in [world.get(&path).await, world.delete(&path).await, world.patch(&path, &json!({})).await] {
        assert_eq!(gone.refusal(), (404, "NOT_FOUND", None));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn methods_that_are_not_there_say_which_are() {
    let world = World::new().await;
    let key = world.key(&json!({})).await;
    let answer = world.post(&format!("{KEYS}/{}/disable", text(&key, "key_id")), &json!({})).await;
    assert_eq!(answer.refusal(), (405, "METHOD_NOT_ALLOWED", None));
    assert_eq!(answer.header("allow"), Some("PATCH"));
    let answer = world.put("/v1/admin/audit", &json!({})).await;
    assert_eq!((answer.refusal(), answer.header("allow")), ((405, "METHOD_NOT_ALLOWED", None), Some("GET, HEAD")));
    assert_eq!(world.get("/v1/admin/external/nothing").await.refusal(), (404, "NOT_FOUND", None));
}
