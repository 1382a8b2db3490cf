use onering_delivery::HeldReason;

use super::*;
use crate::testing::{LEASE, World};

const DAY: Duration = Duration::from_secs(86_400);

async fn today(world: &mut World) -> NaiveDate {
    let text = world.text("SELECT ((now() AT TIME ZONE 'UTC')::date)::text").await.unwrap();
    text.parse().unwrap()
}

/// Partitions for three old days, and in each an event with one delivery.
async fn old_days(world: &mut World) -> Vec<NaiveDate> {
    world.subscription("acme", "*").await;
    let today = today(world).await;
    let mut old = Vec::new();
    for age in [12_u64, 11, 10] {
        let day = today - chrono::Days::new(age);
        world.sql(&format!("SELECT onering.ensure_partitions('{day}', '{day}')")).await;
        world
            .sql(&format!(
                "SELECT onering.ingest_events(ARRAY[overlay(gen_random_uuid()::text placing \
                     left(onering.uuid_floor('{day} 12:00Z')::text, 13) || '-7' from 1)::uuid], \
                 ARRAY['acme'], ARRAY['a.b'], ARRAY['{{\"data\":{{}}}}'::bytea], ARRAY[now()], ARRAY[NULL::uuid], \
                 ARRAY[NULL], ARRAY[NULL], ARRAY[NULL::bytea], interval '0', NULL)"
            ))
            .await;
        old.push(day);
    }
    old
}

async fn settle_everything(world: &mut World) {
    world
        .sql("UPDATE webhook_deliveries SET status = 'DEAD', settled_at = now(), queued_until = NULL, held_reason = NULL WHERE settled_at IS NULL")
        .await;
}

#[tokio::test]
async fn partitions_are_made_ahead_and_only_once() {
    let mut world = World::new().await;
    let today = today(&mut world).await;
    let there = days(&mut world.connection).await.unwrap();
    assert_eq!((there[0], there[there.len() - 1]), (today - chrono::Days::new(1), today + chrono::Days::new(14)));
    assert_eq!(ensure(&mut world.connection, 14).await.unwrap(), 0);
    assert_eq!(ensure(&mut world.connection, 16).await.unwrap(), 6, "two days of three tables");
    assert_eq!(days(&mut world.connection).await.unwrap().len(), there.len() + 2);
}

#[tokio::test]
async fn old_days_are_dropped_when_nothing_waits() {
    let mut world = World::new().await;
    let old = old_days(&mut world).await;
    settle_everything(&mut world).await;
    let kept_for_all = drop_expired(&mut world.connection, DAY * 20).await.unwrap();
    assert_eq!(kept_for_all, Expiry::default());
    let expiry = drop_expired(&mut world.connection, DAY * 10).await.unwrap();
    assert_eq!((expiry.dropped, expiry.kept), (old[..2].to_vec(), vec![]), "a day must lie wholly in the past");
    assert_eq!(world.number("SELECT count(*) FROM webhook_events").await, 1);
    assert_eq!(drop_expired(&mut world.connection, DAY * 9).await.unwrap().dropped, old[2..]);
    assert!(drop_expired(&mut world.connection, DAY * 9).await.unwrap().dropped.is_empty());
}

#[tokio::test]
async fn a_day_with_a_waiting_delivery_stays_whole() {
    let mut world = World::new().await;
    let old = old_days(&mut world).await;
    settle_everything(&mut world).await;
    // One day's event is repeated: the repeat is of today and needs the old day's body. Another one has a held delivery.
    let originals: Vec<String> = {
        let all =
            world.text("SELECT string_agg(delivery_id::text, ',' ORDER BY delivery_id) FROM webhook_deliveries").await;
        all.unwrap().split(',').map(str::to_owned).collect()
    };
    let repeat = crate::deliveries::Repeat {
        owner: None,
        original: onering_ids::DeliveryId::from_uuid(originals[0].parse().unwrap()),
        delivery_id: world.clock.fresh_id(),
        lease: LEASE,
        hold: None,
    };
    crate::deliveries::repeat(&mut world.connection, repeat).await.unwrap();
    world
        .sql(&format!(
            "INSERT INTO webhook_deliveries (delivery_id, event_id, webhook_id, owner_id, event_type, held_reason, created_at) \
             SELECT onering.sibling_id(delivery_id), event_id, webhook_id, owner_id, event_type, '{}', now() \
             FROM webhook_deliveries WHERE delivery_id = '{}'",
            HeldReason::SubscriptionPaused, originals[1]
        ))
        .await;
    let expiry = drop_expired(&mut world.connection, DAY).await.unwrap();
    assert_eq!((expiry.dropped.as_slice(), expiry.kept.as_slice()), (&old[2..], &old[..2]));
    settle_everything(&mut world).await;
    assert_eq!(drop_expired(&mut world.connection, DAY).await.unwrap().dropped, old[..2]);
}

/// Behind a long query the drop would wait with a lock that stops all ingest. It gives up instead.
#[tokio::test]
async fn a_drop_gives_up_behind_a_long_query() {
    let mut world = World::new().await;
    old_days(&mut world).await;
    settle_everything(&mut world).await;
    let reader = world.database.connect().await;
    reader.batch_execute("BEGIN; SELECT count(*) FROM webhook_deliveries").await.unwrap();
    let refused = drop_expired(&mut world.connection, DAY).await.unwrap_err();
    assert!(refused.is_transient(), "{refused:?}");
    reader.batch_execute("COMMIT").await.unwrap();
    assert_eq!(drop_expired(&mut world.connection, DAY).await.unwrap().dropped.len(), 3);
}
