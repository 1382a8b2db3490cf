//! Filters and pages of keys.

use serde_json::{Value, json};

use crate::support::{World, text};

const KEYS: &str = "/v1/admin/external/keys";

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_filtered_and_paged() {
    let world = World::new().await;
    let mut made = Vec::new();
    for (owner, tier) in [("acme", "free"), ("acme", "pro"), ("umbrella", "pro")] {
        made.push(world.key(&json!({"owner_id": owner, "tier": tier})).await);
    }
    let id = |key: &Value| text(key, "key_id").to_owned();
    world.patch(&format!("{KEYS}/{}/disable", id(&made[0])), &json!({})).await.expect(200);
    let ids = async |query: &str| -> Vec<String> {
        let page = world.get(&format!("{KEYS}?{query}")).await.expect(200);
        page["items"].as_array().unwrap().iter().map(id).collect()
    };
    let [first, second, third] = [0, 1, 2].map(|index| id(&made[index]));
    assert_eq!(ids("").await, [third.clone(), second.clone(), first.clone()], "newest first");
    assert_eq!(ids("owner_id=acme").await, [second.clone(), first.clone()]);
    assert_eq!(ids("owner_user_id=acme&rate_limit_tier=pro").await, std::slice::from_ref(&second));
    assert_eq!(ids("tier=pro").await, [third.clone(), second.clone()]);
    assert_eq!(ids("active=false").await, std::slice::from_ref(&first));
    assert_eq!(ids("active=true").await, [third.clone(), second.clone()]);

    let page = world.get(&format!("{KEYS}?limit=2")).await.expect(200);
    let next = text(&page, "next_cursor").to_owned();
    assert_eq!(ids(&format!("limit=2&cursor={next}")).await, [first]);
    assert_eq!(world.get(&format!("{KEYS}?limit=3")).await.expect(200)["next_cursor"], Value::Null);

    for (query, code, field) in [
        ("limit=0", "INVALID_QUERY", "limit"),
        ("limit=-1", "INVALID_QUERY", "limit"),
        ("limit=201", "INVALID_QUERY", "limit"),
        ("limit=many", "INVALID_QUERY", "limit"),
        ("cursor=nonsense", "INVALID_CURSOR", "cursor"),
        ("tier=gold", "INVALID_QUERY", "tier"),
        ("active=perhaps", "INVALID_QUERY", "active"),
        ("owner_id=-", "INVALID_QUERY", "owner_id"),
        ("page=2", "INVALID_QUERY", "page"),
        ("tier=pro&rate_limit_tier=free", "INVALID_QUERY", "rate_limit_tier"),
        ("owner_id=a&owner_user_id=b", "INVALID_QUERY", "owner_user_id"),
    ] {
        let refused = world.get(&format!("{KEYS}?{query}")).await;
        assert_eq!(refused.refusal(), (400, code, Some(field)), "{query}");
    }
    for other_list in ["/v1/admin/audit", "/v1/admin/partners"] {
        let refused = world.get(&format!("{other_list}?cursor={next}")).await;
        assert_eq!(refused.refusal(), (400, "INVALID_CURSOR", Some("cursor")), "{other_list}");
    }
}
