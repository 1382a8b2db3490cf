//! Making keys and looking at them.

use onering_keys::{ApiToken, ScopeSet};
use onering_store::api_keys;
use serde_json::{Value, json};

use crate::support::{World, text};

const KEYS: &str = "/v1/admin/external/keys";

#[tokio::test(flavor = "multi_thread")]
async fn a_key_with_nothing_said_has_the_defaults_and_shows_its_token_once() {
    let world = World::new().await;
    let answer = world.post(KEYS, &json!({})).await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let key = answer.expect(201);
    for (field, value) in [
        ("owner_id", json!("default")),
        ("owner_user_id", json!("default")),
        ("rate_limit_tier", json!("free")),
        ("tier", json!("free")),
        ("rate_limit", json!(100)),
        ("canary_enabled", json!(false)),
        ("is_active", json!(true)),
        ("status", json!("active")),
        ("ip_allowlist", json!([])),
        ("expires_at", json!(null)),
        ("metadata", json!({})),
        ("scopes", json!(ScopeSet::all_partner())),
    ] {
        assert_eq!(key[field], value, "{field}");
    }
    assert!(!key["scopes"].as_array().unwrap().contains(&json!("publish:any")));
    assert!(text(&key, "created_at").ends_with('Z') && text(&key, "created_at").len() == 24, "{key:#}");
    assert!(text(&key, "created_by").starts_with("operator (adm_"));
    let token = text(&key, "api_key");
    assert!(ApiToken::parse(token).is_ok());
    assert_eq!((text(&key, "secret"), text(&key, "full_key")), (token, token));

    let path = format!("{KEYS}/{}", text(&key, "key_id"));
    let again = world.get(&path).await.expect(200);
    assert_eq!(again["key_id"], key["key_id"]);
    assert_eq!(again["secrets"][0]["hint"], token[..8]);
    for gone in ["api_key", "secret", "full_key"] {
        assert_eq!(again[gone], Value::Null);
    }
    assert!(!again.to_string().contains(token));

    // What is stored opens with the token's digest, and is not the token.
    let digest = ApiToken::parse(token).unwrap().digest();
    let found = api_keys::find_by_digests(&mut world.connection().await, &[digest]).await.unwrap();
    assert_eq!(found.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_field_and_every_alias_is_taken() {
    let world = World::new().await;
    let key = world
        .key(&json!({
            "name": "Acme", "owner_user_id": "acme", "rate_limit_tier": "pro", "canary": true,
            "scopes": ["write:events", "read:rings", "custom:thing"], "ip_allowlist": ["203.0.113.7/24", "::1"],
            "expires_in_days": 30, "rate_limit_override": 5000, "burst_per_second": 20, "metadata": {"crm": 7},
        }))
        .await;
    for (field, value) in [
        ("name", json!("Acme")),
        ("owner_id", json!("acme")),
        ("rate_limit_tier", json!("pro")),
        ("canary_enabled", json!(true)),
        ("scopes", json!(["custom:thing", "read:rings", "write:events"])),
        ("ip_allowlist", json!(["203.0.113.0/24", "::1/128"])),
        ("rate_limit_override", json!(5000)),
        ("rate_limit", json!(10)),
        ("burst_per_second", json!(20)),
        ("metadata", json!({"crm": 7})),
    ] {
        assert_eq!(key[field], value, "{field}");
    }
    assert!(key["expires_at"].is_string());
    let other = world
        .key(&json!({
            "owner_id": "acme", "owner_user_id": "acme", "tier": "enterprise", "canary_enabled": false,
            "expires_at": "2999-01-02T03:04:05+01:00",
        }))
        .await;
    assert_eq!((&other["rate_limit"], &other["canary_enabled"]), (&json!(10_000), &json!(false)));
    assert_eq!(other["expires_at"], "2999-01-02T02:04:05.000Z");
    assert_eq!(world.get("/v1/admin/partners/acme").await.expect(200)["status"], "active", "its partner was made");
}
