//! `onering bench seed`: what it leaves is what the platform could have left.

use onering_store::{PoolConfig, connect, leases, monitoring_reads};
use onering_testkit::{ScratchDir, TestDatabase, postgres, scratch_dir};

use crate::running::{Ran, run};

const SMALL: [&str; 8] = ["--deliveries", "20000", "--subscriptions", "100", "--days", "5", "--seed", "42"];

async fn migrated() -> (TestDatabase, ScratchDir) {
    let (database, folder) = (postgres().await, scratch_dir("seed"));
    run(folder.path(), &[("DATABASE_URL", database.url())], &["migrate"]).success();
    (database, folder)
}

fn seed(database: &TestDatabase, folder: &ScratchDir, arguments: &[&[&str]]) -> Ran {
    let arguments = [&["bench", "seed"], arguments.concat().as_slice()].concat();
    run(folder.path(), &[("DATABASE_URL", database.url())], &arguments)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seeded_past_is_one_that_could_have_been() {
    let (database, folder) = migrated().await;
    let out = seed(&database, &folder, &[&SMALL]).success();
    assert!(out.starts_with("20000 deliveries") && out.contains("deliveries/s"), "{out}");
    let client = database.connect().await;
    let number = async |query: &str| client.query_one(query, &[]).await.unwrap().get::<_, i64>(0);

    assert_eq!(number("SELECT count(*) FROM webhook_deliveries").await, 20_000);
    assert_eq!(number("SELECT count(*) FROM external_webhooks").await, 100);
    assert_eq!(number("SELECT count(*) FROM partners WHERE owner_id LIKE 'seed-2a-%'").await, 10);
    // Five times 24 hours lie on six days, but for a moment after midnight.
    assert!((5..=6).contains(&number("SELECT count(DISTINCT tableoid) FROM webhook_deliveries").await));
    let wrong_attempts = "SELECT count(*) FROM webhook_deliveries AS d WHERE attempt_count <> \
                          (SELECT count(*) FROM external_delivery_logs AS l WHERE l.delivery_id = d.delivery_id)";
    assert_eq!(number(wrong_attempts).await, 0);
    let without_outcome = "SELECT count(*) FROM webhook_deliveries AS d WHERE status IN ('DELIVERED', 'DEAD', 'REPLAY_EXPIRED') \
                           AND NOT EXISTS (SELECT FROM external_delivery_logs AS l WHERE l.delivery_id = d.delivery_id \
                                           AND l.outcome = d.status AND l.attempt = d.attempt_count)";
    assert_eq!(number(without_outcome).await, 0);
    let unmatched = "SELECT count(*) FROM webhook_deliveries AS d JOIN external_webhooks AS w USING (webhook_id) \
                     WHERE NOT w.events && onering.event_patterns(d.event_type) OR w.owner_id <> d.owner_id";
    assert_eq!(number(unmatched).await, 0);
    // Constraints that were there are there, valid, for every row.
    assert_eq!(number("SELECT count(*) FROM pg_constraint WHERE NOT convalidated").await, 0);

    let range = ["audit", "--from", "2020-01-01T00:00:00Z"];
    let audit = run(folder.path(), &[("DATABASE_URL", database.url())], &range).success();
    assert!(audit.contains("(matched 20000, repeated 0)") && audit.contains("The ledger balances ✅"), "{audit}");
}

/// Of the 20,000 a fifth are of the last 24 hours, which is what monitoring looks back on.
#[tokio::test(flavor = "multi_thread")]
async fn worker_and_monitoring_find_their_way_in_it() {
    let (database, folder) = migrated().await;
    seed(&database, &folder, &[&SMALL]).success();
    let client = database.connect().await;
    let mut store = connect(&PoolConfig::new(database.url()).unwrap()).await.unwrap();

    let since = onering_clock::Clock::system().now() - chrono::TimeDelta::hours(24);
    let counted: u64 = monitoring_reads::delivery_outcomes(&mut store, since - chrono::TimeDelta::days(9))
        .await
        .unwrap()
        .iter()
        .map(|total| total.count)
        .sum();
    assert!((3_900..4_400).contains(&counted), "{counted}");
    let waiting = monitoring_reads::waiting(&mut store).await.unwrap();
    assert!(waiting.retrying > 10 && waiting.pending == 0, "{waiting:?}");
    let haul = leases::sweep(&mut store, "w", std::time::Duration::from_secs(30), &leases::Wanted::at_most(100)).await;
    assert_eq!(haul.unwrap(), leases::Haul::default(), "nothing is due");

    // What waits, for a subscription that is there.
    let made = "INSERT INTO external_webhooks (webhook_id, owner_id, url, events) \
                VALUES (onering.uuid_v7(), 'default', 'https://receiver.example/', '{*}') RETURNING onering.typeid('wh', webhook_id)";
    let webhook: String = client.query_one(made, &[]).await.unwrap().get(0);
    let due = ["--add", "--deliveries", "0", "--subscriptions", "1", "--pending", "70", "--due", "--webhook", &webhook];
    seed(&database, &folder, &[&due]).success();
    let haul = leases::sweep(&mut store, "w", std::time::Duration::from_secs(30), &leases::Wanted::at_most(100)).await;
    let swept = haul.unwrap().deliveries;
    assert!(swept.len() == 70 && swept.iter().all(|one| one.work.webhook_id.to_string() == webhook));
    run(folder.path(), &[("DATABASE_URL", database.url())], &["audit"]).success();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_with_events_is_left_alone_unless_told_otherwise() {
    let (database, folder) = migrated().await;
    let small = ["--deliveries", "50", "--subscriptions", "5", "--days", "2"];
    seed(&database, &folder, &[&small, &["--seed", "1"]]).success();
    let refused = seed(&database, &folder, &[&small, &["--seed", "2"]]);
    assert!(refused.code == Some(1) && refused.err.contains("--add"), "{refused:?}");
    let twice = seed(&database, &folder, &[&small, &["--add", "--seed", "1"]]);
    assert!(twice.code == Some(1) && twice.err.contains("--seed"), "{twice:?}");
    seed(&database, &folder, &[&small, &["--add", "--seed", "2", "--pending", "30"]]).success();
    let client = database.connect().await;
    let count = "SELECT count(*), count(*) FILTER (WHERE queued_until > now() + interval '20 days' AND status = 'PENDING') \
                 FROM webhook_deliveries";
    let row = client.query_one(count, &[]).await.unwrap();
    assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (130, 30));
    let due = seed(&database, &folder, &[&["--add", "--pending", "5", "--due"]]);
    assert!(due.code == Some(2) && due.err.contains("--webhook"), "{due:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_not_migrated_is_refused() {
    let (database, folder) = (postgres().await, scratch_dir("seed-empty"));
    let refused = seed(&database, &folder, &[&SMALL]);
    assert!(refused.code == Some(1) && refused.err.contains("migrated"), "{refused:?}");
}
