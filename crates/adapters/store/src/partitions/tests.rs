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

/// Ingest and everybody else have these tables open all the time.
#[tokio::test]
async fn days_are_made_while_others_read_and_write() {
    let mut world = World::new().await;
    world.subscription("acme", "*").await;
    let other = world.database.connect().await;
    let publish = "SELECT onering.publish_event('acme', 'a.b', '{}')";
    other.batch_execute(&format!("BEGIN; {publish}; SELECT count(*) FROM external_delivery_logs")).await.unwrap();
    assert_eq!(ensure(&mut world.connection, 15).await.unwrap(), 3);
    other.batch_execute(&format!("{publish}; COMMIT")).await.unwrap();
}

/// A partition made by hand is what `CREATE TABLE … PARTITION OF` would have made: checks, defaults, indexes, trigger.
#[tokio::test]
async fn an_attached_day_is_like_any_other() {
    let mut world = World::new().await;
    old_days(&mut world).await;
    for (what, from) in [
        ("indexes", "pg_index AS x ON x.indrelid = c.oid"),
        ("checks", "pg_constraint AS x ON x.conrelid = c.oid"),
        ("triggers", "pg_trigger AS x ON x.tgrelid = c.oid"),
    ] {
        let differing = world
            .number(&format!(
                "SELECT count(*) FROM (SELECT p.oid, count(x.*) AS n FROM pg_class AS c JOIN pg_inherits AS i ON i.inhrelid = c.oid \
                     JOIN pg_class AS p ON p.oid = i.inhparent AND p.relkind = 'p' LEFT JOIN {from} GROUP BY p.oid, c.oid) AS child \
                 JOIN (SELECT c.oid, count(x.*) AS n FROM pg_class AS c LEFT JOIN {from} WHERE c.relkind = 'p' GROUP BY c.oid) AS parent \
                     ON parent.oid = child.oid \
                 WHERE child.n <> parent.n"
            ))
            .await;
        assert_eq!(differing, 0, "{what}");
    }
    settle_everything(&mut world).await;
    assert!(world.refused("UPDATE webhook_deliveries SET last_error = 'x'").await.contains("final"));
    let plain = "SELECT count(*) FROM pg_class WHERE relname LIKE 'webhook_deliveries_2%' AND relkind = 'r' \
                 AND reloptions <> '{fillfactor=70}'";
    assert_eq!(world.number(plain).await, 0);
}

#[tokio::test]
async fn a_kept_day_is_not_locked() {
    let mut world = World::new().await;
    let old = old_days(&mut world).await;
    let reader = world.database.connect().await;
    reader.batch_execute("BEGIN; SELECT count(*) FROM webhook_deliveries").await.unwrap();
    assert_eq!(drop_expired(&mut world.connection, DAY).await.unwrap().kept, old);
}

/// Who has a parent and comes to its partitions next never finds one of them locked by a drop that waits for the parent.
#[tokio::test]
async fn a_drop_that_waits_has_no_partition_locked() {
    let mut world = World::new().await;
    old_days(&mut world).await;
    settle_everything(&mut world).await;
    let live = world.database.connect().await;
    live.batch_execute("BEGIN; LOCK TABLE ONLY webhook_deliveries IN ROW EXCLUSIVE MODE; SET lock_timeout = '1ms'")
        .await
        .unwrap();
    let mut worker = world.another_connection().await;
    let dropping = tokio::spawn(async move { drop_expired(&mut worker, DAY).await });
    let seen = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'webhook_deliveries'::regclass";
    onering_testkit::eventually(Duration::from_secs(20), "the drop waits, or has given up", async || {
        dropping.is_finished() || world.number(seen).await > 0
    })
    .await;
    live.batch_execute("SELECT count(*) FROM webhook_deliveries; COMMIT").await.unwrap();
    drop(dropping.await.unwrap());
}

#[tokio::test]
async fn of_two_workers_each_day_is_dropped_by_one() {
    let mut world = World::new().await;
    let old = old_days(&mut world).await;
    settle_everything(&mut world).await;
    let mut other = world.another_connection().await;
    let (one, two) = tokio::join!(drop_expired(&mut world.connection, DAY), drop_expired(&mut other, DAY));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!([one.kept, two.kept], [vec![], vec![]]);
    let rest = drop_expired(&mut world.connection, DAY).await.unwrap().dropped;
    let mut dropped = [one.dropped, two.dropped, rest].concat();
    dropped.sort_unstable();
    assert_eq!(dropped, old);
}

/// Publishers, workers and readers that take the tables in every order, while days come and go.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_the_victim_of_a_drop() {
    let mut world = World::new().await;
    world.subscription("acme", "*").await;
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let mut live = Vec::new();
    for statements in [
        "SELECT onering.publish_event('acme', 'a.b', '{}')",
        "BEGIN; SELECT count(*) FROM webhook_deliveries; SELECT count(*) FROM webhook_events; \
         SELECT count(*) FROM external_delivery_logs; COMMIT",
        "BEGIN; SELECT count(*) FROM external_delivery_logs; SELECT count(*) FROM webhook_deliveries; \
         SELECT count(*) FROM webhook_events; COMMIT",
        "UPDATE webhook_deliveries SET queued_until = now() WHERE queued_until IS NOT NULL",
    ] {
        let (client, stopped) = (world.database.connect().await, stopped.clone());
        // A little more than by default, so that a busy machine is not taken for a deadlock.
        client.batch_execute("SET deadlock_timeout = '1500ms'").await.unwrap();
        live.push(tokio::spawn(async move {
            let mut rounds = 0_u32;
            while !*stopped.borrow() {
                client.batch_execute(statements).await.unwrap_or_else(|error| panic!("{statements}: {error:?}"));
                rounds += 1;
            }
            rounds
        }));
    }
    let today = today(&mut world).await;
    for age in 10..20 {
        let day = today - chrono::Days::new(age);
        world.sql(&format!("SELECT onering.ensure_partitions('{day}', '{day}')")).await;
        // Behind the readers it may have to give up: that is its part.
        let _ = drop_expired(&mut world.connection, DAY).await;
    }
    stop.send(true).unwrap();
    for task in live {
        assert!(task.await.unwrap() > 0);
    }
    drop_expired(&mut world.connection, DAY).await.unwrap();
    assert_eq!(days(&mut world.connection).await.unwrap()[0], today - chrono::Days::new(1));
}

#[tokio::test]
async fn a_day_that_a_replay_has_yet_to_go_over_stays() {
    let mut world = World::new().await;
    let old = old_days(&mut world).await;
    settle_everything(&mut world).await;
    // It has come as far as the end of the first day, and ends with the second.
    world
        .sql(&format!(
            "INSERT INTO replay_jobs (replay_id, range_from, range_to, statuses, rate_per_second, matched, cursor_delivery_id, \
                 created_by) \
             SELECT onering.uuid_v7(), '{0} 00:00Z', '{2} 00:00Z', ARRAY['DEAD'], 1, 2, \
                 onering.uuid_floor('{1} 00:00Z'), 'ada'",
            old[0], old[1], old[2]
        ))
        .await;
    let expiry = drop_expired(&mut world.connection, DAY).await.unwrap();
    assert_eq!((expiry.dropped, expiry.kept), (vec![old[0], old[2]], vec![old[1]]));
    world.sql("UPDATE replay_jobs SET state = 'CANCELLED', finished_at = now()").await;
    assert_eq!(drop_expired(&mut world.connection, DAY).await.unwrap().dropped, [old[1]]);
}
