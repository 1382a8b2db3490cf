//! What the gateway counts, and how it ends.

use onering_testkit::eventually;
use serde_json::json;

use crate::support::{KeySpec, SOON, Stack, send};

#[tokio::test]
async fn answers_and_usage_are_written_and_nothing_is_lost_at_the_end() {
    let mut stack = Stack::start().await;
    let key = stack.key(KeySpec { limit: Some(3), ..KeySpec::default() }).await;
    for _ in 0..5 {
        stack.get("/me", &key).await;
    }
    send(stack.request(reqwest::Method::GET, "/me")).await;
    let counted = |code: &str, tier: &str| {
        format!(
            "SELECT coalesce(sum(count), 0)::bigint FROM request_stats WHERE process = 'gateway-under-test' AND code = '{code}' AND tier = '{tier}'"
        )
    };
    eventually(SOON, "answers are written", async || stack.count(&counted("OK", "enterprise")).await == 3).await;
    assert_eq!(stack.count(&counted("RATE_LIMITED", "enterprise")).await, 2);
    let usage = format!("FROM external_api_usage WHERE key_id = '{}'", key.id.uuid());
    assert_eq!(stack.count(&format!("SELECT sum(admitted)::bigint {usage}")).await, 3);
    assert_eq!(stack.count(&format!("SELECT sum(refused)::bigint {usage}")).await, 2);
    assert_eq!(stack.count("SELECT sum(count)::bigint FROM request_latency_stats").await, 6);
    assert_eq!(stack.count("SELECT count(*) FROM external_api_keys WHERE last_used_at IS NOT NULL").await, 1);

    let events = stack.usual_key().await;
    for _ in 0..3 {
        assert_eq!(stack.post("/events", &events, &json!({"event_type": "a", "data": 1})).await.status, 202);
    }
    let status = stack.gateway.terminate().await;
    assert!(status.success(), "{status}");
    assert_eq!(stack.count(&counted("OK", "enterprise")).await, 6, "the last counts are written on the way out");
    assert_eq!(stack.count("SELECT count(*) FROM webhook_events").await, 3);
}

#[tokio::test]
async fn metrics_count_by_code_and_no_token_is_ever_logged() {
    let stack = Stack::start().await;
    let key = stack.key(KeySpec { canary: true, ..KeySpec::default() }).await;
    stack.get("/me?secret=hunter2", &key).await;
    stack.get("/nothing/hunter3", &key).await;
    let garbled = "osk_hunter4";
    send(stack.request(reqwest::Method::GET, "/me").bearer_auth(garbled)).await;
    for (code, count) in [("OK", 1.0), ("NOT_FOUND", 1.0), ("INVALID_API_KEY", 1.0), ("RATE_LIMITED", 0.0)] {
        let counted = stack.gateway.metric("onering_external_answers_total", &[("code", code)]).await;
        assert_eq!(counted, Some(count), "{code}");
    }
    let logs = stack.gateway.logs();
    assert_eq!(logs.matches("canary request").count(), 2, "canary calls are logged whole");
    assert!(logs.contains(&key.id.to_string()));
    for secret in [key.token.expose(), "hunter2", garbled] {
        assert!(!logs.contains(secret), "{secret} is in the log");
    }
}
