//! The catalogue.

use serde_json::json;

use crate::support::World;

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_is_written_kept_and_changed() {
    let world = World::new().await;
    let path = "/v1/admin/event-types/ring.forged";
    let schema = json!({"type": "object", "required": ["bearer"]});
    let made = world.put(path, &json!({"description": "A ring was forged.", "schema": schema})).await.expect(200);
    assert_eq!((&made["name"], &made["deprecated"]), (&json!("ring.forged"), &json!(false)));
    let changed = world.put(path, &json!({"deprecated": true})).await.expect(200);
    assert_eq!((&changed["schema"], &changed["description"]), (&schema, &made["description"]));
    let listed = world.get("/v1/admin/event-types").await.expect(200);
    assert!(listed["items"].as_array().unwrap().contains(&changed), "{listed:#}");
    for (path, body, field) in [
        ("/v1/admin/event-types/ring..forged", json!({}), "name"),
        ("/v1/admin/event-types/a%20b", json!({}), "name"),
        (path, json!({"schema": []}), "schema"),
        (path, json!({"schema": {"maximum": f64::MAX}}), "schema"),
        (path, json!({"description": "x".repeat(2001)}), "description"),
    ] {
        assert_eq!(world.put(path, &body).await.refusal(), (422, "VALIDATION_FAILED", Some(field)), "{path} {body}");
    }
    // The largest number that is taken can be read back.
    world.put(path, &json!({"schema": {"maximum": 1e308, "minimum": -1e308}})).await.expect(200);
    world.get("/v1/admin/event-types").await.expect(200);
}
