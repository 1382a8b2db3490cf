//! Who may do what.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use onering_keys::Role;
use reqwest::Method;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::support::{Answer, JWT_SECRET, World};

/// Every operation of the document: method, path with ids filled in.
async fn operations(world: &World) -> Vec<(Method, String)> {
    let document: Value =
        world.client.get(world.service.url("/openapi.json")).send().await.unwrap().json().await.unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut operations = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let path = path.replace("{id}", "nobody").replace("{name}", "nothing");
            operations.push((method.to_uppercase().parse().unwrap(), path));
        }
    }
    assert!(operations.len() > 30, "{operations:?}");
    operations
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_anywhere_without_a_credential_and_no_role_beyond_itself() {
    let world = World::new().await;
    for (method, path) in operations(&world).await {
        let request = || world.client.request(method.clone(), world.service.url(&path)).json(&json!({}));
        let anonymous = Answer::of(request().send().await.unwrap()).await;
        assert_eq!(anonymous.refusal(), (401, "UNAUTHORIZED", None), "{method} {path}");
        let stranger = "oak_000000000000000000000000000000000000000000000000";
        let unknown = Answer::of(request().header("X-Admin-Key", stranger).send().await.unwrap()).await;
        assert_eq!(unknown.refusal(), (401, "UNAUTHORIZED", None), "{method} {path}");

        let reads = method == Method::GET;
        let of_admins = path.contains("/admin-keys");
        for role in Role::ALL {
            let may = match role {
                Role::Viewer => reads && !of_admins,
                Role::Operator => !of_admins,
                Role::Admin => true,
            };
            let body = if reads { None } else { Some(&json!({})) };
            let answer = world.call(role, method.clone(), &path, body).await;
            let refused = answer.header("x-error-code") == Some("FORBIDDEN");
            assert_eq!(refused, !may, "{role} {method} {path}: {}", answer.status);
            assert!(answer.status < 500, "{role} {method} {path}: {:#}", answer.body);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_header_for_admin_keys_works_too() {
    let world = World::new().await;
    let request = world.client.get(world.service.url("/v1/admin/flags"));
    let answer = request.header("X-Admin-Key", world.token(Role::Viewer)).send().await.unwrap();
    assert_eq!(answer.status(), 200);
}

fn jwt(secret: &str, claims: &Value) -> String {
    let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encoded(&json!({"alg": "HS256", "typ": "JWT"})), encoded(claims));
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap().chain_update(&signed).finalize();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.into_bytes()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_jwt_of_the_single_sign_on_is_as_good_as_a_key_and_is_named_in_the_log() {
    let world = World::new().await;
    let claims = |role: &str| json!({"sub": "ada", "exp": 4_102_444_800_u64, "scope": "external:admin", "role": role});
    let create = async |token: String| {
        let request = world.client.post(world.service.url("/v1/admin/external/keys")).bearer_auth(token);
        Answer::of(request.json(&json!({})).send().await.unwrap()).await
    };
    create(jwt(JWT_SECRET, &claims("operator"))).await.expect(201);
    assert_eq!(create(jwt(JWT_SECRET, &claims("viewer"))).await.refusal(), (403, "FORBIDDEN", None));
    let forged = jwt("another secret of thirty-two bytes", &claims("admin"));
    assert_eq!(create(forged).await.refusal(), (401, "UNAUTHORIZED", None));
    let mut expired = claims("operator");
    expired["exp"] = json!(1_000_000_000);
    assert_eq!(create(jwt(JWT_SECRET, &expired)).await.refusal(), (401, "UNAUTHORIZED", None));
    let log = world.audit().await;
    assert_eq!(log.len(), 1);
    assert_eq!((&log[0]["actor"], &log[0]["role"]), (&json!("jwt:ada"), &json!("operator")));
}
