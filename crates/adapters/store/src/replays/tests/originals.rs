//! Which originals a replay goes over, and what becomes of each.

use super::*;

#[tokio::test]
async fn by_default_what_failed_goes_out_again_and_the_ledger_knows() {
    let mut world = World::new().await;
    world.subscription("acme", "*").await;
    let mut failed = finals(&mut world, "acme", "a.b", Status::Dead, 3).await;
    failed.extend(finals(&mut world, "acme", "a.b", Status::ReplayExpired, 2).await);
    finals(&mut world, "acme", "a.b", Status::Delivered, 4).await;
    finals(&mut world, "acme", "a.b", Status::Cancelled, 1).await;
    world.publish("acme", "a.b").await;

    let scope = ReplayScope { statuses: ReplayStatuses::default(), ..scope(&world, &[Status::Dead]) };
    let made = job(&mut world, &scope).await;
    assert_eq!((made.state, made.matched, made.left(), made.started_at), (ReplayState::Running, 5, 5, None));
    assert_eq!(made.scope.statuses, scope.statuses);
    let done = run(&mut world, &made, None).await;
    assert_eq!((done.state, done.matched, done.replayed, done.left()), (ReplayState::Done, 5, 5, 0));
    assert_eq!((done.skips, done.cursor, done.worker.clone()), (ReplaySkips::default(), scope.after(), None));
    assert!(done.started_at.is_some() && done.finished_at.is_some());
    assert_eq!(repeated(&mut world).await, once(failed));
    let ledger = world.ledger().await;
    assert_eq!((ledger.matched, ledger.repeated, ledger.balances()), (11, 5, true));
    assert_eq!(get(&mut world.connection, made.replay_id).await.unwrap(), Some(done));
}

/// What a replay makes is due at once: the sweep takes it, with the body of an event that may be of another day.
#[tokio::test]
async fn what_is_made_is_swept_with_its_event() {
    let mut world = World::new().await;
    world.subscription("acme", "*").await;
    world
        .sql("SELECT onering.ensure_partitions((now() - interval '9 days')::date, (now() - interval '9 days')::date)")
        .await;
    world
        .sql(
            "SELECT onering.ingest_events(ARRAY[overlay(gen_random_uuid()::text placing \
                 left(onering.uuid_floor(now() - interval '9 days')::text, 13) || '-7' from 1)::uuid], \
             ARRAY['acme'], ARRAY['a.b'], ARRAY['{\"data\":{\"old\":true}}'::bytea], ARRAY[now()], ARRAY[NULL::uuid], \
             ARRAY[NULL], ARRAY[NULL], ARRAY[NULL::bytea], interval '0', NULL); \
             UPDATE webhook_deliveries SET status = 'DEAD', settled_at = now(), queued_until = NULL",
        )
        .await;
    let scope = ReplayScope { from: world.clock.now() - TimeDelta::days(30), ..scope(&world, &[Status::Dead]) };
    let made = job(&mut world, &scope).await;
    run(&mut world, &made, None).await;
    let swept = world.sweep(10).await;
    assert_eq!(swept.len(), 1);
    assert_eq!(&swept[0].body[..], br#"{"data":{"old":true}}"#);
    let old = world.clock.now() - TimeDelta::days(8);
    assert!(swept[0].work.event_id < onering_ids::EventId::floor(u64::try_from(old.timestamp_millis()).unwrap()));
    assert!(swept[0].work.delivery_id > scope.first());
    let (now, day) = (world.clock.now(), TimeDelta::days(1));
    let ledger = crate::ledger::read(&mut world.connection, now - day * 30, now + day).await.unwrap();
    assert_eq!((ledger.matched, ledger.repeated, ledger.balances()), (1, 1, true));
    assert!(crate::ledger::read(&mut world.connection, now - day, now + day).await.unwrap().balances());
}

#[tokio::test]
async fn an_original_stands_for_its_repeats() {
    let mut world = World::new().await;
    world.subscription("acme", "*").await;
    let ids = finals(&mut world, "acme", "a.b", Status::Dead, 5).await;
    let delivered = finals(&mut world, "acme", "a.b", Status::Delivered, 1).await;
    // The second was brought home by a resend, the third by the resend of a resend, the fourth failed again, of the fifth one waits.
    resent(&mut world, ids[1], Status::Delivered).await;
    let again = resent(&mut world, ids[2], Status::Dead).await;
    resent(&mut world, again, Status::Delivered).await;
    resent(&mut world, ids[3], Status::Dead).await;
    resent(&mut world, ids[4], Status::Pending).await;
    // And what was delivered stays so, whatever became of a resend.
    resent(&mut world, delivered[0], Status::Dead).await;

    let scope = scope(&world, &[Status::Dead]);
    let made = job(&mut world, &scope).await;
    assert_eq!(made.matched, 3, "a repeat that waits is no answer yet");
    let done = run(&mut world, &made, None).await;
    assert_eq!((done.replayed, done.left()), (2, 0));
    assert_eq!(done.skips, ReplaySkips { still_waiting: 1, ..ReplaySkips::default() });
    assert_eq!(repeated(&mut world).await, once(vec![ids[0], ids[3], ids[4]]), "the last one by hand");
}

#[tokio::test]
async fn what_was_delivered_by_a_repeat_was_delivered() {
    let mut world = World::new().await;
    let webhook_id = world.subscription("acme", "*").await;
    let dead = finals(&mut world, "acme", "a.b", Status::Dead, 2).await;
    let mut delivered = finals(&mut world, "acme", "a.b", Status::Delivered, 2).await;
    resent(&mut world, dead[1], Status::Delivered).await;
    delivered.push(dead[1]);
    let scope = scope(&world, &[Status::Delivered]);
    let counted = count(&mut world.connection, &scope).await.unwrap();
    assert_eq!(counted, [ReplayCount { webhook_id, status: Status::Delivered, originals: 3 }]);
    let made = job(&mut world, &scope).await;
    let done = run(&mut world, &made, None).await;
    assert_eq!((done.replayed, done.left()), (3, 0));
    assert_eq!(repeated(&mut world).await, once(delivered));
}

#[tokio::test]
async fn what_became_of_an_original_since_the_job_was_made_is_seen() {
    let mut world = World::new().await;
    world.subscription("acme", "*").await;
    let ids = finals(&mut world, "acme", "a.b", Status::Dead, 3).await;
    let waiting = world.publish("acme", "a.b").await.remove(0);
    let scope = scope(&world, &[Status::Dead]);
    let made = job(&mut world, &scope).await;
    resent(&mut world, ids[0], Status::Delivered).await;
    resent(&mut world, ids[1], Status::Dead).await;
    settle_as(&mut world, &[waiting.delivery_id], Status::Dead).await;
    let done = run(&mut world, &made, None).await;
    assert_eq!((done.matched, done.replayed, done.left()), (3, 2, 0));
    assert_eq!(done.skips, ReplaySkips { already_delivered: 1, ..ReplaySkips::default() });
    assert_eq!(repeated(&mut world).await, once(ids[1..].to_vec()));
}

#[tokio::test]
async fn what_cannot_be_sent_is_skipped_with_its_reason() {
    let mut world = World::new().await;
    world.subscription("gone", "*").await;
    let ids = finals(&mut world, "gone", "a.b", Status::Dead, 3).await;
    world.subscription("acme", "*").await;
    let kept = finals(&mut world, "acme", "a.b", Status::Dead, 2).await;
    let scope = scope(&world, &[Status::Dead]);
    let made = job(&mut world, &scope).await;
    world.sql("UPDATE external_webhooks SET deleted_at = now() WHERE owner_id = 'gone'").await;
    for id in [ids[0], kept[0]] {
        let event = format!("SELECT event_id FROM webhook_deliveries WHERE delivery_id = '{}'", id.uuid());
        world.sql(&format!("DELETE FROM webhook_events WHERE event_id = ({event})")).await;
    }
    let done = run(&mut world, &made, None).await;
    assert_eq!((done.matched, done.replayed, done.left()), (5, 1, 0));
    assert_eq!(done.skips, ReplaySkips { subscription_deleted: 2, event_gone: 2, ..ReplaySkips::default() });
    assert_eq!(repeated(&mut world).await, once(kept[1..].to_vec()));
}

#[tokio::test]
async fn what_must_wait_is_held_as_a_resend_would_be() {
    let mut world = World::new().await;
    for (owner, change) in [
        ("free", "SELECT 1"),
        ("paused", "UPDATE external_webhooks SET status = 'paused' WHERE owner_id = 'paused'"),
        (
            "disabled",
            "UPDATE external_webhooks SET status = 'disabled', disabled_by = 'operator', disabled_reason = 'x', \
             disabled_at = now() WHERE owner_id = 'disabled'",
        ),
        ("partner", "UPDATE partners SET status = 'disabled' WHERE owner_id = 'partner'"),
    ] {
        world.subscription(owner, "*").await;
        finals(&mut world, owner, "a.b", Status::Dead, 1).await;
        world.sql(change).await;
    }
    let held = "SELECT string_agg(owner_id || ' ' || coalesce(held_reason, 'due'), ',' ORDER BY owner_id) \
                FROM webhook_deliveries WHERE settled_at IS NULL";
    let scope = scope(&world, &[Status::Dead]);
    let first = job(&mut world, &scope).await;
    run(&mut world, &first, None).await;
    let rest = "disabled SUBSCRIPTION_DISABLED,free ";
    let end = ",partner PARTNER_DISABLED,paused SUBSCRIPTION_PAUSED";
    assert_eq!(world.text(held).await, Some(format!("{rest}due{end}")));

    world.sql("UPDATE webhook_deliveries SET status = 'DEAD', settled_at = now(), queued_until = NULL, held_reason = NULL WHERE settled_at IS NULL").await;
    let second = job(&mut world, &scope).await;
    run(&mut world, &second, Some(HeldReason::DeliveryOff)).await;
    assert_eq!(world.text(held).await, Some(format!("{rest}DELIVERY_OFF{end}")));
}

#[tokio::test]
async fn a_scope_narrows_by_time_subscription_type_and_partner() {
    let mut world = World::new().await;
    let webhook_id = world.subscription("acme", "ring.*").await;
    let other = world.subscription("acme", "draft.*").await;
    world.subscription("other", "*").await;
    let ring = finals(&mut world, "acme", "ring.forged", Status::Dead, 1).await[0];
    let draft = finals(&mut world, "acme", "draft.published", Status::Dead, 1).await[0];
    let start = world.clock.now() + TimeDelta::milliseconds(1);
    eventually(PATIENCE, "a later millisecond", async || world.clock.now() > start).await;
    let foreign = finals(&mut world, "other", "ring.forged", Status::Dead, 1).await[0];
    let made_at =
        |id: DeliveryId| DateTime::<Utc>::from_timestamp_millis(i64::try_from(id.unix_ms()).unwrap()).unwrap();
    let all = scope(&world, &[Status::Dead]);
    for (scope, expected) in [
        (ReplayScope { owner_id: Some("acme".parse().unwrap()), ..all.clone() }, vec![ring, draft]),
        (ReplayScope { webhook_id: Some(webhook_id), ..all.clone() }, vec![ring]),
        (ReplayScope { webhook_id: Some(other), owner_id: Some("acme".parse().unwrap()), ..all.clone() }, vec![draft]),
        (ReplayScope { event_type: Some("ring.forged".parse().unwrap()), ..all.clone() }, vec![ring, foreign]),
        (ReplayScope { from: made_at(foreign), ..all.clone() }, vec![foreign]),
        (ReplayScope { to: made_at(foreign), ..all.clone() }, vec![ring, draft]),
        (ReplayScope { statuses: vec![Status::Cancelled].try_into().unwrap(), ..all.clone() }, vec![]),
    ] {
        let made = job(&mut world, &scope).await;
        assert_eq!(made.matched, expected.len() as u64, "{scope:?}");
        assert_eq!(made.scope, truncated(&scope));
        let done = run(&mut world, &made, None).await;
        assert_eq!((done.replayed, done.left()), (done.matched, 0), "{scope:?}");
        assert_eq!(repeated(&mut world).await, once(expected), "{scope:?}");
        world.sql("DELETE FROM webhook_deliveries WHERE original_delivery_id IS NOT NULL").await;
    }
}

/// As Postgres keeps it, to the microsecond.
fn truncated(scope: &ReplayScope) -> ReplayScope {
    let micros = |at: DateTime<Utc>| DateTime::from_timestamp_micros(at.timestamp_micros()).unwrap();
    ReplayScope { from: micros(scope.from), to: micros(scope.to), ..scope.clone() }
}

#[tokio::test]
async fn a_count_says_how_many_of_what() {
    let mut world = World::new().await;
    let busy = world.subscription("busy", "*").await;
    let calm = world.subscription("calm", "*").await;
    finals(&mut world, "busy", "a.b", Status::Dead, 3).await;
    finals(&mut world, "busy", "a.b", Status::ReplayExpired, 2).await;
    finals(&mut world, "busy", "a.b", Status::Delivered, 4).await;
    finals(&mut world, "calm", "a.b", Status::Dead, 1).await;
    let of = |webhook_id: SubscriptionId, status, originals| ReplayCount { webhook_id, status, originals };
    let failed = scope(&world, &[Status::Dead, Status::ReplayExpired]);
    let counted = count(&mut world.connection, &failed).await.unwrap();
    assert_eq!(counted, [of(busy, Status::Dead, 3), of(busy, Status::ReplayExpired, 2), of(calm, Status::Dead, 1)]);
    let all = scope(&world, &[Status::Dead, Status::ReplayExpired, Status::Delivered, Status::Cancelled]);
    let counted = count(&mut world.connection, &all).await.unwrap();
    assert_eq!(counted.iter().map(|count| count.originals).sum::<u64>(), 10);
    assert_eq!(counted[0], of(busy, Status::Delivered, 4), "the most first");
    assert_eq!(world.number("SELECT count(*) FROM replay_jobs").await, 0);
}
