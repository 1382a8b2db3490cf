//! What is not answered, and how: no source, no credentials, no such thing, a bad question.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's helpers fail it by panicking")]

mod support;

use std::time::Duration;

use onering_clock::Clock;
use onering_ids::AdminKeyId;
use onering_keys::AdminToken;
use onering_testkit::eventually;
use support::{SOON, Stack, answer, problem};

const CALLS: [&str; 7] = [
    "/v1/monitoring/external/metrics",
    "/v1/monitoring/external/api-keys",
    "/v1/monitoring/webhooks/metrics",
    "/v1/monitoring/webhooks/recent",
    "/v1/monitoring/webhooks/wh_01h455vb4pex5vsknk084sn02q/health",
    "/v1/monitoring/alerts",
    "/v1/monitoring/audit",
];

fn refusal(status: u16, code: &str, field: Option<&str>) -> (u16, String, Option<String>) {
    (status, code.to_owned(), field.map(str::to_owned))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_cannot_be_read_is_503_and_never_a_zero() {
    let stack = Stack::open().await;
    stack.network.cut();
    for path in CALLS {
        let refused = problem(stack.request(path)).await;
        assert_eq!(refused, refusal(503, "DEPENDENCY_UNAVAILABLE", None), "{path}");
    }
    stack.network.restore();
    stack.read(CALLS[0]).await;
    // A table that is gone is as unreadable as a server.
    stack.execute("ALTER TABLE delivery_stats RENAME TO elsewhere").await;
    for path in [CALLS[0], CALLS[2], CALLS[5]] {
        assert_eq!(problem(stack.request(path)).await, refusal(503, "DEPENDENCY_UNAVAILABLE", None), "{path}");
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gauges_of_an_unreadable_source_are_not_numbers() {
    let stack = Stack::open().await;
    let shows = async |name: &str, value: &str| {
        let metrics = stack.metrics().await;
        let line = metrics.lines().find(|line| line.starts_with(&format!("{name}{{"))).unwrap_or_default().to_owned();
        if line.ends_with(&format!(" {value}")) { Ok(()) } else { Err(line) }
    };
    for (name, value) in
        [("onering_deliveries_pending", "0"), ("onering_ledger_balanced", "1"), ("onering_monitoring_readable", "1")]
    {
        eventually(SOON, name, async || shows(name, value).await).await;
    }
    stack.network.cut();
    for (name, value) in [("onering_deliveries_pending", "NaN"), ("onering_monitoring_readable", "0")] {
        eventually(Duration::from_secs(40), name, async || shows(name, value).await).await;
    }
    stack.stop().await;
}

/// What waits is read by itself: where that fails, or takes too long, the alerts are there all the same.
#[tokio::test(flavor = "multi_thread")]
async fn alerts_do_not_depend_on_what_waits() {
    let stack = Stack::open().await;
    stack.execute("ALTER TABLE webhook_deliveries RENAME TO out_of_reach").await;
    let shows = async |start: &str, value: &str| {
        let metrics = stack.metrics().await;
        let line = metrics.lines().find(|line| line.starts_with(start)).unwrap_or_default().to_owned();
        if line.ends_with(&format!(" {value}")) { Ok(()) } else { Err(line) }
    };
    for (start, value) in [
        ("onering_deliveries_pending{", "NaN"),
        ("onering_monitoring_readable{", "0"),
        ("onering_alert_firing{alert=\"auth_failures\"", "0"),
    ] {
        eventually(SOON, start, async || shows(start, value).await).await;
    }
    stack.read("/v1/monitoring/alerts").await;
    stack.read("/v1/monitoring/external/metrics").await;
    let refused = problem(stack.request("/v1/monitoring/webhooks/metrics")).await;
    assert_eq!(refused, refusal(503, "DEPENDENCY_UNAVAILABLE", None));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_only_unless_it_is_open() {
    let stack = Stack::with(&[("ONERING_ADMIN_JWT_SECRET", support::JWT_SECRET)]).await;
    let (viewer, revoked) = (admin_key(&stack, "NULL").await, admin_key(&stack, "now()").await);
    let unknown = AdminToken::from_entropy([9; 32]);
    for path in CALLS {
        let asked_badly = format!("{path}?no=such&limit=-1");
        for path in [path, &asked_badly] {
            assert_eq!(problem(stack.request(path)).await, refusal(401, "UNAUTHORIZED", None), "{path}");
        }
        for bad in [revoked.expose(), unknown.expose(), "oak_garbled", "osk_no"] {
            let refused = problem(stack.request(path).header("X-Admin-Key", bad)).await;
            assert_eq!(refused, refusal(401, "UNAUTHORIZED", None), "{path}");
        }
    }
    let good = async |path: &str| {
        let (by_header, _) = answer(stack.request(path).header("X-Admin-Key", viewer.expose())).await;
        let (by_bearer, _) = answer(stack.request(path).bearer_auth(viewer.expose())).await;
        (by_header.as_u16(), by_bearer.as_u16())
    };
    assert_eq!(good(CALLS[0]).await, (200, 200), "a viewer may look");
    assert_eq!(good(CALLS[6]).await, (200, 200));
    let noted = stack.sql.query_one("SELECT count(*) FROM admin_keys WHERE last_used_at IS NOT NULL", &[]).await;
    assert_eq!(noted.unwrap().get::<_, i64>(0), 1, "the key's use is noted");
    // Who looks cannot be found out: that is no permission.
    stack.network.cut();
    let refused = problem(stack.request(CALLS[0]).header("X-Admin-Key", viewer.expose())).await;
    assert_eq!(refused, refusal(503, "DEPENDENCY_UNAVAILABLE", None));
    stack.stop().await;
}

async fn admin_key(stack: &Stack, revoked_at: &str) -> AdminToken {
    let clock = Clock::system();
    let (id, token): (AdminKeyId, _) = (clock.fresh_id(), AdminToken::from_entropy(clock.entropy32()));
    let digest = token.digest();
    let insert = format!(
        "INSERT INTO admin_keys (admin_key_id, name, role, digest, created_by, revoked_at) \
         VALUES ('{}', 'ada', 'viewer', $1, 'test', {revoked_at})",
        id.uuid()
    );
    stack.sql.execute(&insert, &[&digest.as_bytes().as_slice()]).await.unwrap();
    token
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_questions_name_what_is_bad() {
    let stack = Stack::open().await;
    let recent = "/v1/monitoring/webhooks/recent?";
    let keys = "/v1/monitoring/external/api-keys?";
    let audit = "/v1/monitoring/audit?";
    let query = |field| refusal(400, "INVALID_QUERY", field);
    for (path, expected) in [
        (format!("{recent}page=2"), query(Some("page"))),
        (format!("{recent}limit=-1"), query(Some("limit"))),
        (format!("{recent}limit=201"), query(Some("limit"))),
        (format!("{recent}status=dead"), query(Some("status"))),
        (format!("{recent}event_type=no%20type"), query(Some("event_type"))),
        (format!("{recent}webhook_id=key_01h455vb4pex5vsknk084sn02q"), query(Some("webhook_id"))),
        (format!("{recent}owner_id=%21"), query(Some("owner_id"))),
        (format!("{recent}owner_id=%FF"), query(None)),
        (format!("{keys}limit=0"), query(Some("limit"))),
        (format!("{keys}cursor=abc"), refusal(400, "INVALID_CURSOR", Some("cursor"))),
        (format!("{audit}from=yesterday"), query(Some("from"))),
        (format!("{audit}from=2026-03-02T00:00:00Z&to=2026-03-02T00:00:00Z"), query(Some("from"))),
        (format!("{audit}to=-262143-01-01T00:00:00Z"), query(Some("from"))),
        (format!("{audit}owner_id=%21"), query(Some("owner_id"))),
        (format!("{audit}owner_id=nobody"), refusal(404, "NOT_FOUND", None)),
    ] {
        assert_eq!(problem(stack.request(&path)).await, expected, "{path}");
    }
    let told = answer(stack.request(&format!("{recent}status=dead"))).await.1;
    let rule = "Not a known delivery status: use PENDING, RETRYING, DELIVERED, DEAD, REPLAY_EXPIRED, CANCELLED.";
    assert_eq!(told["detail"], rule);
    let not_found = refusal(404, "NOT_FOUND", None);
    for path in ["webhooks/wh_01h455vb4pex5vsknk084sn02q/health", "webhooks/x/health", "webhooks", "nothing"] {
        assert_eq!(problem(stack.request(&format!("/v1/monitoring/{path}"))).await, not_found, "{path}");
    }
    let post = onering_testkit::http_client().post(stack.url("/v1/monitoring/alerts"));
    assert_eq!(problem(post).await, refusal(405, "METHOD_NOT_ALLOWED", None));
    stack.stop().await;
}
