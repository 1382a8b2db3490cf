//! Every change leaves one row, and no secret in it.

use onering_keys::Role;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{World, text};

/// One of each change: the action its row must have, with the answers on the way.
async fn change_everything(world: &World) -> (Vec<&'static str>, Vec<String>) {
    let (mut actions, mut secrets) = (Vec::new(), Vec::new());
    let mut done = |action| actions.push(action);
    let body = json!({"owner_id": "acme", "metadata": {"note": 1}});
    let key = world.key(&body).await;
    done("key.create");
    let of_key = format!("/v1/admin/external/keys/{}", text(&key, "key_id"));
    world.patch(&of_key, &json!({"name": "x"})).await.expect(200);
    done("key.change");
    world.patch(&format!("{of_key}/disable"), &json!({})).await.expect(200);
    done("key.disable");
    world.patch(&format!("{of_key}/enable"), &json!({})).await.expect(200);
    done("key.enable");
    let rotated = world.post(&format!("{of_key}/rotate"), &json!({})).await.expect(200);
    done("key.rotate");
    let block = world
        .post("/v1/admin/external/blocklist", &json!({"key_id": key["key_id"], "reason": "leaked"}))
        .await
        .expect(201);
    done("blocklist.add");
    world.delete(&format!("/v1/admin/external/blocklist/{}", text(&block, "id"))).await.expect(204);
    done("blocklist.remove");
    world.post(&format!("{of_key}/revoke"), &json!({})).await.expect(200);
    done("key.revoke");
    world.delete(&of_key).await.expect(204);
    done("key.delete");

    world.post("/v1/admin/partners", &json!({"owner_id": "umbrella"})).await.expect(201);
    done("partner.create");
    world.patch("/v1/admin/partners/umbrella", &json!({"canary": true})).await.expect(200);
    done("partner.change");
    world.patch("/v1/admin/partners/umbrella/disable", &json!({})).await.expect(200);
    done("partner.disable");
    world.patch("/v1/admin/partners/umbrella/enable", &json!({})).await.expect(200);
    done("partner.enable");

    let hook = json!({"owner_id": "acme", "url": "http://127.0.0.1:9/hunter2path", "events": ["*"],
                      "headers": {"Authorization": "Bearer hunter2header", "X-Team": "hunter2team"}});
    let subscription = world.subscription(&hook).await;
    done("subscription.create");
    let of_hook = format!("/v1/admin/external/webhooks/{}", text(&subscription, "id"));
    let moved = json!({"description": "x", "url": "http://127.0.0.1:9/hunter3path", "headers": hook["headers"]});
    world.patch(&of_hook, &moved).await.expect(200);
    done("subscription.change");
    world.patch(&format!("{of_hook}/pause"), &json!({})).await.expect(200);
    done("subscription.pause");
    world.patch(&format!("{of_hook}/disable"), &json!({"reason": "noisy"})).await.expect(200);
    done("subscription.disable");
    world.patch(&format!("{of_hook}/enable"), &json!({})).await.expect(200);
    done("subscription.enable");
    let resigned = world.post(&format!("{of_hook}/rotate-secret"), &json!({})).await.expect(200);
    done("subscription.rotate_secret");
    world.delete(&of_hook).await.expect(204);
    done("subscription.delete");

    let range = json!({"from": "2026-11-22T10:00:00Z", "to": "2026-11-22T11:00:00Z"});
    let replay = world.post("/v1/admin/external/replays", &range).await.expect(201);
    done("replay.create");
    let cancel = format!("/v1/admin/external/replays/{}/cancel", text(&replay, "id"));
    world.post(&cancel, &json!({})).await.expect(200);
    done("replay.cancel");

    let flag = "/v1/admin/flags/ONERING_WEBHOOKS_ENABLED";
    world.put(flag, &json!({"value": false, "reason": "drill"})).await.expect(200);
    done("flag.set");
    world.delete(flag).await.expect(204);
    done("flag.clear");
    world.put("/v1/admin/event-types/ring.lost", &json!({"description": "A ring was lost."})).await.expect(200);
    done("event_type.write");
    let admin_key = world
        .call(Role::Admin, Method::POST, "/v1/admin/admin-keys", Some(&json!({"name": "Ada", "role": "viewer"})))
        .await
        .expect(201);
    done("admin_key.create");
    let path = format!("/v1/admin/admin-keys/{}", text(&admin_key, "admin_key_id"));
    world.call(Role::Admin, Method::DELETE, &path, None).await.expect(204);
    done("admin_key.revoke");

    for (answer, field) in [
        (&key, "api_key"),
        (&rotated, "api_key"),
        (&subscription, "secret"),
        (&resigned, "secret"),
        (&admin_key, "admin_key"),
    ] {
        secrets.push(text(answer, field).to_owned());
    }
    (actions, secrets)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_leaves_one_row_and_no_secret_anywhere() {
    let world = World::new().await;
    let (actions, secrets) = change_everything(&world).await;
    let log = world.audit().await;
    let written: Vec<&str> = log.iter().map(|row| text(row, "action")).collect();
    assert_eq!(written, actions);
    for row in &log {
        let action = text(row, "action");
        assert!(text(row, "actor").contains("(adm_") && row["ip"] == "127.0.0.1", "{row:#}");
        assert!(text(row, "request_id").starts_with("req_"), "{row:#}");
        assert!(row["before"] != row["after"], "{row:#}");
        let (made, removed) = (row["before"] == Value::Null, row["after"] == Value::Null);
        let expected_made =
            matches!(action.rsplit('.').next(), Some("create" | "add" | "set" | "write" | "rotate_secret"));
        let expected_removed = matches!(action.rsplit('.').next(), Some("delete" | "remove" | "clear"));
        assert_eq!((made, removed), (expected_made, expected_removed), "{row:#}");
    }
    let receivers_own = ["hunter2path", "hunter3path", "hunter2header", "hunter2team"].map(str::to_owned);
    let stored = world.database.connect().await.query("SELECT l::text FROM admin_audit_log AS l", &[]).await.unwrap();
    let stored: String = stored.iter().map(|row| row.get::<_, String>(0)).collect();
    for secret in secrets.iter().chain(&receivers_own) {
        // Nor its first characters, which operators are shown elsewhere to tell tokens apart.
        for part in [secret.as_str(), &secret[..if secret.starts_with("osk_") { 8 } else { 10 }]] {
            assert!(!stored.contains(part), "{part} is in the audit log");
            assert!(!world.service.logs().contains(part), "{part} is in the service's log");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_fails_leaves_no_row_and_a_row_that_fails_leaves_no_change() {
    let world = World::new().await;
    world.post("/v1/admin/external/blocklist", &json!({"key_id": "key_01h455vb4pex5vsknk084sn02q"})).await.expect(422);
    world.post("/v1/admin/partners", &json!({"owner_id": "default"})).await.expect(409);
    assert!(world.audit().await.is_empty());

    let connection = world.database.connect().await;
    connection.batch_execute("ALTER TABLE admin_audit_log ADD CHECK (action <> 'partner.create')").await.unwrap();
    let refused = world.post("/v1/admin/partners", &json!({"owner_id": "acme"})).await;
    assert!(refused.status >= 400, "{refused:?}");
    assert_eq!(world.get("/v1/admin/partners/acme").await.status, 404, "it was undone");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_filtered_and_paged() {
    let world = World::new().await;
    let keys = [world.key(&json!({})).await, world.key(&json!({})).await];
    world.put("/v1/admin/event-types/ring.forged", &json!({})).await.expect(200);
    let count = async |query: &str| {
        let page = world.get(&format!("/v1/admin/audit?{query}")).await.expect(200);
        page["items"].as_array().unwrap().len()
    };
    assert_eq!(count("").await, 3);
    assert_eq!(count("action=key.create").await, 2);
    assert_eq!(count("target_type=event_type&target_id=ring.forged").await, 1);
    assert_eq!(count(&format!("target_id={}", text(&keys[0], "key_id"))).await, 1);
    assert_eq!(count("actor=nobody").await, 0);
    assert_eq!(count("from=2000-01-01T00:00:00Z&to=2999-01-01T00:00:00Z").await, 3);
    assert_eq!(count("to=2000-01-01T00:00:00Z").await, 0);
    let mut seen = Vec::new();
    let mut query = "limit=1".to_owned();
    loop {
        let page = world.get(&format!("/v1/admin/audit?{query}")).await.expect(200);
        seen.extend(page["items"].as_array().unwrap().iter().map(|row| text(row, "id").to_owned()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        query = format!("limit=1&cursor={next}");
    }
    assert_eq!(seen.len(), 3);
    assert!(seen.is_sorted_by(|newer, older| newer > older), "{seen:?}");
}
