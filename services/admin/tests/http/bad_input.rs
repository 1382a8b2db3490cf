//! Bodies that cannot be: 4xx with a problem that names the field, never 500, and nothing is made.

use onering_keys::Role;
use serde_json::{Value, json};

use crate::support::{Answer, World, text};

const KEYS: &str = "/v1/admin/external/keys";

fn bad_keys() -> Vec<(Value, &'static str, &'static str)> {
    let invalid = "VALIDATION_FAILED";
    vec![
        (json!({"tiers": "pro"}), "UNKNOWN_FIELD", "tiers"),
        (json!({"name": 7}), invalid, "name"),
        (json!({"name": ""}), invalid, "name"),
        (json!({"name": "x".repeat(201)}), invalid, "name"),
        (json!({"name": "a\u{0}b"}), invalid, ""),
        (json!({"owner_id": "-"}), invalid, "owner_id"),
        (json!({"owner_id": "a", "owner_user_id": "b"}), invalid, "owner_user_id"),
        (json!({"tier": "gold"}), invalid, "tier"),
        (json!({"tier": "pro", "rate_limit_tier": "free"}), invalid, "rate_limit_tier"),
        (json!({"scopes": "read:rings"}), invalid, "scopes"),
        (json!({"scopes": ["read:rings", "Read Rings"]}), invalid, "scopes[1]"),
        (json!({"scopes": (0..65).map(|n| format!("read:a{n}")).collect::<Vec<_>>()}), invalid, "scopes"),
        (json!({"canary": "yes"}), invalid, "canary"),
        (json!({"canary": true, "canary_enabled": false}), invalid, "canary"),
        (json!({"ip_allowlist": ["10.0.0.0/8", "10.0.0.0/33"]}), invalid, "ip_allowlist[1]"),
        (json!({"ip_allowlist": vec!["10.0.0.1"; 101]}), invalid, "ip_allowlist"),
        (json!({"expires_in_days": 0}), invalid, "expires_in_days"),
        (json!({"expires_in_days": -3}), invalid, "expires_in_days"),
        (json!({"expires_in_days": 1e300}), invalid, "expires_in_days"),
        (json!({"expires_at": "yesterday"}), invalid, "expires_at"),
        (json!({"expires_at": "2001-01-01T00:00:00Z"}), invalid, "expires_at"),
        (json!({"expires_at": "2999-01-01T00:00:00Z", "expires_in_days": 2}), invalid, "expires_in_days"),
        (json!({"rate_limit_override": 0}), invalid, "rate_limit_override"),
        (json!({"rate_limit_override": -1}), invalid, "rate_limit_override"),
        (json!({"rate_limit_override": u64::MAX}), invalid, "rate_limit_override"),
        (json!({"burst_per_second": 0}), invalid, "burst_per_second"),
        (json!({"metadata": [1]}), invalid, "metadata"),
        (json!({"metadata": {"a": "\u{0}"}}), invalid, ""),
        (json!({"metadata": {"a": "x".repeat(4096 - 7)}}), invalid, "metadata"),
        (json!({"metadata": {"a": [f64::MAX]}}), invalid, "metadata"),
        (json!([]), invalid, "body"),
        (json!("key"), invalid, "body"),
        (json!(null), invalid, "body"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_keys_are_refused_by_field() {
    let world = World::new().await;
    let key = world.key(&json!({})).await;
    let path = format!("{KEYS}/{}", text(&key, "key_id"));
    for (body, code, field) in bad_keys() {
        let answers = if body.get("owner_id").is_some() {
            vec![world.post(KEYS, &body).await]
        } else {
            vec![world.post(KEYS, &body).await, world.patch(&path, &body).await]
        };
        for answer in answers {
            let (status, found, named) = answer.refusal();
            assert_eq!((status, found), (422, code), "{body}: {:#}", answer.body);
            assert!(field.is_empty() || named == Some(field), "{body}: {:#}", answer.body);
        }
    }
    let listed = world.get(KEYS).await.expect(200);
    assert_eq!(listed["items"].as_array().unwrap().len(), 1, "nothing else was made");
    assert_eq!(listed["items"][0]["updated_at"], key["updated_at"], "and nothing was changed");
    assert_eq!(world.audit().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_no_json_are_refused_before_anything_else() {
    let world = World::new().await;
    let send = async |body: Vec<u8>, content_type: &str| {
        let request = world.client.post(world.service.url(KEYS)).bearer_auth(world.token(Role::Operator));
        Answer::of(request.header("content-type", content_type).body(body).send().await.unwrap()).await
    };
    let json_type = "application/json";
    assert_eq!(send(b"{".to_vec(), json_type).await.refusal(), (400, "MALFORMED_JSON", None));
    assert_eq!(send(b"".to_vec(), json_type).await.refusal(), (400, "MALFORMED_JSON", None));
    assert_eq!(send(b"{\"name\": \"\xff\"}".to_vec(), json_type).await.refusal(), (400, "MALFORMED_JSON", None));
    let deep = format!("{{\"metadata\": {{\"a\": {}1{}}}}}", "[".repeat(100), "]".repeat(100));
    assert_eq!(send(deep.into_bytes(), json_type).await.status, 422);
    let huge = format!("{{\"name\": \"{}\"}}", "x".repeat(300 * 1024));
    assert_eq!(send(huge.into_bytes(), json_type).await.refusal().0, 413);
    assert_eq!(send(b"{}".to_vec(), "text/plain").await.refusal().0, 415);
    let twice = send(b"{\"name\": \"a\", \"name\": \"b\"}".to_vec(), json_type).await;
    assert_eq!(twice.refusal(), (422, "VALIDATION_FAILED", Some("name")));
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_that_are_none_are_not_there() {
    let world = World::new().await;
    for id in [
        "x",
        "key_",
        "key_81h455vb4pex5vsknk084sn02q",
        "wh_01h455vb4pex5vsknk084sn02q",
        "%00",
        "%ff",
        "key_01H455VB4PEX5VSKNK084SN02Q",
    ] {
        let answer = world.get(&format!("{KEYS}/{id}")).await;
        assert_eq!((answer.status, answer.header("x-error-code")), (404, Some("NOT_FOUND")), "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_that_is_none_is_told_the_form_of_one() {
    let world = World::new().await;
    let rule = "Not a time as RFC 3339 writes it, such as 2026-11-22T10:00:00Z.";
    for none in ["", "yesterday", "2026-11-22", "2026-11-22T10:00", "2026-13-22T10:00:00Z", "2026-11-22T10:00:00Z!"] {
        let answer = world.post(KEYS, &json!({"expires_at": none})).await;
        assert_eq!(answer.refusal(), (422, "VALIDATION_FAILED", Some("expires_at")), "{none}");
        assert_eq!(answer.body["detail"], rule, "{none}");
    }
    // A plus sign that is not percent-encoded is a space.
    let answer = world.get("/v1/admin/audit?from=2026-11-22T10:00:00+02:00").await;
    assert_eq!(answer.refusal(), (400, "INVALID_QUERY", Some("from")));
    assert_eq!(answer.body["detail"], rule);
}
