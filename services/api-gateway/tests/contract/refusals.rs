//! Every refusal of the access decision, by its code and with its headers.

use chrono::{TimeDelta, Utc};
use onering_ids::BlockId;
use onering_keys::{ApiToken, ScopeSet};
use onering_queue::Announcement;
use onering_store::blocklist::{self, BlockTarget, NewBlock};
use onering_testkit::eventually;
use reqwest::Method;
use serde_json::json;

use crate::support::{Answer, KeySpec, SOON, Stack, TestKey, send};

/// What a refusal must be.
#[track_caller]
fn check(answer: &Answer, status: u16, code: &str, recognised: bool) {
    assert_eq!((answer.problem().as_str(), answer.status.as_u16()), (code, status), "{answer:?}");
    assert_eq!(answer.has_quota(), recognised, "{code}: {:?}", answer.headers);
    if recognised {
        answer.quota();
    }
    assert_eq!(answer.header("retry-after").is_some(), status == 429, "{code}");
    assert_eq!(answer.header("www-authenticate"), (status == 401).then_some("Bearer"), "{code}");
}

async fn from_address(stack: &Stack, address: &str, key: &TestKey) -> Answer {
    send(stack.with_key(Method::GET, "/me", key).header("x-forwarded-for", address)).await
}

#[tokio::test]
async fn each_check_refuses_by_its_code_and_spends_no_quota() {
    let stack = Stack::start().await;
    let usual = stack.usual_key().await;
    strangers_are_refused(&stack).await;
    keys_that_are_over_are_refused(&stack).await;
    disabled_ones_are_refused(&stack).await;
    foreign_addresses_are_refused(&stack, &usual).await;
    scopes_and_limits_are_held(&stack).await;
    switches_close(&stack, &usual).await;
}

/// Check 3, for tokens that open nothing.
async fn strangers_are_refused(stack: &Stack) {
    check(&send(stack.request(Method::GET, "/me")).await, 401, "MISSING_API_KEY", false);
    for path in ["/me", "/events", "/nothing/here"] {
        let basic = stack.request(Method::POST, path).basic_auth("osk_x", Some("y"));
        check(&send(basic).await, 401, "MISSING_API_KEY", false);
    }
    let garbled = stack.request(Method::GET, "/me").bearer_auth("osk_garbled");
    check(&send(garbled).await, 401, "INVALID_API_KEY", false);
    let unknown = ApiToken::from_entropy([9; 32]);
    let unknown = stack.request(Method::GET, "/me").bearer_auth(unknown.expose());
    check(&send(unknown).await, 401, "INVALID_API_KEY", false);
}

/// Check 3, for keys that were.
async fn keys_that_are_over_are_refused(stack: &Stack) {
    let revoked = stack.usual_key().await;
    stack.sql(&format!("UPDATE external_api_keys SET revoked_at = now() WHERE key_id = '{}'", revoked.id.uuid())).await;
    check(&stack.get("/me", &revoked).await, 401, "INVALID_API_KEY", false);
    let soon = Some(Utc::now() + TimeDelta::milliseconds(1));
    let expired = stack.key(KeySpec { expires_at: soon, ..KeySpec::default() }).await;
    check(&stack.get("/me", &expired).await, 401, "KEY_EXPIRED", false);
    let rotated = stack.usual_key().await;
    let end = format!(
        "UPDATE external_api_key_secrets SET created_at = now() - interval '2 h', expires_at = now() - interval '1 h' WHERE key_id = '{}'",
        rotated.id.uuid()
    );
    stack.sql(&end).await;
    check(&stack.get("/me", &rotated).await, 401, "INVALID_API_KEY", false);
}

/// Check 4.
async fn disabled_ones_are_refused(stack: &Stack) {
    let disabled = stack.usual_key().await;
    stack.sql(&format!("UPDATE external_api_keys SET is_active = false WHERE key_id = '{}'", disabled.id.uuid())).await;
    check(&stack.get("/me", &disabled).await, 403, "KEY_DISABLED", true);
    let blocked = stack.usual_key().await;
    block(stack, BlockTarget::Key(blocked.id)).await;
    check(&stack.get("/me", &blocked).await, 403, "KEY_DISABLED", true);
    let partners = stack.key(KeySpec { owner: "gone", ..KeySpec::default() }).await;
    stack.sql("UPDATE partners SET status = 'disabled' WHERE owner_id = 'gone'").await;
    check(&stack.get("/me", &partners).await, 403, "PARTNER_DISABLED", true);
}

/// Checks 2 and 5.
async fn foreign_addresses_are_refused(stack: &Stack, usual: &TestKey) {
    let fenced = stack.key(KeySpec { allowlist: "203.0.113.0/24", ..KeySpec::default() }).await;
    assert_eq!(from_address(stack, "203.0.113.7", &fenced).await.status, 200);
    check(&from_address(stack, "198.51.100.7", &fenced).await, 403, "IP_NOT_ALLOWED", true);
    // What the caller itself claims is not believed: only what stands to the right of it.
    check(&from_address(stack, "203.0.113.7, 198.51.100.7", &fenced).await, 403, "IP_NOT_ALLOWED", true);

    block(stack, BlockTarget::Addresses("192.0.2.0/24".parse().unwrap())).await;
    stack.announce(Announcement::Blocklist).await;
    eventually(SOON, "the address is blocked", async || from_address(stack, "192.0.2.9", usual).await.status == 403)
        .await;
    check(&from_address(stack, "192.0.2.9", usual).await, 403, "ADDRESS_BLOCKED", false);
    assert_eq!(from_address(stack, "192.0.3.9", usual).await.status, 200);
}

/// Checks 8 and 9, and that refusals spend nothing.
async fn scopes_and_limits_are_held(stack: &Stack) {
    let scopes = ScopeSet::parse(["read:webhooks"]).unwrap();
    let narrow = stack.key(KeySpec { scopes, limit: Some(2), burst: Some(100), ..KeySpec::default() }).await;
    for _ in 0..5 {
        let refused = stack.post("/events", &narrow, &json!({})).await;
        check(&refused, 403, "MISSING_SCOPE", true);
        assert!(refused.json()["detail"].as_str().unwrap().contains("write:events"));
        assert_eq!(refused.quota(), (2, 2), "a refusal before the limit takes nothing");
    }
    assert_eq!(stack.get("/me", &narrow).await.quota(), (2, 1));
    assert_eq!(stack.get("/me", &narrow).await.quota(), (2, 0));
    for _ in 0..3 {
        let refused = stack.get("/me", &narrow).await;
        check(&refused, 429, "RATE_LIMITED", true);
        assert_eq!(refused.quota(), (2, 0));
        assert!((1..=3_600).contains(&refused.number("retry-after")));
    }
    // The scope is asked before the limit.
    check(&stack.post("/events", &narrow, &json!({})).await, 403, "MISSING_SCOPE", true);
}

/// Checks 1, 6 and 7, and webhooks switched off.
async fn switches_close(stack: &Stack, usual: &TestKey) {
    let canary = stack.key(KeySpec { owner: "bird", canary: true, ..KeySpec::default() }).await;
    let now_refused = async |switch: &str, value: &str, code: &str, recognised: bool| {
        stack.set_switch(switch, value);
        let seen = async || stack.get("/me", usual).await.header("x-error-code") == Some(code);
        eventually(SOON, code, seen).await;
        let status = if code == "EXTERNAL_API_DISABLED" { 503 } else { 403 };
        check(&stack.get("/me", usual).await, status, code, recognised);
    };
    now_refused("ONERING_EXTERNAL_API_CANARY_ONLY", "1", "CANARY_ONLY_MODE", true).await;
    let admitted = stack.get("/me", &canary).await;
    assert_eq!((admitted.status.as_u16(), admitted.header("x-canary-mode")), (200, Some("true")));
    assert_eq!(admitted.quota(), (10, 9));
    stack.set_switch("ONERING_EXTERNAL_API_CANARY_ONLY", "0");
    eventually(SOON, "all are let in again", async || stack.get("/me", usual).await.status == 200).await;

    now_refused("ONERING_EXTERNAL_API_COHORT_PERCENT", "0", "NOT_IN_ROLLOUT", true).await;
    assert_eq!(stack.get("/me", &canary).await.status, 200, "canaries are in every cohort");
    stack.set_switch("ONERING_EXTERNAL_API_COHORT_PERCENT", "100");
    eventually(SOON, "all are let in again", async || stack.get("/me", usual).await.status == 200).await;

    stack.set_switch("ONERING_WEBHOOKS_ENABLED", "0");
    let event = json!({"event_type": "a", "data": 1});
    eventually(SOON, "webhooks are off", async || stack.post("/events", usual, &event).await.status == 503).await;
    let (_, before) = stack.get("/me", usual).await.quota();
    check(&stack.post("/events", usual, &event).await, 503, "WEBHOOKS_DISABLED", true);
    assert_eq!(stack.get("/me", usual).await.quota().1, before - 1, "only /me itself was counted");

    now_refused("ONERING_EXTERNAL_API_ENABLED", "0", "EXTERNAL_API_DISABLED", false).await;
    check(&send(stack.request(Method::GET, "/me")).await, 503, "EXTERNAL_API_DISABLED", false);
}

#[tokio::test]
async fn past_twenty_failures_a_minute_an_address_is_told_to_wait() {
    let stack = Stack::start().await;
    let key = stack.usual_key().await;
    let fail = async || {
        let request =
            stack.request(Method::GET, "/me").bearer_auth("osk_wrong").header("x-forwarded-for", "203.0.113.66");
        send(request).await
    };
    // The minute may turn once while we count.
    let mut answers = Vec::new();
    for _ in 0..45 {
        answers.push(fail().await);
    }
    let limited: Vec<_> = answers.iter().filter(|answer| answer.status == 429).collect();
    assert!(!limited.is_empty());
    for answer in &limited {
        check(answer, 429, "TOO_MANY_AUTH_FAILURES", false);
        assert!((1..=60).contains(&answer.number("retry-after")));
    }
    let first = answers.iter().position(|answer| answer.status == 429).unwrap();
    assert!(first >= 20, "the first twenty are told what is wrong");
    assert!(answers[..first].iter().all(|answer| answer.problem() == "INVALID_API_KEY"));
    // A good token is never refused for its neighbours' failures; another address has its own count.
    assert_eq!(from_address(&stack, "203.0.113.66", &key).await.status, 200);
    check(&send(stack.request(Method::GET, "/me")).await, 401, "MISSING_API_KEY", false);
}

async fn block(stack: &Stack, target: BlockTarget) {
    let block_id: BlockId = stack.clock.fresh_id();
    let new = NewBlock { block_id, target, reason: String::new(), expires_at: None, created_by: "test".to_owned() };
    blocklist::add(&mut stack.connection().await, new).await.unwrap();
}
