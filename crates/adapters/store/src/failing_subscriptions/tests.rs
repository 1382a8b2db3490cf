use onering_delivery::{AttemptOutcome, FailureStep, HeldReason, Transition};
use onering_webhooks::{SubscriptionChange, WantedStatus};

use super::*;
use crate::monitoring_reads::plan::plan;
use crate::settlement::settle;
use crate::subscriptions;
use crate::testing::World;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const WARN: FailureStep = FailureStep::Warn { warnings: 1 };

/// A subscription whose one delivery has failed, for so many days by what the row says.
async fn failing(world: &mut World, owner: &str, days: u32) -> SubscriptionId {
    let webhook_id = world.subscription(owner, "ring.forged").await;
    fail(world, owner).await;
    let moved = format!(
        "UPDATE external_webhooks SET failing_since = now() - interval '{days} days 1 second' WHERE webhook_id = '{}'",
        webhook_id.uuid()
    );
    world.sql(&moved).await;
    webhook_id
}

async fn fail(world: &mut World, owner: &str) {
    let works = world.publish(owner, "ring.forged").await;
    let at = world.now();
    let results: Vec<_> =
        works.iter().map(|work| world.result(work, Transition::Dead { at }, AttemptOutcome::Dead)).collect();
    settle(&mut world.connection, "w", &results).await.unwrap();
}

async fn listed(world: &mut World) -> Vec<FailingSubscription> {
    list(&mut world.connection, DAY).await.unwrap()
}

async fn state(world: &mut World) -> String {
    let state = "SELECT string_agg(concat_ws(' ', status, failure_warnings, disabled_by, disabled_at IS NOT NULL), ';' ORDER BY webhook_id) \
                 FROM external_webhooks WHERE owner_id = 'acme'";
    world.text(state).await.unwrap()
}

/// The operational events, as `type data`.
async fn events(world: &mut World) -> Vec<(String, serde_json::Value)> {
    let told = "SELECT string_agg(event_type || ' ' || onering.event_data(body), E'\\n' ORDER BY event_id) \
                FROM webhook_events WHERE event_type LIKE 'webhook.%'";
    let told = world.text(told).await.unwrap_or_default();
    let parts = told.lines().map(|line| line.split_once(' ').unwrap());
    parts.map(|(name, data)| (name.to_owned(), serde_json::from_str(data).unwrap())).collect()
}

async fn audited(world: &mut World) -> String {
    let rows = "SELECT string_agg(concat_ws(' ', actor, role, action, target_type, target_id, before ->> 'status', \
                before ->> 'failure_warnings', after ->> 'status', after ->> 'failure_warnings'), E'\\n' ORDER BY audit_id) \
                FROM admin_audit_log";
    world.text(rows).await.unwrap_or_default()
}

#[tokio::test]
async fn only_what_is_active_and_fails_now_is_listed() {
    let mut world = World::new().await;
    let webhook_id = failing(&mut world, "acme", 2).await;
    for (owner, change) in [
        ("paused", "status = 'paused'"),
        ("deleted", "deleted_at = now()"),
        ("young", "failing_since = now() - interval '23 hours'"),
        ("well", "failing_since = NULL"),
    ] {
        failing(&mut world, owner, 2).await;
        world.sql(&format!("UPDATE external_webhooks SET {change} WHERE owner_id = '{owner}'")).await;
    }
    let found = listed(&mut world).await;
    assert_eq!(found.len(), 1, "{found:?}");
    let one = &found[0];
    assert_eq!((one.webhook_id, one.owner_id.as_str(), one.host.as_str()), (webhook_id, "acme", "example.org"));
    assert_eq!(one.warnings, 0);
    assert!((2 * DAY..2 * DAY + Duration::from_secs(3_600)).contains(&one.failing_for), "{one:?}");

    // Two days ago it failed once, and nothing was sent since: nobody knows whether it still fails.
    world.sql("UPDATE delivery_stats SET minute = minute - interval '2 days'").await;
    assert!(listed(&mut world).await.is_empty());
}

#[tokio::test]
async fn a_warning_is_given_once_and_told_to_partner_and_operators() {
    let mut world = World::new().await;
    let webhook_id = failing(&mut world, "acme", 1).await;
    let other = world.subscription("acme", "*").await;
    world.publish("acme", "ring.forged").await;
    let found = listed(&mut world).await.remove(0);
    assert!(take(&mut world.connection, &found, WARN).await.unwrap());
    assert!(!take(&mut world.connection, &found, WARN).await.unwrap(), "another worker comes too late");
    assert_eq!(found.since_warning, None);
    let after = listed(&mut world).await.remove(0);
    assert!(after.warnings == 1 && after.since_warning.is_some_and(|since| since < DAY), "{after:?}");
    assert_eq!(state(&mut world).await, "active 1 f;active 0 f");

    let told = events(&mut world).await;
    assert_eq!(told.len(), 1, "{told:?}");
    let (name, data) = &told[0];
    assert_eq!(name, "webhook.failing");
    let since = found.failing_since.to_rfc3339_opts(SecondsFormat::Millis, true);
    let expected = serde_json::json!({
        "webhook_id": webhook_id, "host": "example.org", "failing_since": since, "days": 1, "waiting": 1,
    });
    assert_eq!(data, &expected);
    let row = format!("platform platform subscription.warn subscription {webhook_id} active 0 active 1");
    assert_eq!(audited(&mut world).await, row);
    // To the partner's other subscription, which asks for everything, and not to the one it is about.
    let to = "SELECT string_agg(webhook_id::text, ' ') FROM webhook_deliveries WHERE event_type = 'webhook.failing'";
    assert_eq!(world.text(to).await, Some(other.uuid().to_string()));
    assert!(world.ledger().await.balances());
}

#[tokio::test]
async fn the_news_of_a_subscription_is_not_sent_to_itself() {
    let mut world = World::new().await;
    let webhook_id = failing(&mut world, "acme", 1).await;
    world.sql("UPDATE external_webhooks SET events = '{webhook.*,ring.forged}'").await;
    let found = listed(&mut world).await.remove(0);
    assert!(take(&mut world.connection, &found, WARN).await.unwrap());
    let matched = "SELECT matched::bigint FROM webhook_events WHERE event_type = 'webhook.failing'";
    assert_eq!(world.number(matched).await, 0);
    // Of another one's it hears, as of an event by that name with nothing about a subscription in it.
    let data = format!("{{\"webhook_id\": \"{}\"}}", world.clock.fresh_id::<SubscriptionId>());
    for data in [data.as_str(), "7", "{}"] {
        world.sql(&format!("SELECT onering.publish_event('acme', 'webhook.failing', '{data}')")).await;
    }
    let own = format!("SELECT onering.publish_event('acme', 'ring.forged', '{{\"webhook_id\": \"{webhook_id}\"}}')");
    world.sql(&own).await;
    assert_eq!(world.number("SELECT count(*) FROM webhook_deliveries WHERE event_type LIKE 'webhook.%'").await, 3);
    assert_eq!(world.number("SELECT count(*) FROM webhook_deliveries WHERE event_type = 'ring.forged'").await, 2);
}

#[tokio::test]
async fn disabling_says_since_when_and_why_and_holds_what_comes() {
    let mut world = World::new().await;
    let webhook_id = failing(&mut world, "acme", 5).await;
    let found = listed(&mut world).await.remove(0);
    assert!(take(&mut world.connection, &found, FailureStep::Disable).await.unwrap());
    assert!(!take(&mut world.connection, &found, FailureStep::Disable).await.unwrap());
    assert_eq!(state(&mut world).await, "disabled 0 platform t");
    let reason = world.text("SELECT disabled_reason FROM external_webhooks").await.unwrap();
    let since = found.failing_since.to_rfc3339_opts(SecondsFormat::Secs, true);
    assert_eq!(reason, format!("every attempt has failed since {since}; the last one: answered 503"));
    let told = events(&mut world).await;
    assert_eq!((told.len(), told[0].0.as_str(), &told[0].1["days"]), (1, "webhook.disabled", &5.into()));
    assert_eq!(told[0].1["reason"], reason.as_str());
    let row = format!("platform platform subscription.disable subscription {webhook_id} active 0 disabled 0");
    assert_eq!(audited(&mut world).await, row);

    assert!(world.publish("acme", "ring.forged").await.is_empty(), "nothing to queue");
    let held = "SELECT count(*) FROM webhook_deliveries WHERE held_reason = 'SUBSCRIPTION_DISABLED'";
    assert_eq!(world.number(held).await, 1);
    assert_eq!(HeldReason::SubscriptionDisabled.as_str(), "SUBSCRIPTION_DISABLED");
}

#[tokio::test]
async fn whatever_ends_the_failure_forgets_the_warnings() {
    let mut world = World::new().await;
    let webhook_id = failing(&mut world, "acme", 3).await;
    let found = listed(&mut world).await.remove(0);
    let both = FailureStep::Warn { warnings: 2 };
    assert!(take(&mut world.connection, &found, both).await.unwrap());
    fail(&mut world, "acme").await;
    assert_eq!(state(&mut world).await, "active 2 f", "another failure changes nothing");
    let work = world.publish("acme", "ring.forged").await.remove(0);
    let delivered = world.delivered(&work);
    settle(&mut world.connection, "w", &[delivered]).await.unwrap();
    assert_eq!(state(&mut world).await, "active 0 f");

    let stale = found;
    assert!(!take(&mut world.connection, &stale, FailureStep::Disable).await.unwrap(), "it has recovered");
    failing_again(&mut world, webhook_id).await;
    let found = listed(&mut world).await.remove(0);
    assert!(take(&mut world.connection, &found, WARN).await.unwrap());
    world.sql("UPDATE external_webhooks SET failure_warned_at = now() - interval '2 days'").await;
    let found = listed(&mut world).await.remove(0);
    assert_eq!(found.since_warning, Some(2 * DAY));
    assert!(take(&mut world.connection, &found, FailureStep::Disable).await.unwrap());
    let active = SubscriptionChange { status: Some(WantedStatus::Active), ..SubscriptionChange::default() };
    let owner = "acme".parse().unwrap();
    subscriptions::update(&mut world.connection, &owner, webhook_id, active).await.unwrap().unwrap();
    assert_eq!(state(&mut world).await, "active 0 f", "enabled, it begins anew");
    let forgotten = "SELECT concat(failing_since, failure_warned_at) FROM external_webhooks";
    assert_eq!(world.text(forgotten).await.as_deref(), Some(""));
}

async fn failing_again(world: &mut World, webhook_id: SubscriptionId) {
    fail(world, "acme").await;
    let moved = "UPDATE external_webhooks SET failing_since = now() - interval '1 day 1 minute'";
    world.sql(&format!("{moved} WHERE webhook_id = '{}'", webhook_id.uuid())).await;
}

/// The change, the event and the row of the log are one: when one cannot be, none is.
#[tokio::test]
async fn a_step_that_cannot_be_told_is_not_taken() {
    let mut world = World::new().await;
    failing(&mut world, "acme", 5).await;
    let found = listed(&mut world).await.remove(0);
    world.sql("ALTER TABLE admin_audit_log ADD CONSTRAINT nobody CHECK (actor <> 'platform')").await;
    assert!(take(&mut world.connection, &found, FailureStep::Disable).await.is_err());
    assert_eq!((state(&mut world).await.as_str(), events(&mut world).await.len()), ("active 0 f", 0));
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_told_of_as_well() {
    let mut world = World::new().await;
    let webhook_id = world.subscription("acme", "ring.forged").await;
    world.sql("UPDATE external_webhooks SET url = 'https://hooks.example:8443/in?token=t0p-secret'").await;
    let works =
        [world.publish("acme", "ring.forged").await.remove(0), world.publish("acme", "ring.forged").await.remove(0)];
    let at = world.now();
    let gone = works.iter().map(|work| world.result(work, Transition::Gone { at }, AttemptOutcome::Gone));
    let batch: Vec<_> = gone.collect();
    let settled = settle(&mut world.connection, "w", &batch).await.unwrap();
    assert_eq!((settled.written.len(), settled.disabled), (2, [webhook_id].into()));
    let told = events(&mut world).await;
    assert_eq!((told.len(), told[0].0.as_str()), (1, "webhook.disabled"), "{told:?}");
    let data = &told[0].1;
    assert_eq!((&data["host"], &data["days"]), (&"hooks.example".into(), &0.into()));
    assert_eq!(data["reason"], "the receiver answered 410 Gone");
    let row = format!("platform platform subscription.disable subscription {webhook_id} active 0 disabled 0");
    assert_eq!(audited(&mut world).await, row);
    let leaked = "SELECT count(*) FROM webhook_events AS e, admin_audit_log AS a \
                  WHERE convert_from(e.body, 'UTF8') LIKE '%t0p-secret%' OR a::text LIKE '%t0p-secret%'";
    assert_eq!(world.number(leaked).await, 0, "the rest of the target is the receiver's own");
    assert!(settle(&mut world.connection, "w", &batch).await.unwrap().disabled.is_empty());
    assert_eq!(events(&mut world).await.len(), 1, "a result that comes twice tells nothing");
}

#[tokio::test]
async fn a_receiver_that_is_gone_and_cannot_be_told_of_is_not_settled() {
    let mut world = World::new().await;
    let work = world.one_delivery().await;
    world.sql("ALTER TABLE admin_audit_log ADD CONSTRAINT nobody CHECK (actor <> 'platform')").await;
    let at = world.now();
    let gone = world.result(&work, Transition::Gone { at }, AttemptOutcome::Gone);
    assert!(settle(&mut world.connection, "w", &[gone]).await.is_err());
    assert_eq!(world.ledger().await.pending, 1);
    assert_eq!(world.number("SELECT count(*) FROM external_webhooks WHERE status = 'active'").await, 1);
}

#[tokio::test]
async fn the_healthy_are_not_read() {
    let mut world = World::new().await;
    world
        .sql(
            "INSERT INTO external_webhooks (webhook_id, owner_id, url, events) \
             SELECT onering.uuid_v7(), 'default', 'https://example.org/', '{*}' FROM generate_series(1, 2000); \
             ANALYZE external_webhooks",
        )
        .await;
    let plan = plan(&mut world.connection, Failing { at_least: interval(DAY) }).await;
    assert!(plan.contains("external_webhooks_failing") && !plan.contains("Seq Scan"), "{plan}");
}
