//! Partners.

use onering_queue::Announcement;
use serde_json::{Value, json};

use crate::support::World;

const PARTNERS: &str = "/v1/admin/partners";

#[tokio::test(flavor = "multi_thread")]
async fn a_partner_is_named_changed_disabled_and_enabled_and_everybody_is_told() {
    let world = World::new().await;
    let mut listener = world.listen().await;
    let mut told = async || {
        assert_eq!(listener.next().await, Announcement::Keys);
        assert_eq!(listener.next().await, Announcement::Subscriptions);
    };
    let made = world.post(PARTNERS, &json!({"owner_id": "acme", "metadata": {"crm": 7}})).await.expect(201);
    told().await;
    for (field, value) in [
        ("owner_id", json!("acme")),
        ("name", json!("acme")),
        ("status", json!("active")),
        ("canary", json!(false)),
        ("metadata", json!({"crm": 7})),
    ] {
        assert_eq!(made[field], value, "{field}");
    }
    let taken = world.post(PARTNERS, &json!({"owner_id": "acme", "name": "Other"})).await;
    assert_eq!(taken.refusal(), (409, "CONFLICT", None));
    let path = format!("{PARTNERS}/acme");
    let changed = world.patch(&path, &json!({"canary": true})).await.expect(200);
    told().await;
    assert_eq!(
        (&changed["canary"], &changed["name"], &changed["metadata"]),
        (&json!(true), &json!("acme"), &json!({"crm": 7}))
    );
    assert_eq!(world.patch(&path, &json!({"metadata": null})).await.expect(200)["metadata"], json!({}));
    told().await;
    assert_eq!(world.patch(&format!("{path}/disable"), &json!({})).await.expect(200)["status"], "disabled");
    told().await;
    assert_eq!(world.get(&path).await.expect(200)["status"], "disabled");
    assert_eq!(world.patch(&format!("{path}/enable"), &json!({})).await.expect(200)["status"], "active");
    told().await;
    for missing in
        [world.get(&format!("{PARTNERS}/nobody")).await, world.patch(&format!("{PARTNERS}/nobody"), &json!({})).await]
    {
        assert_eq!(missing.refusal(), (404, "NOT_FOUND", None));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_with_their_own_characters_survive_the_path_and_the_pages() {
    let world = World::new().await;
    for owner in ["a:b@c.d-e_f", "Zeta"] {
        world.post(PARTNERS, &json!({"owner_id": owner})).await.expect(201);
    }
    let encoded = world.get(&format!("{PARTNERS}/a%3Ab%40c.d-e_f")).await.expect(200);
    assert_eq!(encoded["owner_id"], "a:b@c.d-e_f");
    let first = world.get(&format!("{PARTNERS}?limit=2")).await.expect(200);
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = world.get(&format!("{PARTNERS}?limit=2&cursor={cursor}")).await.expect(200);
    let mut owners: Vec<&Value> = [&first, &second]
        .into_iter()
        .flat_map(|page| page["items"].as_array().unwrap())
        .map(|partner| &partner["owner_id"])
        .collect();
    owners.sort_by_key(|owner| owner.to_string());
    assert_eq!(owners, ["Zeta", "a:b@c.d-e_f", "default"]);
    assert_eq!(second["next_cursor"], Value::Null);
}
