//! Replays as operators start, watch and stop them. No worker runs here: what one does is tested beside it.

use onering_keys::Role;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{World, text};

const REPLAYS: &str = "/v1/admin/external/replays";

/// A subscription of this partner, whose deliveries are this often in each of the statuses.
async fn deliveries(world: &World, owner: &str, statuses: &[(&str, i64)]) -> Value {
    let hook = json!({"owner_id": owner, "url": "http://127.0.0.1:9/hook", "events": ["*"]});
    let subscription = world.subscription(&hook).await;
    let client = world.database.connect().await;
    for (status, count) in statuses {
        let sql = "SELECT onering.publish_event($1, 'ring.forged', '{}') FROM generate_series(1, $2::bigint)";
        client.query(sql, &[&owner, count]).await.unwrap();
        let delivered_at = if *status == "DELIVERED" { "now()" } else { "NULL" };
        let settle = format!(
            "UPDATE webhook_deliveries SET status = '{status}', settled_at = now(), delivered_at = {delivered_at}, \
             queued_until = NULL WHERE settled_at IS NULL"
        );
        client.execute(&settle, &[]).await.unwrap();
    }
    subscription
}

fn range(further: &Value) -> Value {
    let mut body = json!({"from": "2020-01-01T00:00:00Z", "to": "2999-01-01T00:00:00Z"});
    for (field, value) in further.as_object().unwrap() {
        body[field] = value.clone();
    }
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_is_started_watched_and_cancelled() {
    let world = World::new().await;
    let subscription = deliveries(&world, "acme", &[("DEAD", 3), ("REPLAY_EXPIRED", 2), ("DELIVERED", 4)]).await;
    let replay = world.post(REPLAYS, &range(&json!({}))).await.expect(201);
    let id = text(&replay, "id");
    assert!(id.starts_with("rpl_"), "{id}");
    for (field, expected) in [
        ("state", json!("RUNNING")),
        ("from", json!("2020-01-01T00:00:00.000Z")),
        ("to", json!("2999-01-01T00:00:00.000Z")),
        ("status", json!(["DEAD", "REPLAY_EXPIRED"])),
        ("webhook_id", Value::Null),
        ("event_type", Value::Null),
        ("owner_id", Value::Null),
        ("rate_per_second", json!(100)),
        ("matched", json!(5)),
        ("replayed", json!(0)),
        ("skipped", json!({"subscription_deleted": 0, "event_gone": 0, "still_waiting": 0, "already_delivered": 0})),
        ("left", json!(5)),
        ("seconds_left", json!(1)),
        ("cursor", json!("2020-01-01T00:00:00.000Z")),
        ("worker", Value::Null),
        ("error", Value::Null),
        ("created_by", json!(world.audit().await[1]["actor"])),
        ("started_at", Value::Null),
        ("finished_at", Value::Null),
    ] {
        assert_eq!(replay[field], expected, "{field}");
    }
    let of_one = format!("{REPLAYS}/{id}");
    assert_eq!(world.get(&of_one).await.expect(200), replay);

    let narrow = json!({"status": "DELIVERED", "webhook_id": subscription["id"], "event_type": "ring.forged",
                        "rate_per_second": 3});
    let narrowed = world.post(REPLAYS, &range(&narrow)).await.expect(201);
    assert_eq!((&narrowed["matched"], &narrowed["seconds_left"]), (&json!(4), &json!(2)));
    assert_eq!((&narrowed["owner_id"], &narrowed["webhook_id"]), (&json!("acme"), &subscription["id"]));

    let cancelled = world.post(&format!("{of_one}/cancel"), &json!({})).await.expect(200);
    assert_eq!((&cancelled["state"], &cancelled["seconds_left"]), (&json!("CANCELLED"), &Value::Null));
    assert!(cancelled["finished_at"].is_string());
    assert_eq!(world.get(&of_one).await.expect(200), cancelled);
    let again = world.post(&format!("{of_one}/cancel"), &json!({})).await;
    assert_eq!(again.refusal(), (409, "CONFLICT", None));
    assert_eq!(again.body["detail"], "The replay is CANCELLED already.");

    let page = world.get(&format!("{REPLAYS}?limit=1")).await.expect(200);
    assert_eq!(page["items"], json!([narrowed]));
    let rest = world.get(&format!("{REPLAYS}?limit=1&cursor={}", text(&page, "next_cursor"))).await.expect(200);
    assert_eq!((&rest["items"], &rest["next_cursor"]), (&json!([cancelled]), &Value::Null));
    let running = world.get(&format!("{REPLAYS}?state=RUNNING")).await.expect(200);
    assert_eq!(running["items"], json!([narrowed]));

    let log = world.audit().await;
    let actions: Vec<_> = log.iter().map(|row| row["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["subscription.create", "replay.create", "replay.create", "replay.cancel"]);
    assert_eq!((&log[1]["target_id"], &log[1]["after"]), (&json!(id), &replay));
    assert_eq!((&log[3]["before"]["state"], &log[3]["after"]), (&json!("RUNNING"), &cancelled));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_counts_and_writes_nothing() {
    let world = World::new().await;
    let busy = deliveries(&world, "busy", &[("DEAD", 4), ("REPLAY_EXPIRED", 1), ("CANCELLED", 2)]).await;
    let calm = deliveries(&world, "calm", &[("DEAD", 2), ("DELIVERED", 3)]).await;
    let counted = world.post(REPLAYS, &range(&json!({"dry_run": true}))).await.expect(200);
    let by_subscription = json!([{"webhook_id": busy["id"], "matched": 5}, {"webhook_id": calm["id"], "matched": 2}]);
    let expected = json!({"dry_run": true, "matched": 7, "by_status": {"DEAD": 6, "REPLAY_EXPIRED": 1},
                          "subscriptions": 2, "by_subscription": by_subscription});
    assert_eq!(counted, expected);
    let of_calm = json!({"dry_run": true, "owner_id": "calm", "status": ["DELIVERED", "DEAD"]});
    let counted = world.post(REPLAYS, &range(&of_calm)).await.expect(200);
    assert_eq!((&counted["matched"], &counted["by_status"]), (&json!(5), &json!({"DEAD": 2, "DELIVERED": 3})));
    let nothing = json!({"dry_run": true, "to": "2020-01-02T00:00:00Z"});
    let counted = world.post(REPLAYS, &range(&nothing)).await.expect(200);
    assert_eq!((&counted["matched"], &counted["by_subscription"]), (&json!(0), &json!([])));

    assert_eq!(world.get(REPLAYS).await.expect(200)["items"], json!([]));
    assert_eq!(world.audit().await.len(), 2, "the two subscriptions");
    let client = world.database.connect().await;
    let made: i64 =
        client.query_one("SELECT count(*) FROM webhook_deliveries WHERE settled_at IS NULL", &[]).await.unwrap().get(0);
    assert_eq!(made, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_replayed_is_refused_by_field() {
    let world = World::new().await;
    let subscription = deliveries(&world, "acme", &[]).await;
    world.post("/v1/admin/partners", &json!({"owner_id": "other"})).await.expect(201);
    let (invalid, unknown) = ("VALIDATION_FAILED", "UNKNOWN_FIELD");
    for (further, code, field) in [
        (json!({"from": "2999-01-01T00:00:00Z"}), invalid, "to"),
        (json!({"from": "2999-01-02T00:00:00Z"}), invalid, "to"),
        (json!({"from": "1969-01-01T00:00:00Z"}), invalid, "from"),
        (json!({"from": "yesterday"}), invalid, "from"),
        (json!({"from": null}), invalid, "from"),
        (json!({"to": 7}), invalid, "to"),
        (json!({"status": "FINE"}), invalid, "status"),
        (json!({"status": "PENDING"}), invalid, "status"),
        (json!({"status": []}), invalid, "status"),
        (json!({"status": ["DEAD", "nope"]}), invalid, "status[1]"),
        (json!({"status": ["RETRYING"]}), invalid, "status"),
        (json!({"webhook_id": "wh_01h455vb4pex5vsknk084sn02q"}), invalid, "webhook_id"),
        (json!({"webhook_id": "x"}), invalid, "webhook_id"),
        (json!({"webhook_id": subscription["id"], "owner_id": "other"}), invalid, "owner_id"),
        (json!({"owner_id": "nobody"}), invalid, "owner_id"),
        (json!({"event_type": "a b"}), invalid, "event_type"),
        (json!({"event_type": "ring.*"}), invalid, "event_type"),
        (json!({"rate_per_second": 0}), invalid, "rate_per_second"),
        (json!({"rate_per_second": 10_001}), invalid, "rate_per_second"),
        (json!({"rate_per_second": -5}), invalid, "rate_per_second"),
        (json!({"dry_run": "yes"}), invalid, "dry_run"),
        (json!({"statuses": ["DEAD"]}), unknown, "statuses"),
    ] {
        for dry_run in [json!(true), json!(false)] {
            let mut body = range(&further);
            body.as_object_mut().unwrap().entry("dry_run").or_insert(dry_run);
            let refused = world.post(REPLAYS, &body).await;
            assert_eq!(refused.refusal(), (422, code, Some(field)), "{body}: {:#}", refused.body);
        }
    }
    let missing = world.post(REPLAYS, &json!({"from": "2020-01-01T00:00:00Z"})).await;
    assert_eq!(missing.refusal(), (422, invalid, Some("to")));
    let query = world.get(&format!("{REPLAYS}?state=SLOW")).await;
    assert_eq!(query.refusal(), (400, "INVALID_QUERY", Some("state")));
    for path in
        [format!("{REPLAYS}/rpl_01h455vb4pex5vsknk084sn02q"), format!("{REPLAYS}/dlv_01h455vb4pex5vsknk084sn02q")]
    {
        assert_eq!(world.get(&path).await.refusal(), (404, "NOT_FOUND", None));
        assert_eq!(world.post(&format!("{path}/cancel"), &json!({})).await.refusal(), (404, "NOT_FOUND", None));
    }
    assert_eq!(world.get(REPLAYS).await.expect(200)["items"], json!([]), "nothing was made");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_sees_replays_and_starts_none() {
    let world = World::new().await;
    let body = range(&json!({"dry_run": true}));
    let refused = world.call(Role::Viewer, Method::POST, REPLAYS, Some(&body)).await;
    assert_eq!(refused.refusal(), (403, "FORBIDDEN", None));
    world.call(Role::Viewer, Method::GET, REPLAYS, None).await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_so_many_run_at_once() {
    let world = World::new().await;
    let mut last = Value::Null;
    for _ in 0..20 {
        last = world.post(REPLAYS, &range(&json!({}))).await.expect(201);
    }
    let refused = world.post(REPLAYS, &range(&json!({}))).await;
    assert_eq!(refused.refusal(), (409, "CONFLICT", None));
    world.post(&format!("{REPLAYS}/{}/cancel", text(&last, "id")), &json!({})).await.expect(200);
    world.post(REPLAYS, &range(&json!({}))).await.expect(201);
    assert_eq!(world.audit().await.len(), 22, "what was refused is not in the log");
}
