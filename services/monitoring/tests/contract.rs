//! Each documented route answers, and with exactly the documented fields.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's helpers fail it by panicking")]

mod support;

use serde_json::{Value, json};
use support::{Stack, schema};

/// The calls of DESIGN §4 and where to make them.
fn calls(webhook: &str) -> Vec<(&'static str, String)> {
    let plain = |path: &'static str| (path, path.to_owned());
    vec![
        plain("/v1/monitoring/external/metrics"),
        plain("/v1/monitoring/external/api-keys"),
        plain("/v1/monitoring/webhooks/metrics"),
        plain("/v1/monitoring/webhooks/recent"),
        ("/v1/monitoring/webhooks/{id}/health", format!("/v1/monitoring/webhooks/{webhook}/health")),
        plain("/v1/monitoring/alerts"),
        plain("/v1/monitoring/audit"),
        ("/v1/monitoring/audit", "/v1/monitoring/audit?owner_id=quiet".to_owned()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_what_the_document_says() {
    let stack = Stack::open().await;
    let document = stack.read("/openapi.json").await;
    let webhook = stack.subscription("quiet").await;
    let mut documented: Vec<&str> = document["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    let mut known: Vec<&str> = calls("").iter().map(|(path, _)| *path).collect();
    documented.sort_unstable();
    known.sort_unstable();
    known.dedup();
    assert_eq!(documented, known);

    // Twice: with nulls for what was not measured, then with values.
    check_all(&stack, &document, &webhook.to_string()).await;
    let webhook = stack.one_of_each("acme").await;
    stack.key("acme", "pro", true, "last_used_at = now(), expires_at = now() + interval '1 day'").await;
    stack.answers(stack.now(), "OK", "pro", true, 3).await;
    stack.answers(stack.now(), "INVALID_API_KEY", "none", false, 2).await;
    for outcome in ["DELIVERED", "RETRY", "DEAD", "GONE", "REPLAY_EXPIRED", "CANCELLED"] {
        stack.results(stack.now(), webhook, outcome, 1, 2).await;
    }
    stack.latency(stack.now(), 42, 1).await;
    stack.rotation(webhook).await;
    stack
        .execute("UPDATE external_webhooks SET failing_since = now(), status = 'disabled', disabled_by = 'operator', disabled_reason = 'x', disabled_at = now()")
        .await;
    check_all(&stack, &document, &webhook.to_string()).await;
    stack.stop().await;
}

async fn check_all(stack: &Stack, document: &Value, webhook: &str) {
    for (path, url) in calls(webhook) {
        let response = stack.request(&url).send().await.unwrap();
        assert_eq!(response.status(), 200, "{url}");
        assert_eq!(response.headers()["cache-control"], "no-store", "{url}");
        assert_eq!(response.headers()["content-type"], "application/json", "{url}");
        assert!(response.headers().contains_key("x-request-id"), "{url}");
        let told = response.headers()["content-type"].clone();
        let body: Value = response.json().await.unwrap();
        let head = onering_testkit::http_client().head(stack.url(&url)).send().await.unwrap();
        assert_eq!((head.status().as_u16(), &head.headers()["content-type"]), (200, &told), "HEAD {url}");
        let faults = schema::faults(document, schema::of_answer(document, path), &body);
        assert!(faults.is_empty(), "{url}: {faults:#?}\n{body:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fields_of_the_design() {
    let stack = Stack::open().await;
    let fields = async |path: &str| {
        let body = stack.read(path).await;
        body.as_object().unwrap().keys().cloned().collect::<std::collections::BTreeSet<_>>()
    };
    let expected =
        |names: &str| names.split([',', ' ', '\n']).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    assert_eq!(
        fields("/v1/monitoring/external/metrics").await,
        expected(
            "timestamp, active_keys, auth_failures_24h, auth_failures_by_reason, rate_limit_hits_24h, \
             rate_limit_hits_by_tier, by_tier, key_metrics_by_tier, canary, alert_thresholds, alerts"
        )
    );
    assert_eq!(
        fields("/v1/monitoring/webhooks/metrics").await,
        expected(
            "timestamp, delivered, failed, dead, dead_letter, pending, retrying, held, replay_rejected_24h, avg_retry_count, \
             delivery_latency_p50_seconds, delivery_latency_p90_seconds, delivery_latency_p90_sec, \
             delivery_latency_p95_seconds, delivery_latency_p99_seconds, success_rate, oldest_pending_seconds, circuit_open, \
             circuit_opens_24h, pii_findings_24h, subscriptions_failing, subscriptions_disabled_24h, alert_thresholds, alerts"
        )
    );
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_is_openapi_3_1_and_needs_no_credentials() {
    let stack = Stack::with(&[]).await;
    let document = stack.read("/openapi.json").await;
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(stack.read("/v1/monitoring/openapi.json").await, document);
    let schemes = document["components"]["securitySchemes"].as_object().unwrap();
    assert_eq!(schemes.keys().collect::<Vec<_>>(), ["admin_key", "bearer"]);
    for (path, item) in document["paths"].as_object().unwrap() {
        let operation = &item["get"];
        assert_eq!(operation["security"], json!([{"admin_key": []}, {"bearer": []}]), "{path}");
        assert!(operation["summary"].is_string() && operation["operationId"].is_string(), "{path}");
        let refusal = &operation["responses"]["default"]["content"]["application/problem+json"]["schema"];
        assert_eq!(refusal["$ref"], "#/components/schemas/Problem", "{path}");
    }
    assert_eq!(document["components"]["schemas"]["Problem"]["type"], "object");
    let parameters = |path: &str| {
        let list = document["paths"][path]["get"]["parameters"].as_array().unwrap();
        list.iter().map(|parameter| parameter["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(
        parameters("/v1/monitoring/webhooks/recent"),
        ["status", "held", "held_reason", "event_type", "webhook_id", "owner_id", "limit"]
    );
    assert_eq!(parameters("/v1/monitoring/audit"), ["from", "to", "owner_id"]);
    assert_eq!(parameters("/v1/monitoring/external/api-keys"), ["limit", "cursor"]);
    stack.stop().await;
}
