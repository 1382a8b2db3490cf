//! The rules of the state machine as the database holds them, whoever writes.

use crate::testing::World;

async fn try_update(world: &mut World, set: &str) -> String {
    world.refused(&format!("UPDATE webhook_deliveries SET {set}")).await
}

#[tokio::test]
async fn illegal_rows_are_refused() {
    let mut world = World::new().await;
    world.one_delivery().await;
    for (set, rule) in [
        ("status = 'LOST', settled_at = now(), queued_until = NULL", "status_check"),
        ("status = 'DELIVERED', settled_at = now(), queued_until = NULL", "delivered_is_timed"),
        ("delivered_at = now()", "delivered_is_timed"),
        ("settled_at = now()", "terminal_is_settled"),
        ("status = 'DEAD', queued_until = NULL", "terminal_is_settled"),
        ("status = 'RETRYING', attempt_count = 1", "retrying_is_scheduled"),
        ("next_attempt_at = now()", "retrying_is_scheduled"),
        ("status = 'RETRYING', next_attempt_at = now()", "retrying_has_failed"),
        (
            "status = 'RETRYING', attempt_count = 1, next_attempt_at = now(), queued_until = NULL, held_reason = 'BREAKER_OPEN'",
            "only_pending_is_held",
        ),
        ("queued_until = NULL", "waiting_is_due_or_held"),
        ("status = 'DEAD', settled_at = now()", "waiting_is_due_or_held"),
        ("held_reason = 'BREAKER_OPEN'", "held_is_not_due"),
        ("queued_until = NULL, held_reason = 'LAZY'", "held_reason_check"),
        ("attempt_count = -1", "attempt_count_check"),
    ] {
        let refused = try_update(&mut world, set).await;
        assert!(refused.contains(rule), "{set}: {refused}");
    }
}

#[tokio::test]
async fn a_final_row_refuses_every_change() {
    let mut world = World::new().await;
    world.one_delivery().await;
    for status in ["DELIVERED", "DEAD", "REPLAY_EXPIRED", "CANCELLED"] {
        world
            .sql(&format!(
                "UPDATE webhook_deliveries SET status = '{status}', settled_at = now(), queued_until = NULL, \
                 delivered_at = CASE WHEN '{status}' = 'DELIVERED' THEN now() END WHERE settled_at IS NULL"
            ))
            .await;
        for set in [
            "status = 'PENDING', settled_at = NULL, delivered_at = NULL, queued_until = now()",
            "last_error = 'x'",
            "delivery_id = delivery_id",
        ] {
            let refused = try_update(&mut world, set).await;
            assert!(refused.contains("final") && refused.contains(status), "{status}, {set}: {refused}");
        }
        world.sql("DELETE FROM webhook_deliveries").await;
        world.one_delivery().await;
    }
}

#[tokio::test]
async fn other_tables_hold_their_rules_too() {
    let mut world = World::new().await;
    world.one_delivery().await;
    for statement in [
        "INSERT INTO external_delivery_logs (delivery_id, attempt, webhook_id, outcome, started_at, duration_ms, worker) \
         SELECT delivery_id, 0, webhook_id, 'RETRY', now(), 1, 'w' FROM webhook_deliveries",
        "UPDATE webhook_events SET matched = -1",
        "UPDATE external_webhooks SET status = 'disabled'",
        "UPDATE external_webhooks SET status = 'disabled', disabled_reason = 'x', disabled_at = now()",
        "UPDATE external_webhooks SET status = 'disabled', disabled_by = 'operator', disabled_at = now()",
        "UPDATE external_webhooks SET status = 'disabled', disabled_by = 'operator', disabled_reason = 'x'",
        "UPDATE external_webhooks SET status = 'disabled', disabled_by = 'owner', disabled_reason = 'x', disabled_at = now()",
        "UPDATE external_webhooks SET disabled_by = 'platform'",
        "UPDATE external_webhooks SET timeout_seconds = 31",
        "INSERT INTO idempotency_keys VALUES ('acme', '', sha256(''), gen_random_uuid(), now())",
        "INSERT INTO idempotency_keys VALUES ('acme', 'k', 'short', gen_random_uuid(), now())",
    ] {
        let refused = world.refused(statement).await;
        assert!(refused.contains("violates check constraint"), "{statement}: {refused}");
    }
}
