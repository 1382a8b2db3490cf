use std::time::Duration;

use super::*;
use crate::testing::World;

fn event(webhook_id: SubscriptionId, at: DatabaseTime, change: BreakerChange) -> CircuitEvent {
    let opened = matches!(change, BreakerChange::Opened | BreakerChange::Reopened);
    let open_until = opened.then(|| at.plus(Duration::from_secs(60)));
    CircuitEvent { webhook_id, at, change, failures: 5, open_until }
}

#[tokio::test]
async fn events_are_kept_once_with_their_owner() {
    let mut world = World::new().await;
    let webhook = world.subscription("acme", "*").await;
    let gone = SubscriptionId::floor(1);
    let at = world.now();
    let events: Vec<_> = (0..)
        .zip(BreakerChange::ALL)
        .map(|(second, change)| event(webhook, at.plus(Duration::from_secs(second)), *change))
        .chain([event(gone, at, BreakerChange::Opened)])
        .collect();
    record(&mut world.connection, "w-1", &[]).await.unwrap();
    for _ in 0..2 {
        record(&mut world.connection, "w-1", &events).await.unwrap();
    }
    let rows = "SELECT string_agg(format('%s %s %s %s %s', owner_id, kind, failures, open_until - at, worker), '; ' ORDER BY at) \
                FROM circuit_events";
    assert_eq!(
        world.text(rows).await.as_deref(),
        Some("acme OPENED 5 00:01:00 w-1; acme PROBED 5  w-1; acme CLOSED 5  w-1; acme REOPENED 5 00:01:00 w-1"),
        "a subscription that is not there has none"
    );
    let endless = CircuitEvent { open_until: None, ..event(webhook, world.now(), BreakerChange::Opened) };
    assert!(record(&mut world.connection, "w-1", &[endless]).await.is_err());
}

#[tokio::test]
async fn old_ones_go_a_piece_at_a_time() {
    let mut world = World::new().await;
    let webhook = world.subscription("acme", "*").await;
    let at = world.now();
    let events: Vec<_> =
        (0..10).map(|second| event(webhook, at.plus(Duration::from_secs(second)), BreakerChange::Probed)).collect();
    record(&mut world.connection, "w-1", &events).await.unwrap();
    let before = events[7].at.to_utc();
    let mut removed = Vec::new();
    for _ in 0..3 {
        removed.push(prune(&mut world.connection, before, 4).await.unwrap());
    }
    assert_eq!(removed, [4, 3, 0]);
    assert_eq!(world.number("SELECT count(*) FROM circuit_events").await, 3);
}
