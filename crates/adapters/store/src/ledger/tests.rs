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
    let found = unbalanced(&mut world.connection, now - hour, now + hour, 10).await.unwrap();
    assert_eq!(found, [UnbalancedEvent { event_id: works[2].event_id, matched: 1, found: 0 }]);
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
