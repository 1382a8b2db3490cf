//! What a replay must not do: read days from end to end to find a few originals, or the repeats of one.

use diesel::dsl::sql;
use diesel::sql_types::Text;
use diesel_async::RunQueryDsl;

use super::*;

/// A day of traffic: nearly all was delivered, little failed, some was repeated.
async fn busy_day(world: &mut World) {
    for owner in ["acme", "other"] {
        world.subscription(owner, "*").await;
    }
    world.subscription("small", "*").await;
    world
        .sql(
            "WITH made AS (SELECT onering.uuid_v7() AS event_id, n FROM generate_series(1, 20000) AS n), \
             events AS (INSERT INTO webhook_events (event_id, owner_id, event_type, body, matched, occurred_at, created_at) \
                 SELECT event_id, '*', 'a.b', 'x', 2, now(), now() FROM made) \
             INSERT INTO webhook_deliveries (delivery_id, event_id, webhook_id, owner_id, event_type, status, attempt_count, \
                 delivered_at, settled_at, created_at) \
             SELECT onering.sibling_id(m.event_id), m.event_id, w.webhook_id, w.owner_id, 'a.b', \
                 CASE WHEN m.n % 200 = 0 THEN 'DEAD' ELSE 'DELIVERED' END, 1, \
                 CASE WHEN m.n % 200 <> 0 THEN now() END, now(), now() FROM made AS m, external_webhooks AS w WHERE w.owner_id <> 'small' OR m.n % 100 = 0; \
             INSERT INTO webhook_deliveries (delivery_id, event_id, webhook_id, owner_id, event_type, status, attempt_count, \
                 settled_at, created_at, original_delivery_id) \
             SELECT onering.uuid_v7(), event_id, webhook_id, owner_id, event_type, 'DEAD', 1, now(), now(), delivery_id \
             FROM webhook_deliveries WHERE status = 'DEAD'; \
             SELECT pg_stat_force_next_flush()",
        )
        .await;
    let analyze = "SELECT string_agg('ANALYZE ' || relname, ';') FROM pg_stat_user_tables WHERE n_tup_ins > 0";
    let analyze = world.text(analyze).await.unwrap();
    assert!(analyze.contains("webhook_deliveries_"), "{analyze}");
    world.sql(&analyze).await;
}

/// The plan that these arguments get, as `psql` would write them.
async fn plan(world: &mut World, statement: &str, types: &str, arguments: &str) -> String {
    world.sql(&format!("SET plan_cache_mode = force_custom_plan; PREPARE explained ({types}) AS {statement}")).await;
    let lines: Vec<String> =
        sql::<Text>(&format!("EXPLAIN EXECUTE explained ({arguments})")).load(&mut world.connection).await.unwrap();
    world.sql("DEALLOCATE explained; RESET plan_cache_mode").await;
    lines.join("\n")
}

const A_DAY_BEFORE: &str = "onering.uuid_floor(now() - interval '25 hours')";
const FAILED: &str = "ARRAY['DEAD', 'REPLAY_EXPIRED']";
const FINAL: &str = "ARRAY['DELIVERED', 'DEAD', 'REPLAY_EXPIRED', 'CANCELLED']";

#[tokio::test]
async fn a_step_walks_an_index_and_looks_repeats_up() {
    let mut world = World::new().await;
    busy_day(&mut world).await;
    let types = "uuid, uuid, text[], text, bigint, timestamptz, uuid, text, bigint, text, text[], uuid";
    let range = "onering.uuid_floor(now() - interval '1 hour'), onering.uuid_floor(now() + interval '1 hour')";
    for (own, owner, index) in [
        (FAILED, "NULL", "_delivery_id_idx"),
        (FINAL, "'small'", "_owner_id_delivery_id_idx"),
        (FINAL, "NULL", "_pkey"),
    ] {
        let arguments =
            format!("{range}, {own}, {owner}, 10000, now(), NULL, NULL, 50, NULL, ARRAY['DEAD'], {A_DAY_BEFORE}");
        let plan = plan(&mut world, Repeat::SQL, types, &arguments).await;
        assert!(!plan.contains("Seq Scan on webhook_"), "{plan}");
        assert!(plan.contains("_event_id_webhook_id_idx"), "the repeats of one original:\n{plan}");
        assert!(plan.contains(index), "the originals by {index}:\n{plan}");
    }
}

#[tokio::test]
async fn what_failed_is_counted_by_its_index() {
    let mut world = World::new().await;
    busy_day(&mut world).await;
    let types = "uuid, uuid, uuid, text[], text, uuid, text, text[]";
    let range = "onering.uuid_floor(now() - interval '1 hour'), onering.uuid_floor(now() + interval '1 hour')";
    let arguments = format!("{A_DAY_BEFORE}, {range}, {FAILED}, NULL, NULL, NULL, {FAILED}");
    let plan = plan(&mut world, Count::SQL, types, &arguments).await;
    assert!(plan.contains("_delivery_id_idx"), "{plan}");
    // Tomorrow is empty, and read as it is.
    let today = world.text("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD')").await.unwrap();
    assert!(!plan.contains(&format!("Seq Scan on webhook_deliveries_{today}")), "{plan}");
}
