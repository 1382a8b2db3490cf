//! Switches: what is in force, overrides that only narrow, and receipts.

use onering_queue::Announcement;
use serde_json::{Value, json};

use crate::support::{World, text, until};

const DELIVERY: &str = "ONERING_WEBHOOKS_DELIVERY_ENABLED";
const CANARY: &str = "ONERING_EXTERNAL_API_CANARY_ONLY";
const PERCENT: &str = "ONERING_EXTERNAL_API_COHORT_PERCENT";

fn ours(flags: &Value) -> &Value {
    let processes = flags["processes"].as_array().unwrap();
    processes.iter().find(|process| process["process"] == "admin-under-test").unwrap_or(&Value::Null)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_override_narrows_and_its_end_widens_again() {
    let world = World::new().await;
    let before = until(&world, "/v1/admin/flags", "a receipt", |flags| ours(flags)["agrees"] == true).await;
    assert_eq!(before["switches"][DELIVERY]["value"], true);
    assert_eq!(before["switches"][CANARY]["value"], false);
    assert_eq!(before["switches"][PERCENT]["value"], 100);
    assert_eq!(before["switches"][DELIVERY]["override"], Value::Null);
    assert_eq!(ours(&before)["service"], "admin");

    let mut listener = world.listen().await;
    let set = world
        .put(&format!("/v1/admin/flags/{DELIVERY}"), &json!({"value": "off", "reason": "drill"}))
        .await
        .expect(200);
    assert_eq!(listener.next().await, Announcement::Flags);
    assert_eq!((&set["value"], &set["reason"]), (&json!(false), &json!("drill")));
    assert!(text(&set, "set_by").starts_with("operator (adm_"));
    let narrowed = until(&world, "/v1/admin/flags", "the override is applied and receipted", |flags| {
        flags["switches"][DELIVERY]["value"] == false
            && ours(flags)["took_ms"].is_i64()
            && ours(flags)["agrees"] == true
    })
    .await;
    let took = ours(&narrowed)["took_ms"].as_i64().unwrap();
    // That it is less than a second is measured where nothing runs beside it.
    assert!((0..10_000).contains(&took), "it took {took} ms");
    assert_eq!(ours(&narrowed)["switches"][DELIVERY], false);
    assert_ne!(narrowed["fingerprint"], before["fingerprint"]);
    assert_eq!(narrowed["switches"][DELIVERY]["override"]["reason"], "drill");

    world.put(&format!("/v1/admin/flags/{CANARY}"), &json!({"value": true})).await.expect(200);
    world.put(&format!("/v1/admin/flags/{PERCENT}"), &json!({"value": 12.5})).await.expect(200);
    until(&world, "/v1/admin/flags", "the others are applied", |flags| {
        flags["switches"][CANARY]["value"] == true && flags["switches"][PERCENT]["value"] == 12.5
    })
    .await;
    for name in [DELIVERY, CANARY, PERCENT] {
        world.delete(&format!("/v1/admin/flags/{name}")).await.expect(204);
    }
    until(&world, "/v1/admin/flags", "all is as before", |flags| flags["fingerprint"] == before["fingerprint"]).await;
    let none = world.delete(&format!("/v1/admin/flags/{DELIVERY}")).await;
    assert_eq!(none.refusal(), (404, "NOT_FOUND", None));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_widen_or_is_no_value_is_refused_with_the_reason() {
    let world = World::new().await;
    for (name, value, reason) in [
        (DELIVERY, json!(true), "off, not on"),
        (DELIVERY, json!("1"), "off, not on"),
        (CANARY, json!(false), "on, not off"),
        (PERCENT, json!(101), "0 to 100"),
        (DELIVERY, json!("maybe"), "0, 1, true"),
        (DELIVERY, json!(null), "value"),
        ("ONERING_COHORT_SALT", json!("other"), "narrower"),
    ] {
        let refused = world.put(&format!("/v1/admin/flags/{name}"), &json!({ "value": value })).await;
        assert_eq!(refused.refusal(), (422, "VALIDATION_FAILED", Some("value")), "{name} {value}");
        assert!(text(&refused.body, "detail").contains(reason), "{:#}", refused.body);
    }
    let unknown = world.put("/v1/admin/flags/ONERING_NOTHING", &json!({"value": 0})).await;
    assert_eq!(unknown.refusal(), (404, "NOT_FOUND", None));
    assert!(world.audit().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_override_cannot_open_what_the_environment_closes() {
    let world = World::with(|options| options.env(DELIVERY, "0")).await;
    let path = format!("/v1/admin/flags/{DELIVERY}");
    world.put(&path, &json!({"value": 0})).await.expect(200);
    world.delete(&path).await.expect(204);
    assert_eq!(world.get("/v1/admin/flags").await.expect(200)["switches"][DELIVERY]["value"], false);
}
