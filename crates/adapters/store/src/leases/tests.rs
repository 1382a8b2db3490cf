use std::collections::HashSet;
use std::time::Duration;

use diesel_async::SimpleAsyncConnection;
use onering_delivery::{DatabaseTime, HeldReason, Standing};
use onering_ids::{DeliveryId, SubscriptionId};

use super::*;
use crate::testing::{LEASE, World};

async fn due(world: &mut World, count: usize) -> Vec<DeliveryId> {
    world.subscription("acme", "*").await;
    let mut ids = Vec::new();
    for _ in 0..count {
        let (_, works) = world.publish_under("acme", "ring.forged", Duration::ZERO).await;
        ids.push(works[0].delivery_id);
    }
    ids
}

#[tokio::test]
async fn a_sweep_takes_what_is_due_with_its_body_and_leases_it() {
    let mut world = World::new().await;
    let ids = due(&mut world, 3).await;
    world.publish("acme", "ring.forged").await;
    let swept = world.sweep(2).await;
    let first: HashSet<_> = swept.iter().map(|swept| swept.work.delivery_id).collect();
    assert_eq!(first, ids[..2].iter().copied().collect(), "the longest due first");
    for swept in &swept {
        let body = std::str::from_utf8(&swept.body).unwrap();
        assert!(body.contains(&format!("\"event_id\":\"{}\"", swept.work.event_id)), "{body}");
        assert!(swept.work.lease.until > world.now());
        assert_eq!((&*swept.work.event_type, swept.work.lease.attempts_made), ("ring.forged", 0));
    }
    assert_eq!(world.sweep(10).await.len(), 1, "what is leased is left alone");
}

#[tokio::test]
async fn two_sweeps_at_once_never_take_the_same_delivery() {
    let mut world = World::new().await;
    let ids = due(&mut world, 60).await;
    let mut other = world.another_connection().await;
    let wanted = Wanted::at_most(40);
    let (one, two) =
        tokio::join!(sweep(&mut world.connection, "w1", LEASE, &wanted), sweep(&mut other, "w2", LEASE, &wanted));
    let (one, two) = (one.unwrap().deliveries, two.unwrap().deliveries);
    let rest = world.sweep(100).await;
    let all: Vec<_> = one.iter().chain(&two).chain(&rest).map(|swept| swept.work.delivery_id).collect();
    assert_eq!(all.len(), ids.len());
    assert_eq!(all.into_iter().collect::<HashSet<_>>(), ids.into_iter().collect());
}

#[tokio::test]
async fn a_renewal_moves_the_lease_and_the_old_one_is_worth_nothing() {
    let mut world = World::new().await;
    let work = world.one_delivery().await;
    let renewal = Renewal { delivery_id: work.delivery_id, lease: work.lease, length: Duration::from_secs(90) };
    let renewed = renew(&mut world.connection, &[renewal], None).await.unwrap();
    let (id, lease) = renewed[0];
    assert_eq!((id, renewed.len(), lease.attempts_made), (work.delivery_id, 1, 0));
    assert!(lease.left(world.now()) > Duration::from_secs(80));
    assert!(renew(&mut world.connection, &[renewal], None).await.unwrap().is_empty(), "the old lease is over");
    assert!(renew(&mut world.connection, &[], None).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_renewal_loses_against_a_sweep() {
    let mut world = World::new().await;
    world.subscription("acme", "*").await;
    let (_, works) = world.publish_under("acme", "ring.forged", Duration::ZERO).await;
    let swept = world.sweep(10).await;
    let stale = Renewal { delivery_id: works[0].delivery_id, lease: works[0].lease, length: LEASE };
    let current = Renewal { lease: swept[0].work.lease, ..stale };
    assert!(renew(&mut world.connection, &[stale], None).await.unwrap().is_empty());
    assert_eq!(renew(&mut world.connection, &[stale, current], None).await.unwrap().len(), 1);
}

/// A lease that is over but was not swept is still its holder's: nobody else can have it.
#[tokio::test]
async fn an_unswept_lease_can_be_renewed_after_its_end() {
    let mut world = World::new().await;
    world.subscription("acme", "*").await;
    let (_, works) = world.publish_under("acme", "ring.forged", Duration::ZERO).await;
    let late = Renewal { delivery_id: works[0].delivery_id, lease: works[0].lease, length: LEASE };
    assert_eq!(renew(&mut world.connection, &[late], None).await.unwrap().len(), 1);
    assert!(world.sweep(10).await.is_empty());
}

/// What was judged before it was sent does not hold for as long as it may take to arrive.
#[tokio::test]
async fn a_statement_that_comes_too_late_takes_nothing() {
    let mut world = World::new().await;
    world.subscription("acme", "*").await;
    let (_, works) = world.publish_under("acme", "ring.forged", Duration::ZERO).await;
    let now = world.now();
    let (over, in_time) = (DatabaseTime::from_micros(now.micros() - 1), now.plus(Duration::from_secs(60)));
    let renewal = Renewal { delivery_id: works[0].delivery_id, lease: works[0].lease, length: Duration::ZERO };
    assert!(renew(&mut world.connection, &[renewal], Some(over)).await.unwrap().is_empty());
    assert_eq!(renew(&mut world.connection, &[renewal], Some(in_time)).await.unwrap().len(), 1);
    for (latest, found) in [(over, 0), (in_time, 1)] {
        let wanted = Wanted { latest: Some(latest), ..Wanted::at_most(10) };
        assert_eq!(haul(&mut world, &wanted).await.0.deliveries.len(), found);
    }
}

#[tokio::test]
async fn what_delivery_off_held_comes_out_oldest_first_and_bounded() {
    let mut world = World::new().await;
    let ids = due(&mut world, 5).await;
    world.sql("UPDATE webhook_deliveries SET queued_until = NULL, held_reason = 'DELIVERY_OFF'").await;
    let mut oldest = ids.clone();
    oldest.sort_unstable();
    let out: HashSet<_> = world.sweep(2).await.iter().map(|swept| swept.work.delivery_id).collect();
    assert_eq!(out, oldest[..2].iter().copied().collect());
    assert_eq!(world.ledger().await.held, 3);
    assert_eq!(world.sweep(10).await.len(), 3);
    assert_eq!(world.ledger().await.held, 0);
    world.sql("UPDATE webhook_deliveries SET queued_until = NULL, held_reason = 'OUTSIDE_COHORT'").await;
    assert!(world.sweep(10).await.is_empty(), "delivery being on lets nobody into the cohort");
}

#[tokio::test]
async fn what_others_are_busy_with_is_told_and_can_be_passed_over() {
    let mut world = World::new().await;
    let mut ids = due(&mut world, 5).await;
    ids.sort_unstable();
    for (age, id) in ids.iter().rev().enumerate() {
        world
            .sql(&format!(
                "UPDATE webhook_deliveries SET queued_until = now() - interval '{} s' WHERE delivery_id = '{}'",
                age + 1,
                id.uuid()
            ))
            .await;
    }
    let mut other = world.another_connection().await;
    other.batch_execute("BEGIN").await.unwrap();
    let lock = format!(
        "SELECT FROM webhook_deliveries WHERE delivery_id IN ('{}', '{}') FOR UPDATE",
        ids[0].uuid(),
        ids[1].uuid()
    );
    other.batch_execute(&lock).await.unwrap();
    let (taken, _) = haul(&mut world, &Wanted::at_most(2)).await;
    assert_eq!((taken.deliveries.len(), taken.contended), (0, 2));
    let (taken, _) = haul(&mut world, &Wanted { beyond: 2, ..Wanted::at_most(2) }).await;
    let out: Vec<_> = taken.deliveries.iter().map(|swept| swept.work.delivery_id).collect();
    assert_eq!((out.as_slice(), taken.contended), (&ids[2..4], 0));
    other.batch_execute("COMMIT").await.unwrap();
    let (taken, _) = haul(&mut world, &Wanted::at_most(10)).await;
    assert_eq!((taken.deliveries.len(), taken.contended), (3, 0));
}

#[tokio::test]
async fn one_of_each_comes_out_to_probe() {
    let mut world = World::new().await;
    let mut webhooks = Vec::new();
    for owner in ["a", "b", "c"] {
        webhooks.push(world.subscription(owner, "*").await);
        for number in 0..3 {
            world.publish(owner, &format!("{owner}.number_{number}")).await;
        }
    }
    world.sql("UPDATE webhook_deliveries SET queued_until = NULL, held_reason = 'BREAKER_OPEN'").await;
    // The oldest of b is too old to be sent; of c all are.
    world
        .sql(
            "UPDATE external_webhooks SET max_event_age_seconds = 60 WHERE owner_id IN ('b', 'c'); \
             UPDATE webhook_deliveries \
             SET delivery_id = onering.sibling_id(onering.uuid_floor(now() - interval '1 hour')), created_at = now() - interval '1 hour' \
             WHERE event_type = 'b.number_0' OR event_type = 'c.number_0'; \
             UPDATE webhook_deliveries \
             SET delivery_id = onering.sibling_id(onering.uuid_floor(now() - interval '59 minutes')), \
                 created_at = now() - interval '59 minutes' \
             WHERE event_type IN ('c.number_1', 'c.number_2')",
        )
        .await;
    let connection = &mut world.connection;
    assert_eq!(release_oldest(connection, HeldReason::SubscriptionPaused, &webhooks).await.unwrap(), 0);
    assert_eq!(release_oldest(connection, HeldReason::BreakerOpen, &[]).await.unwrap(), 0);
    assert_eq!(release_oldest(connection, HeldReason::BreakerOpen, &webhooks).await.unwrap(), 3);
    let out =
        "SELECT string_agg(event_type, ' ' ORDER BY event_type) FROM webhook_deliveries WHERE held_reason IS NULL";
    assert_eq!(world.text(out).await.as_deref(), Some("a.number_0 b.number_1 c.number_0"));
    let second = release_oldest(&mut world.connection, HeldReason::BreakerOpen, &webhooks[..1]).await.unwrap();
    assert_eq!(second, 1);
    assert_eq!(world.sweep(10).await.len(), 4);
}

#[tokio::test]
async fn held_subscriptions_are_named_once_with_what_decides() {
    let mut world = World::new().await;
    let mut expected = HashSet::new();
    for (owner, change, standing, active, canary) in [
        ("a", "UPDATE external_webhooks SET status = 'paused' WHERE owner_id = 'a'", Standing::Paused, true, false),
        ("b", "UPDATE partners SET status = 'disabled' WHERE owner_id = 'b'", Standing::Active, false, false),
        ("c", "UPDATE partners SET canary = true WHERE owner_id = 'c'", Standing::Active, true, true),
        ("d", "UPDATE external_webhooks SET deleted_at = now() WHERE owner_id = 'd'", Standing::Deleted, true, false),
    ] {
        let webhook = world.subscription(owner, "*").await;
        for _ in 0..3 {
            world.publish(owner, "ring.forged").await;
        }
        world.sql(change).await;
        expected.insert((webhook, owner.to_owned(), format!("{standing:?}"), active, canary));
    }
    let unheld = world.subscription("e", "*").await;
    world.publish("e", "ring.forged").await;
    world
        .sql("UPDATE webhook_deliveries SET queued_until = NULL, held_reason = 'OUTSIDE_COHORT' WHERE owner_id <> 'e'")
        .await;

    let reasons = [HeldReason::SubscriptionPaused, HeldReason::OutsideCohort];
    let held = held_subscriptions(&mut world.connection, &reasons).await.unwrap();
    let held: Vec<HeldSubscription> = held.into_iter().map(|found| found.held.unwrap()).collect();
    assert!(held.iter().all(|held| held.reason == HeldReason::OutsideCohort && held.webhook_id != unheld));
    let found: Vec<_> = held
        .into_iter()
        .map(|held| {
            let standing = format!("{:?}", held.standing);
            (held.webhook_id, held.owner_id.to_string(), standing, held.partner_active, held.partner_canary)
        })
        .collect();
    assert_eq!(found.len(), 4, "each once: {found:?}");
    let chosen = found[0].0;
    assert_eq!(found.into_iter().collect::<HashSet<_>>(), expected);

    let released =
        release_subscriptions(&mut world.connection, HeldReason::OutsideCohort, &[chosen], 10).await.unwrap();
    assert_eq!(released, 3);
    let none = release_subscriptions(&mut world.connection, HeldReason::OutsideCohort, &[], 10).await.unwrap();
    assert_eq!((none, world.ledger().await.held), (0, 9));
}

#[tokio::test]
async fn a_row_that_is_not_understood_hides_no_other() {
    let mut world = World::new().await;
    let good = world.subscription("good", "*").await;
    let newer = world.subscription("newer", "*").await;
    for owner in ["good", "newer"] {
        world.publish(owner, "ring.forged").await;
    }
    world
        .sql(
            "UPDATE webhook_deliveries SET queued_until = NULL, held_reason = 'BREAKER_OPEN'; \
             ALTER TABLE external_webhooks DROP CONSTRAINT external_webhooks_status_check; \
             UPDATE external_webhooks SET status = 'archived' WHERE owner_id = 'newer'",
        )
        .await;
    let found = held_subscriptions(&mut world.connection, &[HeldReason::BreakerOpen]).await.unwrap();
    let understood: Vec<_> = found.iter().map(|found| (found.webhook_id, found.held.is_ok())).collect();
    assert_eq!(understood, [(good, true), (newer, false)]);
}

#[tokio::test]
async fn no_backlog_is_released_before_anothers() {
    let mut world = World::new().await;
    let large = backlog(&mut world, "large", 50).await;
    let small = backlog(&mut world, "small", 5).await;
    world.sql("UPDATE webhook_deliveries SET queued_until = NULL, held_reason = 'BREAKER_OPEN'").await;
    let mut released = Vec::new();
    for _ in 0..3 {
        let connection = &mut world.connection;
        let all = release_subscriptions(connection, HeldReason::BreakerOpen, &[large, small], 8).await.unwrap();
        let of_small = "SELECT count(*) FROM webhook_deliveries WHERE owner_id = 'small' AND held_reason IS NULL";
        released.push((all, world.number(of_small).await));
    }
    // A share that is not used is nobody else's: the next round is soon.
    assert_eq!(released, [(8, 4), (5, 5), (4, 5)]);
    let late = backlog(&mut world, "late", 3).await;
    world
        .sql("UPDATE webhook_deliveries SET queued_until = NULL, held_reason = 'BREAKER_OPEN' WHERE owner_id = 'late'")
        .await;
    let one = release_subscriptions(&mut world.connection, HeldReason::BreakerOpen, &[late, large], 1).await.unwrap();
    assert_eq!(one, 1, "never more than the limit");
    let oldest = "SELECT count(*) FROM webhook_deliveries AS d JOIN webhook_deliveries AS r USING (webhook_id) \
                  WHERE d.held_reason IS NOT NULL AND r.held_reason IS NULL AND d.delivery_id < r.delivery_id";
    assert_eq!(world.number(oldest).await, 0, "the oldest first");
}

#[tokio::test]
async fn a_delivery_without_its_event_is_cancelled_and_not_swept_for_ever() {
    let mut world = World::new().await;
    due(&mut world, 2).await;
    world.sql("DELETE FROM webhook_events WHERE event_id = (SELECT event_id FROM webhook_events LIMIT 1)").await;
    assert_eq!(world.sweep(10).await.len(), 1);
    assert_eq!(world.ledger().await.cancelled, 1);
    assert_eq!(world.number("SELECT count FROM delivery_stats WHERE outcome = 'CANCELLED' AND process = 'w'").await, 1);
}

const NO_ROOM: Vacancy = Vacancy {
    room: 0,
    pause: Duration::from_secs(100),
    step: Duration::from_millis(100),
    longest: Duration::from_secs(200),
};

/// A subscription with so many deliveries that are due, the oldest of all of them first.
async fn backlog(world: &mut World, owner: &str, count: usize) -> SubscriptionId {
    let webhook_id = world.subscription(owner, "*").await;
    world
        .sql(&format!(
            "WITH made AS MATERIALIZED (SELECT n, onering.uuid_v7() AS event_id FROM generate_series(1, {count}) AS n), \
             events AS (INSERT INTO webhook_events (event_id, owner_id, event_type, body, matched, occurred_at, created_at) \
                 SELECT event_id, '{owner}', 'a.b', 'body', 1, now(), now() FROM made) \
             INSERT INTO webhook_deliveries (delivery_id, event_id, webhook_id, owner_id, event_type, queued_until, created_at) \
                 SELECT onering.sibling_id(event_id), event_id, '{}', '{owner}', 'a.b', \
                     now() - interval '1 hour' + n * interval '1 ms', now() FROM made",
            webhook_id.uuid()
        ))
        .await;
    webhook_id
}

async fn haul(world: &mut World, wanted: &Wanted) -> (Haul, Vec<SubscriptionId>) {
    let haul = sweep(&mut world.connection, "w", LEASE, wanted).await.unwrap();
    let whose = haul.deliveries.iter().map(|swept| swept.work.webhook_id).collect();
    (haul, whose)
}

#[tokio::test]
async fn a_sweep_takes_of_each_in_turn_and_of_the_crowded_what_they_have_room_for() {
    let mut world = World::new().await;
    let full = backlog(&mut world, "full", 30).await;
    let crowded = backlog(&mut world, "crowded", 30).await;
    let other = backlog(&mut world, "other", 30).await;
    let crowd = vec![(full, NO_ROOM), (crowded, Vacancy { room: 2, ..NO_ROOM })];
    let wanted = Wanted { known: crowd, ..Wanted::at_most(10) };
    let (found, whose) = haul(&mut world, &wanted).await;
    assert_eq!(whose[..4].iter().filter(|whose| **whose == other).count(), 2, "in turn: {whose:?}");
    let of = |subscription| whose.iter().filter(|whose| **whose == subscription).count();
    assert_eq!((of(full), of(crowded), of(other)), (0, 2, 8));
    let mut left: Vec<_> = found.left_behind.iter().map(|left| (left.webhook_id, left.put_off, left.until)).collect();
    left.sort_unstable();
    let mut expected = vec![(full, 0, None), (crowded, 0, None), (other, 0, None)];
    expected.sort_unstable();
    // `other` had room for ten and thirty due.
    assert_eq!(left, expected, "who has more; nobody stands in the way, so nothing is put off");
    assert_eq!(world.number("SELECT count(*) FROM webhook_deliveries WHERE queued_until <= now()").await, 80);
}

#[tokio::test]
async fn a_backlog_that_hides_others_is_put_off_until_they_are_seen() {
    let mut world = World::new().await;
    let flood = backlog(&mut world, "flood", 3 * FRONT).await;
    let innocent = world.subscription("innocent", "*").await;
    world.publish_under("innocent", "ring.forged", Duration::ZERO).await;
    let wanted = Wanted { known: vec![(flood, NO_ROOM)], ..Wanted::at_most(100) };
    let mut rounds = 0;
    let (found, put_off) = loop {
        rounds += 1;
        let (found, whose) = haul(&mut world, &wanted).await;
        let [left] = found.left_behind[..] else { panic!("only the flood stays: {found:?}") };
        assert_eq!(left.webhook_id, flood);
        if whose == [innocent] {
            break (found, left.put_off);
        }
        assert!(whose.is_empty() && rounds < 10, "{whose:?}");
        assert_eq!(left.put_off, FRONT as u64 / 2, "half of what was looked at");
        let latest = left.until.unwrap();
        assert!(latest.since(world.now()) > Duration::from_secs(150), "{latest:?}");
        assert!(latest.since(world.now()) <= NO_ROOM.longest + Duration::from_secs(60), "{latest:?}");
    };
    assert_eq!(rounds, 6);
    assert_eq!((put_off, found.deliveries.len()), (0, 1));
    let due = world.number("SELECT count(*) FROM webhook_deliveries WHERE queued_until <= now()").await;
    assert_eq!(due, FRONT as i64 / 2, "what is next stays due");
    assert_eq!(world.ledger().await.pending, 3 * FRONT as u64 + 1);
}

#[tokio::test]
async fn a_sweep_takes_the_bytes_it_is_given_and_one_body_in_any_case() {
    let mut world = World::new().await;
    backlog(&mut world, "acme", 10).await;
    for (bytes, expected) in [(11, 2), (0, 1), (4, 1), (1_000, 6)] {
        let (found, _) = haul(&mut world, &Wanted { bytes, ..Wanted::at_most(100) }).await;
        assert_eq!(found.deliveries.len(), expected, "{bytes} bytes");
    }
}

#[tokio::test]
async fn a_backlog_that_gets_on_is_not_put_off_but_can_be_passed_over() {
    let mut world = World::new().await;
    let flood = backlog(&mut world, "flood", 2 * FRONT).await;
    let innocent = world.subscription("innocent", "*").await;
    world.publish_under("innocent", "ring.forged", Duration::ZERO).await;
    world.publish_under("innocent", "ring.forged", Duration::ZERO).await;
    let newest = "(SELECT max(delivery_id::text) FROM webhook_deliveries)::uuid";
    let hold = "UPDATE webhook_deliveries SET queued_until = NULL, held_reason = 'DELIVERY_OFF' WHERE delivery_id";
    world.sql(&format!("{hold} = {newest}")).await;
    let gets_on = Vacancy { longest: Duration::from_secs(5), ..NO_ROOM };
    let mut wanted = Wanted { known: vec![(flood, gets_on)], ..Wanted::at_most(100) };
    let (found, whose) = haul(&mut world, &wanted).await;
    assert!(whose.is_empty() && found.is_full, "{found:?}");
    assert_eq!(found.left_behind, [LeftBehind { webhook_id: flood, put_off: 0, until: None }]);
    wanted.passed_over = vec![flood];
    let (found, whose) = haul(&mut world, &wanted).await;
    assert_eq!(whose, [innocent, innocent], "what is due, and what delivery off held");
    assert!(!found.is_full && found.left_behind.is_empty(), "{found:?}");
}
