use super::*;
use crate::monitoring_reads::{delivery_latency, delivery_outcomes};
use crate::testing::World;

fn at(time: &str) -> DateTime<Utc> {
    format!("2026-03-01T{time}Z").parse().unwrap()
}

#[test]
fn a_slot_is_closed_some_time_after_its_end() {
    let closed = |begin: &str, now: &str| to_close(at(begin), at(now));
    assert_eq!(closed("12:00:00", "12:14:59.999"), None);
    assert_eq!(closed("12:00:00", "12:15:00"), Some(at("12:00:00")));
    assert_eq!(closed("12:09:59", "18:00:00"), Some(at("12:00:00")), "one at a time");
    assert_eq!(closed("12:00:00", "11:00:00"), None, "a clock that was set back");
}

#[test]
fn every_slot_of_the_last_day_has_its_turn() {
    let (until, now) = (at("12:00:00"), at("12:06:00"));
    let slots: Vec<_> = (0..SLOTS).filter_map(|turn| of_turn(until, now, turn)).collect();
    assert_eq!((slots[0], slots.len()), (at("11:50:00"), 143));
    assert!(slots.is_sorted_by(|newer, older| *newer - SLOT == *older));
    assert_eq!(slots[142] - SLOT, until - DAY, "which began more than a day ago");
    assert_eq!(of_turn(until, now, SLOTS), Some(slots[0]));
}

/// What is covered is whole slots of what was asked for; nothing of it is added up later.
#[test]
fn the_parts_of_a_time_meet() {
    let minute = |minutes: i64| DateTime::from_timestamp(minutes * 60, 0).unwrap();
    for since in (0..60).map(minute) {
        for until in (0..8).map(|slot| minute(slot * 10)).map(Some).chain([None]) {
            let Covered { from, to } = Covered::of(since, until);
            assert!(since <= from && from <= to, "{since} {until:?}");
            if from < to {
                assert!(Some(to) == until && slot_of(from) == from && from - since < SLOT, "{since} {until:?}");
            } else {
                assert!(from == since && until.is_none_or(|until| until - since < SLOT * 2), "{since} {until:?}");
            }
        }
    }
    let ragged = minute(7) + TimeDelta::milliseconds(1);
    assert_eq!(Covered::of(ragged, Some(minute(30))), Covered { from: minute(10), to: minute(30) });
}

/// Two processes count for a day and an hour: each minute some outcomes and latencies, of two subscriptions.
async fn a_day(world: &mut World) {
    world
        .sql(
            "WITH made AS (
                 SELECT date_trunc('minute', now()) - n * interval '1 minute' AS minute, n, p,
                        ('00000000-0000-7000-8000-00000000000' || n % 2)::uuid AS webhook
                 FROM generate_series(0, 1500) AS n, (VALUES ('w-1'), ('w-2')) AS p (p)
             ), outcomes AS (
                 INSERT INTO delivery_stats (minute, process, webhook_id, outcome, count, attempts)
                 SELECT minute, p, webhook, outcome, n % 7 + 1, n % 5 + 1
                 FROM made, (VALUES ('DELIVERED', 1), ('RETRY', 3), ('DEAD', 50)) AS o (outcome, every) WHERE n % every = 0
             )
             INSERT INTO delivery_latency_stats (minute, process, bucket, count)
             SELECT minute, p, bucket, n % 3 + 1 FROM made, generate_series(10, 12) AS bucket WHERE n % 4 > 0",
        )
        .await;
}

async fn close_all(world: &mut World) -> u32 {
    let mut closed = 0;
    while close(&mut world.connection).await.unwrap() {
        closed += 1;
    }
    closed
}

async fn count_all_again(world: &mut World) {
    for turn in 0..SLOTS {
        count_again(&mut world.connection, turn).await.unwrap();
    }
}

/// What differs between the totals and the rows they are of.
async fn differences(world: &mut World) -> i64 {
    world
        .number(
            "WITH bound AS (SELECT slot FROM delivery_totals_until), outcomes AS (
                 SELECT date_bin('10 minutes', minute, 'epoch'), outcome, sum(count)::bigint, sum(attempts)::bigint
                 FROM delivery_stats, bound WHERE minute < bound.slot GROUP BY 1, 2
             ), latency AS (
                 SELECT date_bin('10 minutes', minute, 'epoch'), bucket, sum(count)::bigint
                 FROM delivery_latency_stats, bound WHERE minute < bound.slot GROUP BY 1, 2
             )
             SELECT (SELECT count(*) FROM (TABLE outcomes EXCEPT TABLE delivery_totals) AS d)
                  + (SELECT count(*) FROM (TABLE delivery_totals EXCEPT TABLE outcomes) AS d)
                  + (SELECT count(*) FROM (TABLE latency EXCEPT TABLE delivery_latency_totals) AS d)
                  + (SELECT count(*) FROM (TABLE delivery_latency_totals EXCEPT TABLE latency) AS d)",
        )
        .await
}

/// What monitoring reads since then, as text, and the same from the rows alone.
async fn figures(world: &mut World, since: DateTime<Utc>) -> [Option<String>; 2] {
    let outcomes = delivery_outcomes(&mut world.connection, since).await.unwrap();
    let latency = delivery_latency(&mut world.connection, since).await.unwrap();
    let mut read: Vec<String> =
        outcomes.iter().map(|of| format!("{} {} {}", of.outcome.as_str(), of.count, of.attempts)).collect();
    read.extend(latency.iter().map(|of| format!("{} {}", of.bucket, of.count)));
    let rows = format!(
        "SELECT concat_ws(';', (SELECT string_agg(concat_ws(' ', outcome, c, a), ';' ORDER BY outcome) FROM (
             SELECT outcome, sum(count) AS c, sum(attempts) AS a FROM delivery_stats WHERE minute >= '{0}' GROUP BY 1) AS o),
         (SELECT string_agg(concat_ws(' ', bucket, c), ';' ORDER BY bucket) FROM (
             SELECT bucket, sum(count) AS c FROM delivery_latency_stats WHERE minute >= '{0}' GROUP BY 1) AS l))",
        since.to_rfc3339()
    );
    [Some(read.join(";")), world.text(&rows).await]
}

async fn assert_exact(world: &mut World) {
    let now = world.clock.now();
    for minutes in [0, 1, 4, 17, 60, 1438, 1439, 1440, 1441, 1600] {
        let since = now - TimeDelta::minutes(minutes);
        let [read, rows] = figures(world, since).await;
        assert_eq!(read, rows, "since {since}");
    }
}

#[tokio::test]
async fn figures_are_those_of_the_rows_however_far_they_are_added_up() {
    let mut world = World::new().await;
    assert!(!close(&mut world.connection).await.unwrap(), "there is nothing");
    count_all_again(&mut world).await;
    assert_exact(&mut world).await;

    a_day(&mut world).await;
    assert_exact(&mut world).await;
    for _ in 0..30 {
        assert!(close(&mut world.connection).await.unwrap());
    }
    assert_exact(&mut world).await;
    let rest = close_all(&mut world).await;
    assert!((118..=120).contains(&rest), "25 hours but for the last minutes: {rest}");
    assert_exact(&mut world).await;
    assert_eq!(differences(&mut world).await, 0);
    let open = "SELECT extract(epoch FROM now() - slot)::bigint / 60 FROM delivery_totals_until";
    let open = world.number(open).await;
    assert!((5..=15).contains(&open), "{open} minutes");
}

/// A day of rows is not read again.
#[tokio::test]
async fn slots_that_are_closed_are_read_from_their_totals() {
    let mut world = World::new().await;
    a_day(&mut world).await;
    close_all(&mut world).await;
    let since = slot_from(world.clock.now() - TimeDelta::hours(20));
    let [before, _] = figures(&mut world, since).await;
    for table in ["delivery_stats", "delivery_latency_stats"] {
        world.sql(&format!("DELETE FROM {table} WHERE minute < (SELECT slot FROM delivery_totals_until)")).await;
    }
    let [after, rows] = figures(&mut world, since).await;
    assert_eq!(after, before);
    assert_ne!(after, rows);
}

/// Also what was counted into a minute long over, or is gone from one.
#[tokio::test]
async fn what_comes_late_is_counted_when_its_slot_has_its_turn() {
    let mut world = World::new().await;
    a_day(&mut world).await;
    close_all(&mut world).await;
    count_all_again(&mut world).await;
    assert_eq!(differences(&mut world).await, 0);
    let written = "SELECT max(xmin::text::bigint) FROM delivery_totals";
    let before = world.number(written).await;
    count_all_again(&mut world).await;
    assert_eq!(world.number(written).await, before, "what is right is not written again");

    world
        .sql(
            "INSERT INTO delivery_stats (minute, process, webhook_id, outcome, count, attempts) \
             SELECT date_trunc('minute', now()) - interval '3 hours', 'w-3', onering.uuid_v7(), outcome, 5, 6 \
             FROM unnest(ARRAY['GONE', 'DELIVERED']) AS outcome; \
             INSERT INTO delivery_latency_stats \
             SELECT date_trunc('minute', now()) - interval '23 hours', 'w-3', bucket, 3 FROM generate_series(12, 13) AS bucket; \
             DELETE FROM delivery_stats WHERE outcome = 'RETRY' \
                 AND minute BETWEEN now() - interval '10 hours' AND now() - interval '9 hours'; \
             DELETE FROM delivery_latency_stats WHERE bucket = 10 \
                 AND minute BETWEEN now() - interval '10 hours' AND now() - interval '9 hours'",
        )
        .await;
    assert!(differences(&mut world).await > 0);
    count_all_again(&mut world).await;
    assert_eq!(differences(&mut world).await, 0);
    assert_exact(&mut world).await;
}

#[tokio::test]
async fn seeding_an_old_minute_takes_the_totals_back() {
    let mut world = World::new().await;
    a_day(&mut world).await;
    close_all(&mut world).await;
    for table in ["delivery_stats", "delivery_latency_stats"] {
        world.sql(&format!("DELETE FROM {table} WHERE minute < now() - interval '1 hour'")).await;
    }
    let since = world.clock.now() - TimeDelta::hours(2);
    crate::seeding::fill_statistics(&mut world.connection, "seeder", since).await.unwrap();
    assert_exact(&mut world).await;
    assert!(close_all(&mut world).await > 0);
    assert_exact(&mut world).await;
}

#[tokio::test]
async fn who_comes_second_leaves_it_to_the_first() {
    let mut world = World::new().await;
    a_day(&mut world).await;
    let mut other = world.another_connection().await;
    let first: Result<(), StoreError> = transaction(&mut other, async |other| {
        let _locked: (Option<DateTime<Utc>>, DateTime<Utc>) = Lock {}.get_result(other).await.during(COUNT)?;
        assert!(!close(&mut world.connection).await?);
        count_again(&mut world.connection, 0).await
    })
    .await;
    first.unwrap();
    assert!(close(&mut world.connection).await.unwrap());
}

/// Whatever two processes do at the same time while rows still come, in the end every row is in the totals once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_at_once_count_everything_once() {
    let mut world = World::new().await;
    a_day(&mut world).await;
    let mut processes = Vec::new();
    for _ in 0..2 {
        let mut connection = world.another_connection().await;
        processes.push(tokio::spawn(async move {
            for turn in 0..SLOTS {
                close(&mut connection).await.unwrap();
                count_again(&mut connection, turn % 8).await.unwrap();
            }
        }));
    }
    for _ in 0..50 {
        world
            .sql(
                "INSERT INTO delivery_stats AS s (minute, process, webhook_id, outcome, count, attempts) \
                 VALUES (date_trunc('minute', now()) - interval '40 minutes', 'late', '00000000-0000-7000-8000-000000000000', 'DELIVERED', 1, 2) \
                 ON CONFLICT (minute, process, webhook_id, outcome) DO UPDATE SET count = s.count + 1, attempts = s.attempts + 2",
            )
            .await;
    }
    for process in processes {
        process.await.unwrap();
    }
    close_all(&mut world).await;
    count_all_again(&mut world).await;
    assert_eq!(differences(&mut world).await, 0);
    assert_exact(&mut world).await;
}
