//! What the hot statements must not do: be prepared twice, or read a table from end to end.

use std::time::Duration;

use diesel::dsl::sql;
use diesel::sql_types::{BigInt, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use onering_delivery::{HeldReason, Settlement, Work};
use onering_ids::SubscriptionId;

use crate::testing::{LEASE, World};
use crate::{Context, deliveries, leases, monitoring_reads, settlement, transaction};

/// Once through every hot statement: ingest, sweep, renew, settle.
async fn round(world: &mut World) {
    let (_, works) = world.publish_under("acme", "ring.forged", Duration::ZERO).await;
    let swept = world.sweep(100).await;
    assert_eq!(swept[0].work.delivery_id, works[0].delivery_id);
    let work = swept[0].work.clone();
    let renewal = leases::Renewal { delivery_id: work.delivery_id, lease: work.lease, length: LEASE };
    let (_, lease) = leases::renew(&mut world.connection, &[renewal], None).await.unwrap().remove(0);
    let result = world.delivered(&Work { lease, ..work });
    settlement::settle(&mut world.connection, "w", &[result]).await.unwrap();
    leases::held_subscriptions(&mut world.connection, &[HeldReason::SubscriptionPaused]).await.unwrap();
    crate::database_clock::read(&mut world.connection).await.unwrap();
}

#[tokio::test]
async fn are_prepared_once_for_each_connection() {
    let mut world = World::new().await;
    world.subscription("acme", "*").await;
    round(&mut world).await;
    let prepared = "SELECT string_agg(name, ',' ORDER BY name) FROM pg_prepared_statements \
                    WHERE statement NOT LIKE '%pg_prepared_statements%'";
    let before = world.text(prepared).await.unwrap();
    assert_eq!(before.split(',').count(), 6, "one each");
    for _ in 0..3 {
        round(&mut world).await;
    }
    assert_eq!(world.text(prepared).await.unwrap(), before, "nothing was prepared again");
}

/// A day of traffic: many settled rows, few waiting ones, in a table whose statistics Postgres knows.
async fn busy_day(world: &mut World) {
    for owner in ["acme", "other"] {
        world.subscription(owner, "*").await;
    }
    world
        .sql(
            "INSERT INTO webhook_deliveries (delivery_id, event_id, webhook_id, owner_id, event_type, status, attempt_count, \
                 delivered_at, settled_at, created_at) \
             SELECT onering.uuid_v7(), onering.uuid_v7(), w.webhook_id, w.owner_id, 'a.b', 'DELIVERED', 1, now(), now(), now() \
             FROM external_webhooks AS w, generate_series(1, 20000); \
             INSERT INTO webhook_events (event_id, owner_id, event_type, body, matched, occurred_at, created_at) \
             SELECT onering.uuid_v7(), 'acme', 'a.b', 'x', 0, now(), now() FROM generate_series(1, 20000)",
        )
        .await;
    for _ in 0..20 {
        world.publish_under("acme", "a.b", Duration::ZERO).await;
    }
    analyze(world).await;
}

/// As autovacuum would: it leaves alone what nobody wrote to, such as the days to come.
async fn analyze(world: &mut World) {
    let analyze = "SELECT string_agg('ANALYZE ' || relname, ';') FROM pg_stat_user_tables WHERE n_tup_ins > 0";
    world.sql("SELECT pg_stat_force_next_flush()").await;
    let analyze = world.text(analyze).await.unwrap();
    assert!(analyze.contains("webhook_deliveries_"), "{analyze}");
    world.sql(&analyze).await;
}

/// The plan of a statement with these arguments, as `psql` would write them: the one made for them, or the general one.
async fn plan(world: &mut World, statement: &str, types: &str, arguments: &str, mode: &str) -> String {
    world.sql(&format!("SET plan_cache_mode = {mode}; PREPARE explained ({types}) AS {statement}")).await;
    let lines: Vec<String> =
        sql::<Text>(&format!("EXPLAIN EXECUTE explained ({arguments})")).load(&mut world.connection).await.unwrap();
    world.sql("DEALLOCATE explained; RESET plan_cache_mode").await;
    lines.join("\n")
}

fn assert_no_scan(plan: &str) {
    for table in ["webhook_deliveries", "webhook_events", "external_delivery_logs"] {
        assert!(!plan.contains(&format!("Seq Scan on {table}")), "{plan}");
    }
}

const MODES: [&str; 2] = ["force_custom_plan", "force_generic_plan"];

#[tokio::test]
async fn the_sweep_reads_only_what_is_due() {
    let mut world = World::new().await;
    busy_day(&mut world).await;
    for mode in MODES {
        let types = "timestamptz, bigint, uuid[], bigint, bigint, bigint, bigint, uuid[], bigint[], bigint[], bigint[], bigint[], bigint, interval, bigint";
        let arguments = "now() + '5 s', 0, ARRAY[onering.uuid_v7()], 100, 1, 1, 1, ARRAY[onering.uuid_v7()], '{1}', '{1}', '{1}', '{1}', 100, '30 s', 1000000";
        let plan = plan(&mut world, leases::Sweep::SQL, types, arguments, mode).await;
        assert_no_scan(&plan);
        assert!(plan.contains("queued_until_idx") && plan.contains("held_reason_delivery_id_idx"), "{plan}");
    }
}

/// Many deliveries of the first subscription, held; answers its id as SQL.
async fn held(world: &mut World) -> String {
    let webhook =
        world.text("SELECT quote_literal(min(webhook_id::text)) || '::uuid' FROM external_webhooks").await.unwrap();
    world
        .sql(&format!(
            "INSERT INTO webhook_deliveries (delivery_id, event_id, webhook_id, owner_id, event_type, held_reason, created_at) \
             SELECT onering.uuid_v7(), onering.uuid_v7(), {webhook}, 'acme', 'a.b', 'BREAKER_OPEN', now() \
             FROM generate_series(1, 20000)"
        ))
        .await;
    analyze(world).await;
    webhook
}

/// By the index of what is held, in every day; the key is for what was found.
fn assert_finds_what_is_held(plan: &str) {
    for scan in plan.lines().filter(|line| line.contains("Scan using webhook_deliveries_")) {
        let is_of_found = scan.contains(" d_");
        assert!(is_of_found || scan.contains("_held_reason_webhook_id_"), "{scan} in\n{plan}");
    }
}

/// In each day the index is followed to what is wanted: nothing that is held is sorted, however much it is.
#[tokio::test]
async fn a_probe_is_found_among_what_is_held() {
    let mut world = World::new().await;
    busy_day(&mut world).await;
    let webhook = held(&mut world).await;
    for mode in MODES {
        let arguments = format!("'BREAKER_OPEN', ARRAY[{webhook}]");
        let plan = plan(&mut world, leases::ReleaseOldest::SQL, "text, uuid[]", &arguments, mode).await;
        assert_no_scan(&plan);
        assert!(!plan.contains("Sort  ("), "{plan}");
        assert_finds_what_is_held(&plan);
    }
}

#[tokio::test]
async fn what_is_released_is_found_among_what_is_held() {
    let mut world = World::new().await;
    busy_day(&mut world).await;
    let webhook = held(&mut world).await;
    for mode in MODES {
        let arguments = format!("'BREAKER_OPEN', 2000, ARRAY[{webhook}]");
        let plan = plan(&mut world, leases::ReleaseSubscriptions::SQL, "text, bigint, uuid[]", &arguments, mode).await;
        assert_no_scan(&plan);
        // What is sorted is no more than was found.
        assert!(plan.matches("Sort  (").count() <= 1, "{plan}");
        assert_finds_what_is_held(&plan);
    }
}

/// Deliveries on both sides of a backlog, whatever Postgres takes the day's table for: one it knows nothing of, one that it saw
/// young and takes for small, one that it knows.
#[tokio::test]
async fn sweeping_settling_and_renewing_read_no_rows_but_their_own() {
    for (before, after) in [("", ""), ("ANALYZE webhook_deliveries", ""), ("", "ANALYZE webhook_deliveries")] {
        let mut world = World::new().await;
        let webhook = world.subscription("acme", "*").await;
        let mut works = world.publish("acme", "a.b").await;
        works.extend(world.publish("acme", "a.b").await);
        world.sql(before).await;
        world
            .sql(&format!(
                "INSERT INTO webhook_deliveries (delivery_id, event_id, webhook_id, owner_id, event_type, held_reason, created_at) \
                 SELECT onering.uuid_v7(), onering.uuid_v7(), '{}', 'acme', 'a.b', 'BREAKER_OPEN', now() FROM generate_series(1, 5000)",
                webhook.uuid()
            ))
            .await;
        for _ in 0..2 {
            world.publish_under("acme", "a.b", Duration::ZERO).await;
        }
        world.sql(after).await;
        world.sql("BEGIN").await;
        let swept = world.sweep(10).await;
        assert_eq!(swept.len(), 2);
        assert_read(&mut world, "sweep", 10).await;
        works.extend(swept.into_iter().map(|swept| swept.work));
        let renewal = |work: &Work| leases::Renewal { delivery_id: work.delivery_id, lease: work.lease, length: LEASE };
        let renewals: Vec<_> = works.iter().map(renewal).collect();
        let renewed = leases::renew(&mut world.connection, &renewals, None).await.unwrap();
        assert_read(&mut world, "sweep and renew", 14).await;
        for work in &mut works {
            work.lease = renewed.iter().find(|(id, _)| *id == work.delivery_id).unwrap().1;
        }
        let results: Vec<_> = works.iter().map(|work| world.delivered(work)).collect();
        let settled = settlement::settle(&mut world.connection, "w", &results).await.unwrap();
        assert_eq!(settled.written.len(), 4);
        assert_read(&mut world, "sweep, renew and settle", 18).await;
        world.sql("COMMIT").await;
    }
}

/// However many partners there are, who has nothing to do with an event or a delivery is not read for it.
#[tokio::test]
async fn nobody_is_read_but_those_concerned() {
    let mut world = World::new().await;
    world.subscription("acme", "*").await;
    world
        .sql(
            "INSERT INTO partners (owner_id, name) SELECT 'other-' || n, 'Other' FROM generate_series(1, 500) AS n; \
             INSERT INTO external_webhooks (webhook_id, owner_id, url, events) \
             SELECT onering.uuid_v7(), 'other-' || n, 'https://example.invalid/', '{*}' FROM generate_series(1, 500) AS n, generate_series(1, 40)",
        )
        .await;
    world.sql("ANALYZE partners, external_webhooks").await;
    // What was read until now is not counted: the view has it until it is flushed.
    world.sql("SELECT pg_stat_force_next_flush()").await;
    world.sql("BEGIN").await;
    round(&mut world).await;
    let read = "SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::bigint FROM pg_stat_xact_user_tables \
                WHERE relname IN ('partners', 'external_webhooks')";
    let read = world.number(read).await;
    assert!((1..=10).contains(&read), "{read} rows of partners and subscriptions were read");
    world.sql("COMMIT").await;
}

/// As many deliveries of one owner as make a limit of 20,000 look like no limit, in a table that is not analysed and in one that
/// is: the most that each look reads is its bound, and what waits.
#[tokio::test]
async fn looks_at_the_newest_and_at_what_waits_read_no_more_than_that() {
    let mut world = World::new().await;
    let webhook = world.subscription("acme", "*").await;
    let waiting = world.publish("acme", "a.b").await.remove(0);
    let held = world.publish("acme", "a.b").await.remove(0);
    let hold = Settlement::hold(&held, HeldReason::BreakerOpen);
    settlement::settle(&mut world.connection, "w", &[hold]).await.unwrap();
    many_delivered(&mut world, webhook).await;
    let owner = "acme".parse().unwrap();
    for statistics in ["", "ANALYZE webhook_deliveries"] {
        world.sql(statistics).await;
        let page = deliveries::Page { limit: 99, before: None };
        let read = rows_read(&mut world, async |connection| {
            let filter = deliveries::DeliveryFilter::default();
            let page = deliveries::list(connection, &owner, &filter, page).await.unwrap();
            assert_eq!(page.items.len(), 99);
        });
        // One more of each day that has some.
        assert_within(read.await, 100..=101);
        let read = rows_read(&mut world, async |connection| {
            let filter = monitoring_reads::RecentFilter { webhook_id: Some(webhook), ..Default::default() };
            let recent = monitoring_reads::recent_deliveries(connection, &filter, 50).await.unwrap();
            assert_eq!(recent.len(), 50);
        });
        assert_within(read.await, 20_000..=20_001);
        let read = rows_read(&mut world, async |connection| {
            let waiting = monitoring_reads::waiting_of(connection, webhook).await.unwrap();
            assert_eq!(waiting.held.len(), 1);
        });
        // What is held is looked for by reason, then counted.
        assert_within(read.await, 20_000..=20_006);
        let read = rows_read(&mut world, async |connection| {
            let found = monitoring_reads::waiting(connection).await.unwrap();
            assert_eq!((found.pending, found.oldest_waiting_at), (2, Some(waiting.created_at.to_utc())));
        });
        assert_within(read.await, 1..=6);
    }
    let setting = world.text("SELECT current_setting('enable_seqscan') || current_setting('enable_bitmapscan')").await;
    assert_eq!(setting.as_deref(), Some("onon"), "other statements are planned as ever");
}

fn assert_within(read: i64, bound: std::ops::RangeInclusive<i64>) {
    assert!(bound.contains(&read), "{read} rows were read, not {bound:?}");
}

async fn many_delivered(world: &mut World, webhook: SubscriptionId) {
    world
        .sql(&format!(
            "INSERT INTO webhook_deliveries (delivery_id, event_id, webhook_id, owner_id, event_type, status, attempt_count, \
                 delivered_at, settled_at, created_at) \
             SELECT onering.uuid_v7(), onering.uuid_v7(), '{}', 'acme', 'a.b', 'DELIVERED', 1, now(), now(), now() \
             FROM generate_series(1, 60000)",
            webhook.uuid()
        ))
        .await;
}

/// Rows of deliveries that `look` reads.
async fn rows_read(world: &mut World, look: impl AsyncFnOnce(&mut AsyncPgConnection)) -> i64 {
    // What was read before is not counted: the view has it until it is flushed.
    world.sql("SELECT pg_stat_force_next_flush()").await;
    let read = transaction(&mut world.connection, async |connection| {
        look(connection).await;
        sql::<BigInt>(READ).get_result(connection).await.during("count what was read")
    });
    read.await.unwrap()
}

/// Rows of deliveries that this transaction has read.
const READ: &str = "SELECT sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0))::bigint FROM pg_stat_xact_user_tables \
                    WHERE relname LIKE 'webhook_deliveries%'";

async fn assert_read(world: &mut World, what: &str, most: i64) {
    let read = world.number(READ).await;
    assert!((1..=most).contains(&read), "{read} rows were read to {what}");
}

#[tokio::test]
async fn a_partners_list_follows_its_index() {
    let mut world = World::new().await;
    busy_day(&mut world).await;
    let query =
        "SELECT * FROM webhook_deliveries WHERE owner_id = $1 AND delivery_id < $2 ORDER BY delivery_id DESC LIMIT $3";
    for mode in MODES {
        let arguments = "'acme', onering.uuid_v7(), 50";
        let plan = plan(&mut world, query, "text, uuid, bigint", arguments, mode).await;
        assert_no_scan(&plan);
        assert!(!plan.contains("Sort"), "{plan}");
    }
    let filter = deliveries::DeliveryFilter::default();
    let page = deliveries::Page { limit: 50, before: None };
    let owner = "acme".parse().unwrap();
    let listed = deliveries::list(&mut world.connection, &owner, &filter, page).await.unwrap();
    assert_eq!(listed.items.len(), 50);
}

/// Whatever the filters are, no list reads what retention keeps.
#[tokio::test]
async fn lists_follow_an_index_to_their_bound() {
    let mut world = World::new().await;
    busy_day(&mut world).await;
    let types = "uuid, uuid, text, uuid, text, text, boolean, text, bigint";
    let arguments = |owner: &str, status: &str| {
        let all = "'00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff'";
        format!("{all}, {owner}, NULL, {status}, 'no.such', NULL, NULL, 50")
    };
    let of_owner = arguments("'acme'", "'PENDING'");
    for mode in MODES {
        let plan = plan(&mut world, deliveries::OfOwner::SQL, types, &of_owner, mode).await;
        assert_no_scan(&plan);
        assert!(plan.contains("owner_id_delivery_id_idx") && !plan.contains("pkey on webhook_deliveries"), "{plan}");
    }
    for (statement, status) in [(deliveries::OfAll::SQL, "'DELIVERED'"), (deliveries::Failed::SQL, "'DEAD'")] {
        for mode in MODES {
            let plan = plan(&mut world, statement, types, &arguments("NULL", status), mode).await;
            assert!(plan.contains("Limit") && !plan.contains("Sort"), "{plan}");
        }
    }
    let waiting = arguments("NULL", "'PENDING'");
    let plan = plan(&mut world, deliveries::OfWaiting::SQL, types, &waiting, MODES[0]).await;
    assert_no_scan(&plan);
    assert!(plan.contains("queued_until_idx") && plan.contains("held_reason"), "{plan}");
}
