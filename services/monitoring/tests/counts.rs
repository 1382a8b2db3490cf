//! The figures are those of the rows, of 24 hours and no more, and alerts fire strictly above their thresholds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's helpers fail it by panicking")]

mod support;

use std::time::Duration;

use chrono::TimeDelta;
use onering_ids::SubscriptionId;
use onering_testkit::eventually;
use serde_json::{Value, json};
use support::Stack;

const EXTERNAL: &str = "/v1/monitoring/external/metrics";
const WEBHOOKS: &str = "/v1/monitoring/webhooks/metrics";

#[tokio::test(flavor = "multi_thread")]
async fn calls_and_refusals_of_24_hours() {
    let stack = Stack::open().await;
    let (now, day) = (stack.now(), TimeDelta::hours(24));
    for at in [now, now - day] {
        stack.answers(at, "OK", "free", false, 10).await;
        stack.answers(at, "OK", "free", true, 2).await;
        stack.answers(at, "VALIDATION_FAILED", "pro", false, 4).await;
        stack.answers(at, "MISSING_SCOPE", "pro", false, 100).await;
        stack.answers(at, "NOT_FOUND", "none", false, 100).await;
        stack.answers(at, "RATE_LIMITED", "free", false, 3).await;
        stack.answers(at, "INVALID_API_KEY", "none", false, 5).await;
        stack.answers(at, "KEY_EXPIRED", "none", false, 1).await;
    }
    // The minute before the first is not of these 24 hours.
    let too_old = now - day - TimeDelta::minutes(1);
    for code in ["OK", "RATE_LIMITED", "INVALID_API_KEY"] {
        stack.answers(too_old, code, "free", false, 1_000).await;
    }
    stack.key("acme", "free", false, "").await;
    stack.key("acme", "free", true, "").await;
    stack.key("acme", "pro", false, "is_active = false").await;
    stack.key("acme", "pro", false, "expires_at = now()").await;
    stack.key("acme", "pro", false, "revoked_at = now()").await;

    let metrics = stack.read(EXTERNAL).await;
    assert_eq!(metrics["active_keys"], 2);
    assert_eq!(metrics["auth_failures_24h"], 12);
    assert_eq!(metrics["auth_failures_by_reason"], json!({"INVALID_API_KEY": 10, "KEY_EXPIRED": 2}));
    assert_eq!(metrics["rate_limit_hits_24h"], 6);
    assert_eq!(metrics["rate_limit_hits_by_tier"], json!({"free": 6, "pro": 0, "enterprise": 0}));
    assert_eq!(
        metrics["by_tier"],
        json!({
            "free": {"active": 2, "usage": 24}, "pro": {"active": 0, "usage": 8}, "enterprise": {"active": 0, "usage": 0},
        })
    );
    assert_eq!(metrics["key_metrics_by_tier"], json!({"free": 2, "pro": 0, "enterprise": 0}));
    assert_eq!(metrics["canary"], json!({"active": 1, "usage": 4}));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn results_of_24_hours_and_what_waits_now() {
    let stack = Stack::open().await;
    let (now, day) = (stack.now(), TimeDelta::hours(24));
    let webhook = stack.one_of_each("acme").await;
    let other = stack.subscription("other").await;
    stack.results(now, webhook, "DELIVERED", 6, 8).await;
    stack.results(now - day, webhook, "DELIVERED", 2, 2).await;
    stack.results(now, webhook, "RETRY", 3, 3).await;
    stack.results(now, webhook, "DEAD", 1, 3).await;
    stack.results(now, other, "GONE", 1, 1).await;
    stack.results(now, other, "REPLAY_EXPIRED", 2, 2).await;
    stack.results(now, other, "CANCELLED", 50, 50).await;
    let too_old = now - day - TimeDelta::minutes(1);
    stack.results(too_old, webhook, "DELIVERED", 1_000, 1_000).await;
    stack.latency(now, 100, 8).await;
    stack.latency(now - day, 2_000, 2).await;
    stack.latency(too_old, 60_000, 1_000).await;
    // The oldest that waits is 90 s old; what is held is older, and not meant.
    let created = |seconds: i64| (now - TimeDelta::seconds(seconds)).to_rfc3339();
    stack
        .execute(&format!(
            "UPDATE webhook_deliveries SET created_at = '{}' WHERE event_type = 'a.retrying'",
            created(90)
        ))
        .await;
    stack
        .execute(&format!("UPDATE webhook_deliveries SET created_at = '{}' WHERE event_type = 'a.held'", created(900)))
        .await;

    let metrics = stack.read(WEBHOOKS).await;
    let expected = json!({
        "delivered": 8, "failed": 5, "dead": 2, "dead_letter": 2, "replay_rejected_24h": 2,
        "pending": 2, "retrying": 1, "held": 1, "avg_retry_count": 4.0 / 12.0, "success_rate": 8.0 / 12.0,
        "delivery_latency_p50_seconds": 0.1, "delivery_latency_p90_seconds": 2.0, "delivery_latency_p90_sec": 2.0,
        "delivery_latency_p95_seconds": 2.0, "delivery_latency_p99_seconds": 2.0, "oldest_pending_seconds": 90.0,
        "circuit_open": 0, "circuit_opens_24h": 0, "pii_findings_24h": null,
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&metrics[name], value, "{name}");
    }

    let health = stack.read(&format!("/v1/monitoring/webhooks/{webhook}/health")).await;
    let expected = json!({
        "webhook_id": webhook, "owner_id": "acme", "status": "active", "disabled_reason": null, "failing_since": null,
        "delivered": 8, "failed": 4, "dead": 1, "replay_rejected_24h": 0, "pending": 2, "retrying": 1, "held": 1,
        "success_rate": 8.0 / 9.0, "avg_retry_count": 4.0 / 9.0, "rotation": null, "timestamp": health["timestamp"],
        "circuit_open": false, "circuit_open_until": null, "circuit_opens_24h": 0,
    });
    assert_eq!(health, expected);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn open_circuits_and_those_of_24_hours() {
    let stack = Stack::open().await;
    let (open, over) = (stack.subscription("acme").await, stack.subscription("other").await);
    let event = async |webhook: SubscriptionId, kind: &str, at: &str, until: &str| {
        stack
            .execute(&format!(
                "INSERT INTO circuit_events (webhook_id, at, kind, owner_id, failures, open_until, worker) \
                 SELECT webhook_id, now() + interval '{at}', '{kind}', owner_id, 5, {until}, 'w-1' \
                 FROM external_webhooks WHERE webhook_id = '{}'",
                webhook.uuid()
            ))
            .await;
    };
    event(open, "OPENED", "-26 hours", "now() - interval '25 hours'").await;
    event(open, "CLOSED", "-25 hours", "NULL").await;
    event(open, "OPENED", "-2 minutes", "now() - interval '1 minute'").await;
    event(open, "REOPENED", "-1 minute", "'2099-01-01T00:00:00Z'").await;
    event(over, "OPENED", "-2 minutes", "'2099-01-01T00:00:00Z'").await;
    event(over, "CLOSED", "-1 minute", "NULL").await;

    let metrics = stack.read(WEBHOOKS).await;
    assert_eq!((&metrics["circuit_open"], &metrics["circuit_opens_24h"]), (&json!(1), &json!(2)));
    for (webhook, expected) in [(open, json!([true, "2099-01-01T00:00:00Z", 1])), (over, json!([false, null, 1]))] {
        let health = stack.read(&format!("/v1/monitoring/webhooks/{webhook}/health")).await;
        let found = ["circuit_open", "circuit_open_until", "circuit_opens_24h"].map(|field| health[field].clone());
        assert_eq!(json!(found), expected);
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_fire_strictly_above() {
    let thresholds = [
        ("ONERING_MONITORING_OPEN", "1"),
        ("ONERING_ALERT_DEAD_LETTER_24H", "2"),
        ("ONERING_ALERT_AUTH_FAILURES_24H", "3"),
        ("ONERING_ALERT_RATE_LIMIT_HITS_24H", "4"),
        ("ONERING_ALERT_REPLAY_REJECTED_24H", "5"),
        ("ONERING_ALERT_LATENCY_P90_SECONDS", "0.1"),
        ("ONERING_ALERT_SUBSCRIPTIONS_FAILING", "1"),
    ];
    let stack = Stack::with(&thresholds).await;
    let (now, webhook) = (stack.now(), SubscriptionId::floor(1));
    stack.results(now, webhook, "DEAD", 2, 2).await;
    stack.results(now, webhook, "REPLAY_EXPIRED", 5, 5).await;
    stack.answers(now, "MISSING_API_KEY", "none", false, 3).await;
    stack.answers(now, "RATE_LIMITED", "pro", false, 4).await;
    stack.latency(now, 100, 1).await;
    for owner in ["one", "two", "three"] {
        stack.subscription(owner).await;
    }
    let warned = "UPDATE external_webhooks SET failing_since = now(), failure_warnings = 1 WHERE owner_id";
    stack.execute(&format!("{warned} = 'one'")).await;
    let names = [
        "dead_letter",
        "auth_failures",
        "rate_limits",
        "replay_rejected",
        "latency_p90",
        "subscriptions_failing",
        "subscriptions_disabled",
    ];
    assert_eq!(firing(&stack).await, [false; 7].map(Some), "at the thresholds");
    let alerts = stack.read("/v1/monitoring/alerts").await;
    let listed: Vec<_> = alerts["alerts"].as_array().unwrap().iter().map(|alert| &alert["name"]).collect();
    assert_eq!(listed, names);
    assert_eq!(
        alerts["alerts"][3],
        json!({"name": "replay_rejected", "firing": false, "value": 5.0, "threshold": 5.0})
    );

    // One more of each, a minute ago; the latency by the least a bucket can show.
    let before = now - TimeDelta::minutes(1);
    stack.results(before, webhook, "GONE", 1, 1).await;
    stack.results(before, webhook, "REPLAY_EXPIRED", 1, 1).await;
    stack.answers(before, "TOO_MANY_AUTH_FAILURES", "none", false, 1).await;
    stack.answers(before, "RATE_LIMITED", "free", true, 1).await;
    stack.latency(before, 101, 9).await;
    stack.execute(&format!("{warned} = 'two'")).await;
    let disabled = "status = 'disabled', disabled_by = 'platform', disabled_reason = 'x', disabled_at = now()";
    stack.execute(&format!("UPDATE external_webhooks SET {disabled} WHERE owner_id = 'three'")).await;
    assert_eq!(firing(&stack).await, [true; 7].map(Some), "just above");
    assert_eq!(stack.read("/v1/monitoring/alerts").await["firing"], 7);
    let metrics = stack.read(WEBHOOKS).await;
    assert_eq!((&metrics["subscriptions_failing"], &metrics["subscriptions_disabled_24h"]), (&json!(2), &json!(1)));
    stack.stop().await;
}

/// Which alerts fire, if all three answers agree about it.
async fn firing(stack: &Stack) -> [Option<bool>; 7] {
    let (external, webhooks) = (stack.read(EXTERNAL).await, stack.read(WEBHOOKS).await);
    let alerts = stack.read("/v1/monitoring/alerts").await;
    let listed = |index: usize| alerts["alerts"][index]["firing"].as_bool();
    let same = |values: &[&Value], index: usize| {
        let value = listed(index);
        assert!(values.iter().all(|other| other.as_bool() == value), "{index}: {values:?} but {value:?}");
        value
    };
    let (gateway, delivery) = (&external["alerts"], &webhooks["alerts"]);
    [
        same(&[&gateway["dead_letter"], &delivery["dead_letter_exceeded"]], 0),
        same(&[&gateway["auth_failures"], &gateway["auth_failures_exceeded"]], 1),
        same(&[&gateway["rate_limits"], &gateway["rate_limit_hits_exceeded"]], 2),
        same(&[&gateway["replay_rejected"], &delivery["replay_rejected_exceeded"]], 3),
        same(&[&gateway["latency_p90"], &delivery["latency_p90_exceeded"]], 4),
        same(&[&delivery["subscriptions_failing_exceeded"]], 5),
        same(&[&delivery["subscriptions_disabled_exceeded"]], 6),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_with_their_use_a_page_at_a_time() {
    let stack = Stack::open().await;
    let first = stack.key("acme", "free", false, "").await;
    let second = stack.key("acme", "enterprise", true, "is_active = false").await;
    let third = stack.key("other", "pro", false, "expires_at = now() - interval '1 hour'").await;
    let (now, hour) = (stack.now(), TimeDelta::hours(1));
    stack.usage(first, now, 7, 1).await;
    stack.usage(first, now - hour * 23, 20, 2).await;
    stack.usage(first, now - hour * 24, 1_000, 1_000).await;

    let path = "/v1/monitoring/external/api-keys";
    let page = stack.read(&format!("{path}?limit=2")).await;
    let ids: Vec<_> = page["keys"].as_array().unwrap().iter().map(|key| key["key_id"].clone()).collect();
    assert_eq!(ids, [json!(third), json!(second)]);
    assert_eq!((&page["keys"][0]["is_active"], &page["keys"][1]["is_active"]), (&json!(false), &json!(false)));
    let cursor = page["next_cursor"].as_str().unwrap();
    let page = stack.read(&format!("{path}?limit=2&cursor={cursor}")).await;
    assert_eq!(page["next_cursor"], Value::Null);
    let key = &page["keys"][0];
    let expected = json!({
        "key_id": first, "owner_id": "acme", "name": "a key", "rate_limit_tier": "free", "canary_enabled": false,
        "is_active": true, "usage_24h": 27, "rate_limit_hits_24h": 3, "last_used_at": null, "expires_at": null,
        "created_at": key["created_at"],
    });
    assert_eq!(key, &expected);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn recent_deliveries_by_filter() {
    let stack = Stack::open().await;
    let webhook = stack.one_of_each("acme").await;
    stack.subscription("other").await;
    stack.delivery("other", "b.pending", "").await;
    let types = async |query: &str| {
        let body = stack.read(&format!("/v1/monitoring/webhooks/recent{query}")).await;
        let found = body["deliveries"].as_array().unwrap();
        found.iter().map(|found| found["event_type"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let all = ["b.pending", "a.cancelled", "a.expired", "a.dead", "a.delivered", "a.retrying", "a.held", "a.pending"];
    assert_eq!(types("").await, all);
    assert_eq!(types("?limit=2").await, all[..2]);
    assert_eq!(types("?status=DEAD").await, ["a.dead"]);
    assert_eq!(types("?status=PENDING&owner_id=acme").await, ["a.held", "a.pending"]);
    assert_eq!(types("?held=true").await, ["a.held"]);
    assert_eq!(types("?held=false&status=PENDING").await, ["b.pending", "a.pending"]);
    assert_eq!(types("?held_reason=DELIVERY_OFF").await, ["a.held"]);
    assert_eq!(types("?held_reason=SUBSCRIPTION_PAUSED").await, [""; 0]);
    assert_eq!(types("?held=true&status=DEAD").await, [""; 0]);
    assert_eq!(types("?event_type=a.retrying").await, ["a.retrying"]);
    assert_eq!(types(&format!("?webhook_id={webhook}")).await, all[1..]);
    assert_eq!(types(&format!("?webhook_id={webhook}&owner_id=other")).await, [""; 0]);
    let body = stack.read("/v1/monitoring/webhooks/recent?status=RETRYING").await;
    assert!(!body.to_string().contains("ring\""), "no payload: {body}");
    let found = &body["deliveries"][0];
    assert_eq!((&found["status"], &found["last_status_code"]), (&json!("RETRYING"), &json!(503)));
    assert_eq!((&found["last_error"], &found["webhook_id"]), (&json!("answered 503"), &json!(webhook)));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_balances_until_a_row_is_gone() {
    let stack = Stack::open().await;
    stack.one_of_each("acme").await;
    // The service's clock stands at the beginning of this minute; the rows are of a moment later.
    let to = (stack.now() + TimeDelta::hours(1)).format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let path = format!("/v1/monitoring/audit?to={to}");
    let ledger = stack.read(&path).await;
    let from = (stack.now() - TimeDelta::hours(23)).format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let expected = json!({
        "timestamp": ledger["timestamp"], "from": from, "to": to, "owner_id": null, "broadcast": null,
        "broadcast_unbalanced": null, "matched": 7, "repeated": 0, "unbalanced_events": 0, "pending": 2, "held": 1,
        "retrying": 1, "delivered": 1, "dead": 1, "replay_expired": 1, "cancelled": 1, "waiting": 3, "missing": 0,
        "balances": true,
    });
    assert_eq!(ledger, expected);
    stack.execute("DELETE FROM webhook_deliveries WHERE event_type = 'a.pending'").await;
    let ledger = stack.read(&path).await;
    assert_eq!((&ledger["missing"], &ledger["balances"]), (&json!(1), &json!(false)));
    let empty = stack.read("/v1/monitoring/audit?from=2020-01-01T00:00:00Z&to=2020-01-02T00:00:00Z").await;
    assert_eq!((&empty["matched"], &empty["balances"]), (&json!(0), &json!(true)));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_partners_ledger_and_what_cannot_be_known() {
    let stack = Stack::open().await;
    for owner in ["acme", "other"] {
        stack.subscription(owner).await;
    }
    for (owner, event_type) in [("acme", "a.own"), ("other", "b.own"), ("*", "c.all")] {
        stack.delivery(owner, event_type, "").await;
    }
    let to = (stack.now() + TimeDelta::hours(1)).format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let of = async |owner: &str| {
        let ledger = stack.read(&format!("/v1/monitoring/audit?to={to}&owner_id={owner}")).await;
        let fields = ["owner_id", "matched", "pending", "missing", "broadcast", "broadcast_unbalanced", "balances"];
        json!(fields.map(|field| ledger[field].clone()))
    };
    assert_eq!(of("acme").await, json!(["acme", 2, 2, 0, 1, 0, true]));
    stack.execute("DELETE FROM webhook_deliveries WHERE event_type = 'a.own'").await;
    assert_eq!(of("acme").await, json!(["acme", 2, 1, 1, 1, 0, false]));
    assert_eq!(of("other").await, json!(["other", 2, 2, 0, 1, 0, true]), "which is not this partner's loss");
    stack.execute("DELETE FROM webhook_deliveries WHERE event_type = 'c.all' AND owner_id = 'acme'").await;
    assert_eq!(of("other").await, json!(["other", 2, 2, 0, 1, 1, false]), "it could have been this one's");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_is_added_up_in_the_background() {
    let stack = Stack::open().await;
    let (now, webhook) = (stack.now(), stack.subscription("acme").await);
    for hours in [1, 3, 23] {
        stack.results(now - TimeDelta::hours(hours), webhook, "DELIVERED", hours, hours * 2).await;
    }
    let added_up = "SELECT coalesce(sum(count), 0)::bigint FROM delivery_totals WHERE outcome = 'DELIVERED'";
    eventually(Duration::from_secs(60), "the totals are written", async || {
        stack.sql.query_one(added_up, &[]).await.unwrap().get::<_, i64>(0) == 27
    })
    .await;
    stack.results(now, webhook, "DELIVERED", 100, 100).await;
    assert_eq!(stack.read(WEBHOOKS).await["delivered"], 127);
    stack.stop().await;
}
