//! Two live secrets during the grace, and what a rotation keeps.

use onering_keys::{ApiToken, TokenDigest};
use onering_queue::Announcement;
use onering_store::api_keys;
use serde_json::{Value, json};

use crate::support::{World, text};

const KEYS: &str = "/v1/admin/external/keys";

fn digest(token: &str) -> TokenDigest {
    ApiToken::parse(token).unwrap().digest()
}

/// Of these tokens' secrets: whether each opens a key now.
async fn open(world: &World, tokens: &[&str]) -> Vec<bool> {
    let digests: Vec<TokenDigest> = tokens.iter().map(|token| digest(token)).collect();
    let found = api_keys::find_by_digests(&mut world.connection().await, &digests).await.unwrap();
    let now = onering_clock::Clock::system().now();
    let live = |digest: &TokenDigest| {
        let mut of_digest = found.iter().filter(|found| found.digest == *digest);
        of_digest.any(|found| found.record.as_ref().unwrap().secret_expires_at.is_none_or(|end| end > now))
    };
    digests.iter().map(live).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn both_secrets_open_the_key_during_the_grace_and_the_rest_is_kept() {
    let world = World::new().await;
    let key = world
        .key(&json!({"owner_id": "acme", "tier": "pro", "ip_allowlist": ["10.0.0.0/8"], "expires_in_days": 9}))
        .await;
    let (first, path) = (text(&key, "api_key").to_owned(), format!("{KEYS}/{}/rotate", text(&key, "key_id")));

    let mut listener = world.listen().await;
    let answer = world.post(&path, &json!({"grace_seconds": 3600})).await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let rotated = answer.expect(200);
    let second = text(&rotated, "api_key").to_owned();
    assert_ne!(first, second);
    assert_eq!(open(&world, &[&first, &second]).await, [true, true]);
    assert_eq!(listener.next().await, Announcement::Key(digest(&first)));
    for kept in ["key_id", "ip_allowlist", "expires_at", "rate_limit_tier", "scopes", "metadata", "created_at"] {
        assert_eq!(rotated[kept], key[kept], "{kept}");
    }
    assert_eq!(rotated["secrets"].as_array().unwrap().len(), 2);
    assert_eq!(rotated["secrets"][1]["expires_at"], rotated["previous_secret_expires_at"]);
    assert!(rotated["rotated_at"].is_string() && rotated["previous_key_id"] == Value::Null);

    // A third secret ends the first; without grace the second as well. No body at all means a day.
    let no_body = world.client.post(world.service.url(&path)).bearer_auth(world.token(onering_keys::Role::Operator));
    let third: Value = no_body.send().await.unwrap().json().await.unwrap();
    assert_eq!(open(&world, &[&first, &second, text(&third, "api_key")]).await, [false, true, true]);
    let untold = json!({"grace_seconds": 0, "expires_at": null, "expires_in_days": null, "ip_allowlist": null});
    let fourth = world.post(&path, &untold).await.expect(200);
    let tokens = [second.as_str(), text(&third, "api_key"), text(&fourth, "api_key")];
    assert_eq!(open(&world, &tokens).await, [false, false, true]);
    for kept in ["expires_at", "ip_allowlist"] {
        assert_eq!(fourth[kept], key[kept], "null says nothing of {kept}");
    }
    let fifth = world.post(&path, &json!({"ip_allowlist": []})).await.expect(200);
    assert_eq!(
        (&fifth["ip_allowlist"], &fifth["expires_at"]),
        (&json!([]), &key["expires_at"]),
        "an empty list is one"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_may_replace_the_key() {
    let world = World::new().await;
    let key = world.key(&json!({"name": "Acme", "owner_id": "acme", "tier": "pro", "burst_per_second": 3})).await;
    let path = format!("{KEYS}/{}/rotate", text(&key, "key_id"));
    let rotated =
        world.post(&path, &json!({"preserve_key_id": false, "ip_allowlist": ["10.0.0.0/8"]})).await.expect(200);
    assert_ne!(rotated["key_id"], key["key_id"]);
    assert_eq!(rotated["previous_key_id"], key["key_id"]);
    assert_eq!(rotated["ip_allowlist"], json!(["10.0.0.0/8"]));
    for kept in ["name", "owner_id", "rate_limit_tier", "burst_per_second", "scopes"] {
        assert_eq!(rotated[kept], key[kept], "{kept}");
    }
    let old = world.get(&format!("{KEYS}/{}", text(&key, "key_id"))).await.expect(200);
    assert_eq!(old["expires_at"], rotated["previous_secret_expires_at"], "the old one expires after the grace");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_is_not_rotated_and_a_bad_grace_changes_nothing() {
    let world = World::new().await;
    let key = world.key(&json!({})).await;
    let path = format!("{KEYS}/{}", text(&key, "key_id"));
    for grace in [json!(-1), json!(2_592_001), json!(99_999_999_999_u64)] {
        let refused = world.post(&format!("{path}/rotate"), &json!({"grace_seconds": grace})).await;
        assert_eq!(refused.refusal(), (422, "VALIDATION_FAILED", Some("grace_seconds")));
    }
    assert_eq!(world.get(&path).await.expect(200)["secrets"].as_array().unwrap().len(), 1);
    world.post(&format!("{path}/revoke"), &json!({})).await.expect(200);
    assert_eq!(world.post(&format!("{path}/rotate"), &json!({})).await.refusal(), (409, "CONFLICT", None));
}
