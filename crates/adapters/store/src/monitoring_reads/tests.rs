use chrono::{DateTime, TimeDelta, Utc};
use onering_delivery::{
    AttemptOutcome, BreakerChange, DatabaseTime, HeldReason, Settlement, StatsOutcome, Status, Transition,
};
use onering_ids::{OwnerId, SubscriptionId};

use super::plan::plan;
use super::*;
use crate::circuit_events::{self, CircuitEvent};
use crate::delivery_totals;
use crate::settlement;
use crate::statistics::{self, LatencyCount, RequestCount};
use crate::testing::World;

fn day_ago(world: &World) -> DateTime<Utc> {
    world.clock.now() - TimeDelta::hours(24)
}

/// One delivery in each state, each of an event of its own, to one subscription.
async fn one_of_each(world: &mut World) -> (OwnerId, SubscriptionId) {
    let webhook = world.subscription("acme", "*").await;
    let mut works = Vec::new();
    for event_type in ["a.pending", "a.delivered", "a.retrying", "a.dead", "a.held", "a.expired"] {
        works.push(world.publish("acme", event_type).await.remove(0));
    }
    let at = world.now();
    let settlements: Vec<Settlement> = vec![
        world.delivered(&works[1]),
        world.result(&works[2], Transition::RetryAt { at }, AttemptOutcome::Retry),
        world.result(&works[3], Transition::Dead { at }, AttemptOutcome::Dead),
        Settlement::hold(&works[4], HeldReason::BreakerOpen),
        world.result(&works[5], Transition::ReplayExpired { at }, AttemptOutcome::ReplayExpired),
    ];
    settle(world, &settlements).await;
    ("acme".parse().unwrap(), webhook)
}

async fn settle(world: &mut World, settlements: &[Settlement]) {
    let settled = settlement::settle(&mut world.connection, "worker-1", settlements).await.unwrap();
    assert_eq!(settled.written.len(), settlements.len());
}

#[tokio::test]
async fn keys_that_can_be_used_are_counted_by_tier() {
    let mut world = World::new().await;
    world
        .sql(
            "INSERT INTO external_api_keys (key_id, owner_user_id, name, scopes, rate_limit_tier, created_by, \
                 canary_enabled, is_active, expires_at, revoked_at) \
             SELECT onering.uuid_v7(), 'default', 'k', '{}', tier, 'op', canary, active, expires_at, revoked_at \
             FROM (VALUES ('free', false, true, NULL::timestamptz, NULL::timestamptz), \
                 ('free', false, true, now() + interval '1 day', NULL), ('free', true, true, NULL, NULL), \
                 ('pro', false, true, NULL, NULL), ('pro', false, false, NULL, NULL), ('pro', false, true, now(), NULL), \
                 ('enterprise', false, true, NULL, now())) AS t (tier, canary, active, expires_at, revoked_at)",
        )
        .await;
    let expected = [("free", false, 2), ("free", true, 1), ("pro", false, 1)].map(|(tier, canary, active)| KeyCount {
        tier: tier.to_owned(),
        canary,
        active,
    });
    assert_eq!(key_counts(&mut world.connection).await.unwrap(), expected);
}

#[tokio::test]
async fn requests_are_added_up_over_minutes_and_processes_since_then() {
    let mut world = World::new().await;
    let (now, since) = (world.clock.now(), day_ago(&world));
    let conn = &mut world.connection;
    let count = |minute, code: &str, count| RequestCount {
        minute,
        code: code.to_owned(),
        tier: "free".to_owned(),
        canary: false,
        count,
    };
    let latency = |minute, bucket, count| LatencyCount { minute, bucket, count };
    let earlier = now - TimeDelta::hours(1);
    let too_old = since - TimeDelta::minutes(2);
    let first =
        [count(now, "OK", 3), count(earlier, "OK", 4), count(earlier, "RATE_LIMITED", 1), count(too_old, "OK", 50)];
    let latencies = [latency(now, 100, 1), latency(earlier, 100, 2), latency(too_old, 100, 4)];
    statistics::record(conn, "gw-1", &first, &latencies).await.unwrap();
    statistics::record(conn, "gw-2", &[count(now, "OK", 1)], &[latency(now, 900, 1)]).await.unwrap();

    let totals: Vec<_> = request_totals(conn, since).await.unwrap();
    let totals: Vec<_> = totals.iter().map(|total| (total.code.as_str(), total.tier.as_str(), total.count)).collect();
    assert_eq!(totals, [("OK", "free", 8), ("RATE_LIMITED", "free", 1)]);
    let expected = [(100, 3), (900, 1)].map(|(bucket, count)| BucketCount { bucket, count });
    assert_eq!(request_latency(conn, since).await.unwrap(), expected);
}

#[tokio::test]
async fn what_waits_and_what_came_of_the_rest() {
    let mut world = World::new().await;
    assert_eq!(waiting(&mut world.connection).await.unwrap(), Waiting::default());
    let started = world.clock.now() - TimeDelta::seconds(5);
    let (_, webhook) = one_of_each(&mut world).await;
    let waits = waiting(&mut world.connection).await.unwrap();
    assert_eq!((waits.pending, waits.retrying, waits.held_total()), (2, 1, 1));
    assert_eq!(waits.held, [HeldCount { reason: HeldReason::BreakerOpen, count: 1 }]);
    assert!(waits.oldest_waiting_at.unwrap() > started);
    assert_eq!(waiting_of(&mut world.connection, webhook).await.unwrap(), waits);
    let other = world.subscription("other", "*").await;
    assert_eq!(waiting_of(&mut world.connection, other).await.unwrap(), Waiting::default());

    let since = day_ago(&world);
    let outcomes = delivery_outcomes(&mut world.connection, since).await.unwrap();
    for outcome in [StatsOutcome::Delivered, StatsOutcome::Retry, StatsOutcome::Dead, StatsOutcome::ReplayExpired] {
        assert!(outcomes.contains(&OutcomeTotal { outcome, count: 1, attempts: 1 }), "{outcomes:?}");
    }
    assert_eq!(delivery_outcomes(&mut world.connection, since + TimeDelta::hours(25)).await.unwrap(), []);
    let latency = delivery_latency(&mut world.connection, since).await.unwrap();
    assert_eq!(latency, [BucketCount { bucket: 123, count: 1 }]);
}

#[tokio::test]
async fn recent_deliveries_by_every_filter() {
    let mut world = World::new().await;
    let (acme, webhook) = one_of_each(&mut world).await;
    let other = world.subscription("other", "*").await;
    world.publish("other", "b.pending").await;
    let mut types = async |filter: RecentFilter, limit: u32| {
        let found = recent_deliveries(&mut world.connection, &filter, limit).await.unwrap();
        found.into_iter().map(|found| found.event_type.replace("a.", "")).collect::<Vec<_>>()
    };
    let any = RecentFilter::default();
    assert_eq!(types(any.clone(), 3).await, ["b.pending", "expired", "held"]);
    let of_acme = RecentFilter { owner_id: Some(acme.clone()), ..any.clone() };
    let of_webhook = RecentFilter { webhook_id: Some(webhook), ..any.clone() };
    let newest_first = ["expired", "held", "dead", "retrying", "delivered", "pending"];
    assert_eq!(types(of_acme.clone(), 9).await, newest_first);
    assert_eq!(types(of_webhook.clone(), 9).await, newest_first);
    assert_eq!(types(RecentFilter { webhook_id: Some(other), ..of_acme.clone() }, 9).await, [""; 0]);
    assert_eq!(types(RecentFilter { event_type: Some("a.dead".to_owned()), ..any.clone() }, 9).await, ["dead"]);
    assert_eq!(types(RecentFilter { held: Some(true), ..any.clone() }, 9).await, ["held"]);
    assert_eq!(types(RecentFilter { held: Some(false), ..of_acme.clone() }, 9).await.len(), 5);
    for (held_reason, expected) in
        [(HeldReason::BreakerOpen, ["held"].as_slice()), (HeldReason::DeliveryOff, [].as_slice())]
    {
        assert_eq!(types(RecentFilter { held_reason: Some(held_reason), ..of_webhook.clone() }, 9).await, expected);
    }
    for (status, expected) in [
        (Status::Pending, vec!["b.pending", "held", "pending"]),
        (Status::Retrying, vec!["retrying"]),
        (Status::Delivered, vec!["delivered"]),
        (Status::Dead, vec!["dead"]),
        (Status::ReplayExpired, vec!["expired"]),
        (Status::Cancelled, vec![]),
    ] {
        assert_eq!(types(RecentFilter { status: Some(status), ..any.clone() }, 9).await, expected, "{status}");
        let mine: Vec<_> = expected.into_iter().filter(|event_type| *event_type != "b.pending").collect();
        assert_eq!(types(RecentFilter { status: Some(status), ..of_webhook.clone() }, 9).await, mine, "{status}");
    }
}

#[tokio::test]
async fn a_recent_delivery_shows_its_row() {
    let mut world = World::new().await;
    let (acme, webhook) = one_of_each(&mut world).await;
    let all = recent_deliveries(&mut world.connection, &RecentFilter::default(), 9).await.unwrap();
    let of = |status| all.iter().find(|found| found.status == status).unwrap();
    let delivered = of(Status::Delivered);
    assert_eq!((&delivered.owner_id, delivered.webhook_id, delivered.attempt_count), (&acme, webhook, 1));
    assert_eq!((delivered.last_status_code, delivered.delivery_latency_ms), (Some(200), Some(123)));
    assert!(delivered.delivered_at.is_some() && delivered.last_error.is_none());
    let retrying = of(Status::Retrying);
    assert!(retrying.next_attempt_at.is_some());
    assert_eq!((retrying.last_status_code, retrying.last_error.as_deref()), (Some(503), Some("answered 503")));
    let held: Vec<_> = all.iter().filter_map(|found| found.held_reason).collect();
    assert_eq!(held, [HeldReason::BreakerOpen]);
}

#[tokio::test]
async fn the_health_of_one_subscription() {
    let mut world = World::new().await;
    let (acme, webhook) = one_of_each(&mut world).await;
    world.subscription("other", "*").await;
    let work = world.publish("other", "b").await.remove(0);
    let result = world.delivered(&work);
    settle(&mut world, &[result]).await;
    world.sql("UPDATE external_webhooks SET failing_since = now() WHERE owner_id = 'acme'").await;

    let since = day_ago(&world);
    let health = subscription_health(&mut world.connection, webhook, since).await.unwrap().unwrap();
    assert_eq!((&health.owner_id, health.status.as_str(), &health.disabled_reason), (&acme, "active", &None));
    assert!(health.failing_since.is_some() && health.last_delivered_minute.is_some());
    let delivered = health.outcomes.iter().find(|total| total.outcome == StatsOutcome::Delivered).unwrap();
    assert_eq!((delivered.count, delivered.attempts), (1, 1));
    assert_eq!((health.waiting.pending, health.waiting.retrying, health.waiting.held_total()), (2, 1, 1));

    let quiet = world.subscription("quiet", "*").await;
    let health = subscription_health(&mut world.connection, quiet, since).await.unwrap().unwrap();
    assert_eq!((health.outcomes.len(), health.last_delivered_minute, health.waiting), (0, None, Waiting::default()));
    let unknown = SubscriptionId::floor(0);
    assert_eq!(subscription_health(&mut world.connection, unknown, since).await.unwrap(), None);
}

#[tokio::test]
async fn subscriptions_in_trouble_are_counted() {
    let mut world = World::new().await;
    assert_eq!(troubled_subscriptions(&mut world.connection).await.unwrap(), TroubledSubscriptions::default());
    let disabled = |by: &str, ago: &str| {
        format!(
            "status = 'disabled', disabled_by = '{by}', disabled_reason = 'x', disabled_at = now() - interval '{ago}'"
        )
    };
    for (owner, change) in [
        ("warned", "failing_since = now(), failure_warnings = 1".to_owned()),
        ("failing", "failing_since = now()".to_owned()),
        ("paused", "failing_since = now(), failure_warnings = 1, status = 'paused'".to_owned()),
        ("deleted", "failing_since = now(), failure_warnings = 1, deleted_at = now()".to_owned()),
        ("disabled", disabled("platform", "23 hours")),
        ("long-disabled", disabled("platform", "25 hours")),
        ("by-operator", disabled("operator", "1 hour")),
    ] {
        world.subscription(owner, "*").await;
        world.sql(&format!("UPDATE external_webhooks SET {change} WHERE owner_id = '{owner}'")).await;
    }
    let expected = TroubledSubscriptions { failing: 1, disabled: 1 };
    assert_eq!(troubled_subscriptions(&mut world.connection).await.unwrap(), expected);
}

/// The latest event counts, and an end that is over closes as well.
#[tokio::test]
async fn a_circuit_is_open_until_it_closes_or_its_end_is_over() {
    let mut world = World::new().await;
    let (since, mut expected) = (day_ago(&world), Vec::new());
    let at = |hours: i64| DatabaseTime::from_utc(since + TimeDelta::hours(24 + hours));
    let end = at(1);
    for (events, open, opens) in [
        (vec![], None, 0),
        (vec![(BreakerChange::Opened, -1, Some(end))], Some(end), 1),
        (vec![(BreakerChange::Opened, -2, Some(at(-1)))], None, 1),
        (vec![(BreakerChange::Opened, -3, Some(end)), (BreakerChange::Closed, -2, None)], None, 1),
        (vec![(BreakerChange::Opened, -3, Some(end)), (BreakerChange::Probed, -2, None)], None, 1),
        (vec![(BreakerChange::Opened, -26, Some(at(-25))), (BreakerChange::Reopened, -1, Some(end))], Some(end), 0),
        (vec![(BreakerChange::Closed, -2, None), (BreakerChange::Opened, -1, Some(end))], Some(end), 1),
    ] {
        let owner = format!("partner-{}", expected.len());
        let webhook_id = world.subscription(&owner, "*").await;
        let events: Vec<_> = events
            .into_iter()
            .map(|(change, hours, open_until)| CircuitEvent {
                webhook_id,
                at: at(hours),
                change,
                failures: 5,
                open_until,
            })
            .collect();
        circuit_events::record(&mut world.connection, "w-1", &events).await.unwrap();
        expected.push((webhook_id, Circuit { open_until: open.map(DatabaseTime::to_utc), opens }));
    }
    for (webhook_id, circuit) in &expected {
        assert_eq!(circuit_of(&mut world.connection, *webhook_id, since).await.unwrap(), *circuit);
    }
    let totals = circuit_totals(&mut world.connection, since).await.unwrap();
    assert_eq!(totals, CircuitTotals { open: 3, opens: 5 });
}

/// Nothing here may read a table whose size follows the traffic from end to end.
#[tokio::test]
async fn the_plans_use_indexes() {
    let mut world = World::new().await;
    one_of_each(&mut world).await;
    let since = day_ago(&world);
    let webhook_id = SubscriptionId::floor(0).uuid();
    let conn = &mut world.connection;
    let mut plans = vec![
        plan(conn, totals::RequestTotals { since }).await,
        plan(conn, totals::RequestLatency { since }).await,
        plan(conn, totals::DeliveryOutcomes { since, from: since, to: since }).await,
        plan(conn, totals::DeliveryLatency { since, from: since, to: since }).await,
        plan(conn, delivery_totals::CountOutcomes { from: since, to: since }).await,
        plan(conn, delivery_totals::CountLatency { from: since, to: since }).await,
        plan(conn, health::Outcomes { webhook_id, since }).await,
        plan(conn, health::Subscription { webhook_id, since }).await,
        plan(conn, circuits::Totals { since }).await,
        plan(conn, circuits::Of { webhook_id, since }).await,
    ];
    for (plan, index) in [
        (plan(conn, waiting::AllWaiting {}).await, ["queued_until_idx", "held_reason_"].as_slice()),
        (
            plan(conn, waiting::WaitingOf { webhook_id }).await,
            &["owner_id_delivery_id_idx", "_webhook_id_delivery_id_idx", "held_reason_webhook_id"],
        ),
        (plan(conn, recent::RecentPending::any()).await, &["queued_until_idx", "held_reason_"]),
        (plan(conn, recent::RecentRetrying::any()).await, &["queued_until_idx"]),
        (plan(conn, recent::RecentHeld::any()).await, &["held_reason_"]),
        (plan(conn, recent::RecentOfOwner::any()).await, &["owner_id_delivery_id_idx"]),
        (plan(conn, recent::RecentOfAll::any()).await, &["pkey"]),
        (plan(conn, recent::RecentFailed::any()).await, &[]),
    ] {
        for index in index {
            assert!(plan.contains(index), "{index} is not in\n{plan}");
        }
        plans.push(plan);
    }
    for plan in plans {
        assert!(!plan.contains("Seq Scan"), "{plan}");
    }
    for of_one in [plan(conn, waiting::WaitingOf { webhook_id }).await, plan(conn, recent::RecentOfOwner::any()).await]
    {
        assert!(!of_one.contains("queued_until_idx"), "what is due is everybody's:\n{of_one}");
    }
}

/// Any number that waits for hours must not hide what waits for its first attempt.
#[tokio::test]
async fn what_waits_is_found_by_its_status() {
    let mut world = World::new().await;
    world.subscription("acme", "*").await;
    let pending = world.publish("acme", "a.pending").await.remove(0);
    world
        .sql(
            "WITH made AS (SELECT onering.uuid_v7() AS id FROM generate_series(1, 20001)) \
             INSERT INTO webhook_deliveries (delivery_id, event_id, webhook_id, owner_id, event_type, status, attempt_count, \
                 next_attempt_at, queued_until, created_at) \
             SELECT m.id, m.id, w.webhook_id, 'acme', 'a.retrying', 'RETRYING', 1, now() + interval '1 hour', \
                 now() + interval '1 hour', now() FROM made AS m, external_webhooks AS w",
        )
        .await;
    for (status, expected) in [(Status::Pending, "a.pending"), (Status::Retrying, "a.retrying")] {
        let filter = RecentFilter { status: Some(status), ..RecentFilter::default() };
        let found = recent_deliveries(&mut world.connection, &filter, 1).await.unwrap();
        assert_eq!(found.iter().map(|found| found.event_type.as_str()).collect::<Vec<_>>(), [expected]);
    }
    let waits = waiting_of(&mut world.connection, pending.webhook_id).await.unwrap();
    assert_eq!((waits.pending, waits.retrying), (0, 20_001), "20,000 newer ones hide the pending one");
    assert!(waits.oldest_waiting_at.is_some());
}

/// The daily partitions before yesterday's are not even opened.
#[tokio::test]
async fn the_failed_are_looked_for_in_the_last_days_partitions() {
    let mut world = World::new().await;
    world.sql("SELECT onering.ensure_partitions((now() - interval '9 days')::date, now()::date)").await;
    let plan = plan(&mut world.connection, recent::RecentFailed::any()).await;
    assert!(plan.contains("Subplans Removed: "), "{plan}");
}
