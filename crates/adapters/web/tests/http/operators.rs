//! Operators: recognised or not, allowed or not.

use actix_web::web;
use onering_clock::Clock;
use onering_ids::AdminKeyId;
use onering_keys::{AdminToken, Role, TokenDigest};
use onering_web::{Admin, JwtVerifier, KnownOperator, LookUpError, Operator, OperatorAuth, OperatorRole, Viewer};

use crate::support::{TestServer, refusal, refused};

const VIEWER: [u8; 32] = [1; 32];
const ADMIN: [u8; 32] = [2; 32];
const UNLUCKY: [u8; 32] = [3; 32];

/// A directory of two keys; looking for the third fails.
async fn look_up(digest: TokenDigest) -> Result<Option<KnownOperator>, LookUpError> {
    let of = |entropy| AdminToken::from_entropy(entropy).digest();
    let known = |role| {
        let admin_key_id: AdminKeyId = "adm_01h455vb4pex5vsknk084sn02q".parse()?;
        Ok(Some(KnownOperator { admin_key_id, name: "ada".to_owned(), role }))
    };
    if digest == of(VIEWER) {
        known(Role::Viewer)
    } else if digest == of(ADMIN) {
        known(Role::Admin)
    } else if digest == of(UNLUCKY) {
        Err("postgres://secret is gone".into())
    } else {
        Ok(None)
    }
}

fn server(adjust: impl Fn(OperatorAuth) -> OperatorAuth) -> TestServer {
    let auth = adjust(OperatorAuth::new(look_up, Clock::system()));
    TestServer::start(move |config| {
        config
            .app_data(web::Data::new(auth.clone()))
            .route("/read", web::get().to(|operator: Operator<Viewer>| async move { operator.actor.clone() }))
            .route("/act", web::get().to(|operator: Operator<OperatorRole>| async move { operator.actor.clone() }))
            .route("/manage", web::get().to(|operator: Operator<Admin>| async move { operator.actor.clone() }));
    })
}

fn token(entropy: [u8; 32]) -> String {
    AdminToken::from_entropy(entropy).expose().to_owned()
}

#[tokio::test]
async fn a_role_may_do_what_it_allows_and_no_more() {
    let server = server(|auth| auth);
    let ask = |path: &str, entropy| server.client.get(server.url(path)).bearer_auth(token(entropy)).send();
    let actor = "ada (adm_01h455vb4pex5vsknk084sn02q)";
    for path in ["/read", "/act", "/manage"] {
        assert_eq!(ask(path, ADMIN).await.unwrap().text().await.unwrap(), actor);
    }
    assert_eq!(ask("/read", VIEWER).await.unwrap().text().await.unwrap(), actor);
    for path in ["/act", "/manage"] {
        assert_eq!(refusal(ask(path, VIEWER).await.unwrap()).await, refused(403, "FORBIDDEN", None));
    }
    let by_header = server.client.get(server.url("/read")).header("x-admin-key", token(VIEWER)).send();
    assert_eq!(by_header.await.unwrap().status(), 200);
}

#[tokio::test]
async fn who_is_not_recognised_is_refused() {
    let server = server(|auth| auth);
    let unauthorized = || refused(401, "UNAUTHORIZED", None);
    let response = server.get("/read").await;
    assert_eq!(response.headers()["www-authenticate"], "Bearer");
    assert_eq!(refusal(response).await, unauthorized());
    let garbled = token(ADMIN).replace("oak_", "oak_x");
    for bad in [token([9; 32]), garbled, "a.b.c".to_owned(), "osk_x".to_owned()] {
        let response = server.client.get(server.url("/read")).bearer_auth(&bad).send().await.unwrap();
        assert_eq!(refusal(response).await, unauthorized(), "{bad}");
    }
}

#[tokio::test]
async fn a_directory_without_an_answer_is_no_refusal() {
    let server = server(|auth| auth);
    let response = server.client.get(server.url("/read")).bearer_auth(token(UNLUCKY)).send().await.unwrap();
    assert_eq!(response.headers()["retry-after"], "1");
    assert_eq!(refusal(response).await, refused(503, "DEPENDENCY_UNAVAILABLE", None));
}

#[tokio::test]
async fn a_jwt_of_our_secret_is_as_good_as_a_key() {
    // {"alg":"HS256","typ":"JWT"} . {"sub":"ada","exp":4102444800,"scope":"external:admin","role":"operator"}, signed by
    // another implementation (Python's hmac).
    const JWT: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhZGEiLCJleHAiOjQxMDI0NDQ4MDAsInNjb3BlIjoiZXh0ZXJuYWw6YWRtaW4iLCJyb2xlIjoib3BlcmF0b3IifQ.WC7CdwEjwXT4ftkTiFnSyGEZE0tgvw9fHkn82vwVt_w";
    let server = server(|auth| auth.with_jwt(JwtVerifier::new(b"0123456789abcdef0123456789abcdef").unwrap()));
    let ask = |path: &str| server.client.get(server.url(path)).bearer_auth(JWT).send();
    assert_eq!(ask("/act").await.unwrap().text().await.unwrap(), "jwt:ada");
    assert_eq!(refusal(ask("/manage").await.unwrap()).await, refused(403, "FORBIDDEN", None));
    let unknown = self::server(|auth| auth);
    let response = unknown.client.get(unknown.url("/act")).bearer_auth(JWT).send().await.unwrap();
    assert_eq!(refusal(response).await, refused(401, "UNAUTHORIZED", None), "no secret, no JWT");
}

#[tokio::test]
async fn an_open_door_asks_for_nothing_but_takes_no_bad_credential() {
    let server = server(|auth| auth.open_to_all_as(Role::Viewer));
    assert_eq!(server.get("/read").await.text().await.unwrap(), "anonymous");
    assert_eq!(refusal(server.get("/act").await).await, refused(403, "FORBIDDEN", None));
    let bad = server.client.get(server.url("/read")).bearer_auth("oak_wrong").send().await.unwrap();
    assert_eq!(refusal(bad).await, refused(401, "UNAUTHORIZED", None));
}
