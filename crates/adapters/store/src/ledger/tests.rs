use onering_delivery::HeldReason;

use super::*;
use crate::settlement::settle;
use crate::testing::World;

#[tokio::test]
async fn a_lost_delivery_is_named() {
    let mut world = World::new().await;
    let works = [world.one_delivery().await, world.one_delivery().await, world.one_delivery().await];
    let batch = [world.delivered(&works[0]), onering_delivery::Settlement::hold(&works[1], HeldReason::DeliveryOff)];
    settle(&mut world.connection, "w", &batch).await.unwrap();
    let ledger = world.ledger().await;
    assert_eq!((ledger.matched, ledger.delivered, ledger.pending, ledger.held), (3, 1, 2, 1));
    assert!(ledger.balances());

    let lost = format!("DELETE FROM webhook_deliveries WHERE delivery_id = '{}'", works[2].delivery_id.uuid());
    world.sql(&lost).await;
    assert_eq!((world.ledger().await.missing(), world.ledger().await.balances()), (1, false));
    let (now, hour) = (world.clock.now(), chrono::TimeDelta::hours(1));
    let found = unbalanced(&mut world.connection, None, now - hour, now + hour, 10).await.unwrap();
    assert_eq!(found, [UnbalancedEvent { event_id: works[2].event_id, matched: 1, found: 0 }]);
}

/// The sums agree, and yet one delivery is lost: another event has one too many.
#[tokio::test]
async fn one_too_few_and_one_too_many_do_not_cancel_out() {
    let mut world = World::new().await;
    world.subscription("acme", "*").await;
    let (short, long) = (world.publish("acme", "ring.forged").await, world.publish("acme", "ring.forged").await);
    let (short, long) = (short[0].clone(), long[0].clone());
    assert!(world.ledger().await.balances() && of(&mut world, "acme").await.balances());
    let swap = "UPDATE webhook_deliveries SET event_id";
    world.sql(&format!("{swap} = '{}' WHERE event_id = '{}'", long.event_id.uuid(), short.event_id.uuid())).await;
    for ledger in [world.ledger().await, of(&mut world, "acme").await.ledger] {
        assert_eq!((ledger.missing(), ledger.unbalanced_events, ledger.balances()), (0, 2, false));
    }
    let named = [(short.event_id, 0), (long.event_id, 2)];
    let named = named.map(|(event_id, found)| UnbalancedEvent { event_id, matched: 1, found });
    assert_eq!(unbalanced_of(&mut world, "acme").await, named);
}

#[tokio::test]
async fn deliveries_without_their_event_are_named() {
    let mut world = World::new().await;
    let work = world.one_delivery().await;
    world.sql(&format!("DELETE FROM webhook_events WHERE event_id = '{}'", work.event_id.uuid())).await;
    let ledger = world.ledger().await;
    assert_eq!((ledger.missing(), ledger.unbalanced_events, ledger.balances()), (-1, 1, false));
    let (now, hour) = (world.clock.now(), chrono::TimeDelta::hours(1));
    let found = unbalanced(&mut world.connection, None, now - hour, now + hour, 10).await.unwrap();
    assert_eq!(found, [UnbalancedEvent { event_id: work.event_id, matched: 0, found: 1 }]);
}

#[tokio::test]
async fn a_range_cuts_between_milliseconds() {
    let mut world = World::new().await;
    let work = world.one_delivery().await;
    let at = DateTime::from_timestamp_millis(i64::try_from(work.event_id.unix_ms()).unwrap()).unwrap();
    let next = at + chrono::TimeDelta::milliseconds(1);
    assert_eq!(read(&mut world.connection, at, next).await.unwrap().matched, 1);
    assert_eq!(read(&mut world.connection, next, next + chrono::TimeDelta::hours(1)).await.unwrap(), Ledger::default());
    let before = read(&mut world.connection, at - chrono::TimeDelta::hours(1), at).await.unwrap();
    assert_eq!(before, Ledger::default());
}

async fn of(world: &mut World, owner: &str) -> PartnerLedger {
    let (now, hour) = (world.clock.now(), chrono::TimeDelta::hours(1));
    read_of_owner(&mut world.connection, &owner.parse().unwrap(), now - hour, now + hour).await.unwrap()
}

async fn unbalanced_of(world: &mut World, owner: &str) -> Vec<UnbalancedEvent> {
    let (now, hour) = (world.clock.now(), chrono::TimeDelta::hours(1));
    let owner = owner.parse().unwrap();
    unbalanced(&mut world.connection, Some(&owner), now - hour, now + hour, 10).await.unwrap()
}

#[tokio::test]
async fn a_partners_ledger_is_of_its_own_deliveries() {
    let mut world = World::new().await;
    for owner in ["acme", "acme", "other", "quiet"] {
        world.subscription(owner, "ring.*").await;
    }
    let own = world.publish("acme", "ring.forged").await;
    world.publish("other", "ring.forged").await;
    world.publish("*", "ring.lost").await;
    let batch = [world.delivered(&own[0]), onering_delivery::Settlement::hold(&own[1], HeldReason::DeliveryOff)];
    settle(&mut world.connection, "w", &batch).await.unwrap();

    let acme = of(&mut world, "acme").await;
    let counts = (acme.ledger.matched, acme.ledger.delivered, acme.ledger.pending, acme.ledger.held);
    assert_eq!((counts, acme.broadcast, acme.broadcast_unbalanced, acme.balances()), ((4, 1, 3, 1), 2, 0, true));
    let other = of(&mut world, "other").await;
    assert_eq!((other.ledger.matched, other.broadcast, other.balances()), (2, 1, true));
    let quiet = of(&mut world, "quiet").await;
    assert_eq!((quiet.ledger.matched, quiet.ledger.pending, quiet.balances()), (1, 1, true));
    assert_eq!(of(&mut world, "nobody").await, PartnerLedger::default());

    // One of acme's own is lost: acme's alone.
    let lost = format!("DELETE FROM webhook_deliveries WHERE delivery_id = '{}'", own[1].delivery_id.uuid());
    world.sql(&lost).await;
    let acme = of(&mut world, "acme").await;
    assert_eq!((acme.ledger.missing(), acme.broadcast_unbalanced, acme.balances()), (1, 0, false));
    assert!(of(&mut world, "other").await.balances());
    let named = UnbalancedEvent { event_id: own[0].event_id, matched: 2, found: 1 };
    assert_eq!(unbalanced_of(&mut world, "acme").await, [named]);
    assert_eq!(unbalanced_of(&mut world, "other").await, []);
}

/// Whose it was is written nowhere, so nobody is told that nothing of theirs is missing.
#[tokio::test]
async fn what_an_event_for_all_lacks_may_be_anybodys() {
    let mut world = World::new().await;
    for owner in ["acme", "other"] {
        world.subscription(owner, "*").await;
    }
    let all = world.publish("*", "ring.forged").await;
    assert!(of(&mut world, "acme").await.balances());
    world.sql("DELETE FROM webhook_deliveries WHERE owner_id = 'other'").await;
    for (owner, matched) in [("acme", 1), ("other", 0)] {
        let found = of(&mut world, owner).await;
        assert_eq!((found.ledger.matched, found.ledger.missing(), found.broadcast_unbalanced), (matched, 0, 1));
        assert!(!found.balances(), "{owner}");
        let named = UnbalancedEvent { event_id: all[0].event_id, matched: 2, found: 1 };
        assert_eq!(unbalanced_of(&mut world, owner).await, [named]);
    }
}
