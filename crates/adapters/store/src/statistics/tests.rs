use chrono::TimeDelta;

use super::*;
use crate::testing::World;

fn minute() -> DateTime<Utc> {
    "2026-03-01T12:34:00Z".parse().unwrap()
}

fn ok(minute: DateTime<Utc>, count: u64) -> RequestCount {
    RequestCount { minute, code: "OK".to_owned(), tier: "free".to_owned(), canary: false, count }
}

#[tokio::test]
async fn reports_add_up_per_minute_and_process() {
    let mut world = World::new().await;
    let conn = &mut world.connection;
    let later = minute() + TimeDelta::seconds(59);
    let refused = RequestCount { code: "RATE_LIMITED".to_owned(), ..ok(minute(), 2) };
    let latency = |bucket, count| LatencyCount { minute: later, bucket, count };
    record(conn, "gw-1", &[ok(minute(), 3), refused, ok(later, 4)], &[latency(100, 5), latency(100, 1)]).await.unwrap();
    record(conn, "gw-1", &[ok(minute(), 10)], &[]).await.unwrap();
    record(conn, "gw-1", &[], &[latency(100, 10)]).await.unwrap();
    record(conn, "gw-2", &[ok(minute(), 1)], &[latency(200, 1)]).await.unwrap();
    record(conn, "gw-2", &[], &[]).await.unwrap();

    let rows = |table: &str, label: &str| {
        format!(
            "SELECT string_agg(format('%s %s %s', process, {label}, count), '; ' ORDER BY process, {label}) \
             FROM {table} WHERE minute = '2026-03-01T12:34:00Z'"
        )
    };
    let requests = world.text(&rows("request_stats", "code")).await;
    assert_eq!(requests.as_deref(), Some("gw-1 OK 17; gw-1 RATE_LIMITED 2; gw-2 OK 1"));
    let latencies = world.text(&rows("request_latency_stats", "bucket")).await;
    assert_eq!(latencies.as_deref(), Some("gw-1 100 16; gw-2 200 1"));
}

#[tokio::test]
async fn old_minutes_go_a_piece_at_a_time() {
    let mut world = World::new().await;
    let minutes: Vec<_> = (0..10).map(|n| minute() + TimeDelta::minutes(n)).collect();
    let counts: Vec<_> = minutes.iter().map(|minute| ok(*minute, 1)).collect();
    let latencies: Vec<_> =
        minutes.iter().map(|minute| LatencyCount { minute: *minute, bucket: 1, count: 1 }).collect();
    record(&mut world.connection, "gw-1", &counts, &latencies).await.unwrap();
    world
        .sql(
            "INSERT INTO delivery_stats (minute, process, webhook_id, outcome) \
             SELECT minute, process, gen_random_uuid(), 'DEAD' FROM request_stats; \
             INSERT INTO delivery_latency_stats SELECT minute, process, 1, 1 FROM request_stats; \
             INSERT INTO delivery_totals (slot, outcome, count, attempts) \
             SELECT '2026-03-01T12:40:00Z'::timestamptz + n * interval '10 minutes', 'DEAD', 1, 1 FROM generate_series(-6, 3) AS n; \
             INSERT INTO delivery_latency_totals SELECT slot, 1, 1 FROM delivery_totals; \
             INSERT INTO external_api_usage (key_id, hour, admitted) SELECT gen_random_uuid(), minute, 1 FROM request_stats",
        )
        .await;
    let mut removed = Vec::new();
    loop {
        let gone = prune(&mut world.connection, minutes[7], 4).await.unwrap();
        if gone == 0 {
            break;
        }
        removed.push(gone);
    }
    assert_eq!(removed, [28, 21]);
    for table in ["request_stats", "request_latency_stats", "delivery_stats", "delivery_latency_stats"] {
        let left = format!("SELECT count(*) FROM {table} WHERE minute >= '2026-03-01T12:41:00Z'");
        assert_eq!(world.number(&left).await, 3, "{table}");
        assert_eq!(world.number(&format!("SELECT count(*) FROM {table}")).await, 3, "{table}");
    }
    for table in ["delivery_totals", "delivery_latency_totals"] {
        assert_eq!(world.number(&format!("SELECT count(*) FROM {table} WHERE slot > '2026-03-01T12:41:00Z'")).await, 3);
        assert_eq!(world.number(&format!("SELECT count(*) FROM {table}")).await, 3, "{table}");
    }
    let usage = "SELECT count(*) FROM external_api_usage";
    assert_eq!(world.number(&format!("{usage} WHERE hour >= '2026-03-01T12:41:00Z'")).await, 3);
    assert_eq!(world.number(usage).await, 3);
}
