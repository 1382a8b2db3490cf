//! Operators' own keys.

use std::time::Duration;

use onering_keys::{AdminToken, Role};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, World, text};

const ADMIN_KEYS: &str = "/v1/admin/admin-keys";

async fn flags(world: &World, token: &str) -> u16 {
    let request = world.client.get(world.service.url("/v1/admin/flags")).bearer_auth(token);
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_made_works_is_listed_and_revoked_at_once() {
    let world = World::new().await;
    let admin =
        async |method, path: &str, body: Option<Value>| world.call(Role::Admin, method, path, body.as_ref()).await;
    let answer = admin(Method::POST, ADMIN_KEYS, Some(json!({"name": "Ada", "role": "viewer"}))).await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let key = answer.expect(201);
    let token = text(&key, "admin_key");
    assert!(AdminToken::parse(token).is_ok());
    assert_eq!(text(&key, "secret"), token);
    assert_eq!(flags(&world, token).await, 200);

    let listed = admin(Method::GET, ADMIN_KEYS, None).await.expect(200);
    assert_eq!(listed["items"].as_array().unwrap().len(), 4);
    assert_eq!(listed["items"][0]["name"], "Ada");
    assert!(listed["items"][0]["last_used_at"].is_string(), "{listed:#}");
    assert!(!listed.to_string().contains(token));

    let path = format!("{ADMIN_KEYS}/{}", text(&key, "admin_key_id"));
    admin(Method::DELETE, &path, None).await.expect(204);
    assert_eq!(flags(&world, token).await, 401, "from its next call on");
    admin(Method::DELETE, &path, None).await.expect(204);
    let unknown = admin(Method::DELETE, &format!("{ADMIN_KEYS}/adm_01h455vb4pex5vsknk084sn02q"), None).await;
    assert_eq!(unknown.refusal(), (404, "NOT_FOUND", None));

    let log = world.audit().await;
    let revocation = &log[1];
    assert_eq!(
        (&revocation["action"], &revocation["before"]["revoked_at"]),
        (&json!("admin_key.revoke"), &json!(null))
    );
    assert!(revocation["after"]["revoked_at"].is_string());
    assert_eq!(log[2]["before"], log[2]["after"], "the second time nothing changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_has_expired_is_refused() {
    let world = World::new().await;
    let connection = world.database.connect().await;
    let key = Answer::expect(
        world
            .call(
                Role::Admin,
                Method::POST,
                ADMIN_KEYS,
                Some(&json!({"name": "Ada", "role": "admin", "expires_in_days": 1})),
            )
            .await,
        201,
    );
    assert_eq!(flags(&world, text(&key, "admin_key")).await, 200);
    connection.execute("UPDATE admin_keys SET expires_at = now() WHERE name = 'Ada'", &[]).await.unwrap();
    assert_eq!(flags(&world, text(&key, "admin_key")).await, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_silent_is_not_waited_for_for_ever() {
    let world = World::new().await;
    let holder = world.database.connect().await;
    holder.batch_execute("BEGIN; LOCK TABLE admin_keys IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let answer = tokio::time::timeout(Duration::from_secs(10), world.get("/v1/admin/flags")).await.unwrap();
    assert_eq!(answer.refusal(), (503, "DEPENDENCY_UNAVAILABLE", None));
    assert_eq!(answer.header("retry-after"), Some("1"));
    holder.batch_execute("ROLLBACK").await.unwrap();
    world.get("/v1/admin/flags").await.expect(200);
}
