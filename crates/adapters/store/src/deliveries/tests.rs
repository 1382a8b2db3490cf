use onering_delivery::{HeldReason, Status};
use onering_ids::{DeliveryId, EventId, OwnerId};

use super::*;
use crate::settlement::settle;
use crate::testing::{LEASE, World};

mod state_machine;

const ALL: Page = Page { limit: 100, before: None };

fn ids(page: &DeliveryPage) -> Vec<DeliveryId> {
    page.items.iter().map(|delivery| delivery.delivery_id).collect()
}

#[tokio::test]
async fn a_partner_pages_through_its_own_deliveries_newest_first() {
    let mut world = World::new().await;
    world.subscription("acme", "*").await;
    world.subscription("other", "*").await;
    let owner: OwnerId = "acme".parse().unwrap();
    let mut expected = Vec::new();
    for _ in 0..5 {
        expected.push(world.publish("acme", "ring.forged").await[0].delivery_id);
        world.publish("other", "ring.forged").await;
    }
    expected.sort_unstable();
    expected.reverse();
    let (mut seen, mut page) = (Vec::new(), Page { limit: 2, before: None });
    loop {
        let found = list(&mut world.connection, &owner, &DeliveryFilter::default(), page).await.unwrap();
        assert!(found.items.len() <= 2);
        seen.extend(ids(&found));
        match found.next {
            Some(next) => page.before = Some(next),
            None => break,
        }
    }
    assert_eq!(seen, expected);
    let all = list_any_owner(&mut world.connection, &DeliveryFilter::default(), ALL).await.unwrap();
    assert_eq!((all.items.len(), all.next), (10, None));
}

#[tokio::test]
async fn filters_narrow_a_list() {
    let mut world = World::new().await;
    let (first, second) = (world.subscription("acme", "ring.*").await, world.subscription("acme", "draft.*").await);
    let ring = world.publish("acme", "ring.forged").await.remove(0);
    let before_draft = world.clock.now() + chrono::TimeDelta::milliseconds(1);
    onering_testkit::eventually(LEASE, "a later millisecond", async || world.clock.now() > before_draft).await;
    let draft = world.publish("acme", "draft.published").await.remove(0);
    let delivered = world.delivered(&draft);
    let held = onering_delivery::Settlement::hold(&ring, HeldReason::SubscriptionPaused);
    settle(&mut world.connection, "w", &[delivered, held]).await.unwrap();

    let owner: OwnerId = "acme".parse().unwrap();
    let none = DeliveryFilter::default;
    for (filter, expected) in [
        (DeliveryFilter { webhook_id: Some(first), ..none() }, &ring),
        (DeliveryFilter { webhook_id: Some(second), ..none() }, &draft),
        (DeliveryFilter { status: Some(Status::Pending), ..none() }, &ring),
        (DeliveryFilter { status: Some(Status::Delivered), ..none() }, &draft),
        (DeliveryFilter { held: Some(true), ..none() }, &ring),
        (DeliveryFilter { held: Some(false), ..none() }, &draft),
        (DeliveryFilter { held_reason: Some(HeldReason::SubscriptionPaused), ..none() }, &ring),
        (DeliveryFilter { event_type: Some("draft.published".to_owned()), ..none() }, &draft),
        (DeliveryFilter { event_id: Some(ring.event_id), ..none() }, &ring),
        (DeliveryFilter { until: Some(before_draft), ..none() }, &ring),
        (DeliveryFilter { from: Some(before_draft), ..none() }, &draft),
    ] {
        let own = list(&mut world.connection, &owner, &filter, ALL).await.unwrap();
        assert_eq!(ids(&own), [expected.delivery_id], "{filter:?}");
        assert_eq!(list_any_owner(&mut world.connection, &filter, ALL).await.unwrap(), own, "{filter:?}");
    }
    for filter in [
        DeliveryFilter { held_reason: Some(HeldReason::DeliveryOff), ..none() },
        DeliveryFilter { held: Some(false), held_reason: Some(HeldReason::SubscriptionPaused), ..none() },
    ] {
        assert_eq!(ids(&list(&mut world.connection, &owner, &filter, ALL).await.unwrap()), [], "{filter:?}");
    }
}

/// The few that pass a filter, behind more deliveries than a page looks at: it says where to go on, and nothing is left out.
#[tokio::test]
async fn a_page_looks_back_so_far_and_says_where_to_go_on() {
    let mut world = World::new().await;
    let webhook = world.subscription("acme", "*").await;
    let oldest = world.publish("acme", "rare").await.remove(0);
    world
        .sql(
            "INSERT INTO webhook_deliveries (delivery_id, event_id, webhook_id, owner_id, event_type, status, attempt_count, \
                 delivered_at, settled_at, created_at) \
             SELECT onering.sibling_id(id), id, w.webhook_id, 'acme', 'a.b', 'DELIVERED', 1, now(), now(), now() \
             FROM external_webhooks AS w, generate_series(1, 30000), LATERAL (SELECT onering.uuid_v7() AS id OFFSET 0) AS event",
        )
        .await;
    let newest = world.publish("acme", "rare").await.remove(0);
    let owner: OwnerId = "acme".parse().unwrap();
    let none = DeliveryFilter::default;
    let pending = DeliveryFilter { status: Some(Status::Pending), ..none() };
    for (owner, filter, look_ends) in [
        (Some(&owner), pending.clone(), true),
        (Some(&owner), DeliveryFilter { event_type: Some("rare".to_owned()), ..none() }, true),
        (None, DeliveryFilter { event_type: Some("rare".to_owned()), ..none() }, true),
        (None, DeliveryFilter { webhook_id: Some(webhook), ..pending.clone() }, true),
        (None, pending, false),
    ] {
        let (mut seen, mut ended, mut page) = (Vec::new(), false, Page { limit: 1, before: None });
        loop {
            let found = match owner {
                Some(owner) => list(&mut world.connection, owner, &filter, page).await.unwrap(),
                None => list_any_owner(&mut world.connection, &filter, page).await.unwrap(),
            };
            let listed = ids(&found);
            ended |= found.next.is_some() && found.next != listed.last().copied();
            seen.extend(listed);
            match found.next {
                Some(next) => page.before = Some(next),
                None => break,
            }
        }
        assert_eq!((seen, ended), (vec![newest.delivery_id, oldest.delivery_id], look_ends), "{owner:?} {filter:?}");
    }
}

#[tokio::test]
async fn a_delivery_is_shown_to_its_owner_only() {
    let mut world = World::new().await;
    world.subscription("acme", "*").await;
    let work = world.publish("acme", "ring.forged").await.remove(0);
    let (acme, other) = ("acme".parse().unwrap(), "other".parse().unwrap());
    let found = get(&mut world.connection, &acme, work.delivery_id).await.unwrap().unwrap();
    assert_eq!((found.delivery.event_id, found.attempts.len()), (work.event_id, 0));
    assert_eq!(found.delivery.queued_until, Some(work.lease.until.to_utc()));
    assert_eq!(get(&mut world.connection, &other, work.delivery_id).await.unwrap(), None);
    let unknown = world.clock.fresh_id();
    assert_eq!(get_any_owner(&mut world.connection, unknown).await.unwrap(), None);
    let bodies = event_bodies(&mut world.connection, &[work.event_id, world.clock.fresh_id()]).await.unwrap();
    assert_eq!(bodies.keys().collect::<Vec<_>>(), [&work.event_id]);
    assert!(event_bodies(&mut world.connection, &[]).await.unwrap().is_empty());
}

fn repeat_of<'a>(world: &World, original: DeliveryId, owner: Option<&'a OwnerId>) -> Repeat<'a> {
    Repeat { owner, original, delivery_id: world.clock.fresh_id(), lease: LEASE, hold: None }
}

#[tokio::test]
async fn a_final_delivery_can_be_repeated_and_the_ledger_knows() {
    let mut world = World::new().await;
    let owner = world.partner("acme").await;
    world.subscription("acme", "*").await;
    let original = world.publish("acme", "ring.forged").await.remove(0);
    let again = repeat_of(&world, original.delivery_id, Some(&owner));
    assert_eq!(repeat(&mut world.connection, again).await.unwrap(), Repeated::StillWaiting);

    let delivered = world.delivered(&original);
    settle(&mut world.connection, "w", &[delivered]).await.unwrap();
    let Repeated::Inserted(inserted) = repeat(&mut world.connection, again).await.unwrap() else { panic!("inserted") };
    let (work, body) = inserted.queued.unwrap();
    assert_eq!((work.delivery_id, work.event_id), (again.delivery_id, original.event_id));
    assert_eq!((work.webhook_id, work.lease.attempts_made), (original.webhook_id, 0));
    assert!(std::str::from_utf8(&body).unwrap().contains(&original.event_id.to_string()));
    let row = get_any_owner(&mut world.connection, work.delivery_id).await.unwrap().unwrap().delivery;
    assert_eq!((row.original_delivery_id, row.status), (Some(original.delivery_id), Status::Pending));
    world.publish("acme", "ring.forged").await;
    let of_event = DeliveryFilter { event_id: Some(original.event_id), ..DeliveryFilter::default() };
    let both = [work.delivery_id, original.delivery_id];
    assert_eq!(ids(&list(&mut world.connection, &owner, &of_event, ALL).await.unwrap()), both);
    assert_eq!(ids(&list_any_owner(&mut world.connection, &of_event, ALL).await.unwrap()), both);
    let first = Page { limit: 1, before: None };
    let page = list(&mut world.connection, &owner, &of_event, first).await.unwrap();
    assert_eq!((ids(&page), page.next), (vec![both[0]], Some(both[0])));
    let second = Page { limit: 1, before: page.next };
    let page = list(&mut world.connection, &owner, &of_event, second).await.unwrap();
    assert_eq!((ids(&page), page.next), (vec![both[1]], None));
    let ledger = world.ledger().await;
    assert_eq!((ledger.matched, ledger.repeated, ledger.balances()), (2, 1, true));
}

#[tokio::test]
async fn a_repeat_is_refused_with_its_reason() {
    let mut world = World::new().await;
    let stranger: OwnerId = "stranger".parse().unwrap();
    let work = world.one_delivery().await;
    let delivered = world.delivered(&work);
    settle(&mut world.connection, "w", &[delivered]).await.unwrap();
    let again = |world: &World, owner| repeat_of(world, work.delivery_id, owner);

    let asked = again(&world, Some(&stranger));
    assert_eq!(repeat(&mut world.connection, asked).await.unwrap(), Repeated::NotFound);
    world.sql("UPDATE external_webhooks SET status = 'paused'").await;
    let asked = again(&world, None);
    let Repeated::Inserted(held) = repeat(&mut world.connection, asked).await.unwrap() else { panic!("inserted") };
    assert_eq!((held.queued, held.held), (None, Some(HeldReason::SubscriptionPaused)));
    world.sql("UPDATE external_webhooks SET deleted_at = now()").await;
    let asked = again(&world, None);
    assert_eq!(repeat(&mut world.connection, asked).await.unwrap(), Repeated::SubscriptionDeleted);
    world.sql("DELETE FROM webhook_events").await;
    let asked = again(&world, None);
    assert_eq!(repeat(&mut world.connection, asked).await.unwrap(), Repeated::EventGone);
}

#[tokio::test]
async fn a_test_delivery_goes_to_one_subscription_whatever_it_asks_for() {
    let mut world = World::new().await;
    let owner = world.partner("acme").await;
    let webhook_id = world.subscription("acme", "ring.forged").await;
    world.subscription("acme", "*").await;
    let event_id: EventId = world.clock.fresh_id();
    let test = TestDelivery {
        owner: Some(&owner),
        webhook_id,
        event_id,
        delivery_id: world.clock.fresh_id(),
        body: br#"{"data":{"test":true}}"#,
        occurred_at: world.clock.now(),
        lease: LEASE,
        hold: None,
    };
    let inserted = insert_test(&mut world.connection, test).await.unwrap().unwrap();
    let (work, body) = inserted.queued.unwrap();
    assert_eq!((work.webhook_id, &*work.event_type, &body[..]), (webhook_id, TEST_EVENT_TYPE, test.body));
    let ledger = world.ledger().await;
    assert_eq!((ledger.matched, ledger.pending, ledger.balances()), (1, 1, true));

    let other: OwnerId = "other".parse().unwrap();
    let foreign = TestDelivery { owner: Some(&other), event_id: world.clock.fresh_id(), ..test };
    assert_eq!(insert_test(&mut world.connection, foreign).await.unwrap(), None);
    assert_eq!(world.number("SELECT count(*) FROM webhook_events").await, 1, "nothing was written");
}

#[tokio::test]
async fn deleting_a_subscription_cancels_all_that_waits_for_it() {
    let mut world = World::new().await;
    let webhook = world.subscription("acme", "*").await;
    let mut works = Vec::new();
    for _ in 0..4 {
        works.push(world.publish("acme", "ring.forged").await.remove(0));
    }
    world.one_delivery().await;
    let delivered = world.delivered(&works[0]);
    settle(&mut world.connection, "w", &[delivered]).await.unwrap();
    let held = onering_delivery::Settlement::hold(&works[1], HeldReason::BreakerOpen);
    settle(&mut world.connection, "w", &[held]).await.unwrap();

    assert_eq!(cancel_waiting(&mut world.connection, "gateway-1", webhook).await.unwrap(), 3);
    assert_eq!(cancel_waiting(&mut world.connection, "gateway-1", webhook).await.unwrap(), 0);
    let ledger = world.ledger().await;
    assert_eq!((ledger.cancelled, ledger.delivered, ledger.pending, ledger.balances()), (3, 1, 1, true));
    let counted = "SELECT count FROM delivery_stats WHERE outcome = 'CANCELLED' AND process = 'gateway-1'";
    assert_eq!(world.number(counted).await, 3);
    let late = world.delivered(&works[2]);
    assert!(settle(&mut world.connection, "w", &[late]).await.unwrap().written.is_empty());
}
