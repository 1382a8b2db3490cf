//! Blocking keys and addresses.

use onering_keys::ApiToken;
use onering_queue::Announcement;
use onering_store::blocklist::active_cidrs;
use serde_json::{Value, json};

use crate::support::{World, text};

const BLOCKLIST: &str = "/v1/admin/external/blocklist";

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_blocked_and_free_again() {
    let world = World::new().await;
    let key = world.key(&json!({})).await;
    let told = Announcement::Key(ApiToken::parse(text(&key, "api_key")).unwrap().digest());
    let of_key = format!("/v1/admin/external/keys/{}", text(&key, "key_id"));
    let mut listener = world.listen().await;
    let entry = world.post(BLOCKLIST, &json!({"key_id": key["key_id"], "reason": "leaked"})).await.expect(201);
    assert_eq!((&entry["kind"], &entry["cidr"], &entry["reason"]), (&json!("key"), &Value::Null, &json!("leaked")));
    assert_eq!(listener.next().await, told);
    assert_eq!(world.get(&of_key).await.expect(200)["status"], "blocked");
    world.delete(&format!("{BLOCKLIST}/{}", text(&entry, "id"))).await.expect(204);
    assert_eq!(listener.next().await, told);
    assert_eq!(world.get(&of_key).await.expect(200)["status"], "active");
    let gone = world.delete(&format!("{BLOCKLIST}/{}", text(&entry, "id"))).await;
    assert_eq!(gone.refusal(), (404, "NOT_FOUND", None));
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_are_blocked_for_a_time() {
    let world = World::new().await;
    let mut listener = world.listen().await;
    let entry = world.post(BLOCKLIST, &json!({"cidr": "203.0.113.7/24", "expires_in_seconds": 60})).await.expect(201);
    assert_eq!((&entry["cidr"], &entry["kind"]), (&json!("203.0.113.0/24"), &json!("cidr")));
    assert_eq!(listener.next().await, Announcement::Blocklist);
    let active = active_cidrs(&mut world.connection().await).await.unwrap();
    assert_eq!(active.len(), 1);
    assert!(active[0].until.is_some());

    let connection = world.database.connect().await;
    connection.execute("UPDATE external_api_blocklist SET expires_at = now()", &[]).await.unwrap();
    let listed = async |query: &str| {
        let page = world.get(&format!("{BLOCKLIST}?{query}")).await.expect(200);
        page["items"].as_array().unwrap().len()
    };
    assert_eq!((listed("").await, listed("include_expired=true").await), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_target_and_one_end() {
    let world = World::new().await;
    let key = world.key(&json!({})).await;
    for (body, field) in [
        (json!({}), "key_id"),
        (json!({"key_id": key["key_id"], "cidr": "10.0.0.0/8"}), "cidr"),
        (json!({"key_id": "key_01h455vb4pex5vsknk084sn02q"}), "key_id"),
        (json!({"key_id": "wh_01h455vb4pex5vsknk084sn02q"}), "key_id"),
        (json!({"cidr": "10.0.0.0/33"}), "cidr"),
        (json!({"cidr": "10.0.0.0/8", "expires_in_seconds": 0}), "expires_in_seconds"),
        (json!({"cidr": "10.0.0.0/8", "expires_in_seconds": i64::MAX}), "expires_in_seconds"),
        (json!({"cidr": "10.0.0.0/8", "expires_at": "2001-01-01T00:00:00Z"}), "expires_at"),
        (
            json!({"cidr": "10.0.0.0/8", "expires_at": "2999-01-01T00:00:00Z", "expires_in_seconds": 5}),
            "expires_in_seconds",
        ),
    ] {
        let refused = world.post(BLOCKLIST, &body).await;
        assert_eq!(refused.refusal(), (422, "VALIDATION_FAILED", Some(field)), "{body}");
    }
}
