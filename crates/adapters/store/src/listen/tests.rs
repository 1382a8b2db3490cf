use std::time::Duration;

use onering_testkit::eventually;

use super::*;
use crate::testing::World;

const LONG: Duration = Duration::from_secs(20);

async fn woken(listener: &Listener) {
    tokio::time::timeout(LONG, listener.wait()).await.expect("a wake-up in time");
}

/// The process that listens in the world's database, once it does.
async fn backend(world: &mut World, not: i64) -> i64 {
    eventually(LONG, "a backend that listens", async || {
        let query = "SELECT coalesce(max(pid), 0)::bigint FROM pg_stat_activity \
                     WHERE datname = current_database() AND query LIKE 'LISTEN %' AND state = 'idle'";
        let pid = world.number(query).await;
        (pid != 0 && pid != not).then_some(pid)
    })
    .await
}

#[tokio::test]
async fn a_commit_of_publish_event_wakes_and_a_rollback_does_not() {
    let mut world = World::new().await;
    let listener = Listener::start(&world.config());
    woken(&listener).await;
    let publish = "SELECT onering.publish_event('acme', 'a.b', '{}')";
    let product = world.database.connect().await;
    product.batch_execute(&format!("BEGIN; {publish}; ROLLBACK")).await.unwrap();
    assert!(futures_util::FutureExt::now_or_never(listener.wait()).is_none());
    world.sql(publish).await;
    woken(&listener).await;
}

#[tokio::test]
async fn a_lost_connection_is_opened_again_and_says_so() {
    let mut world = World::new().await;
    let listener = Listener::start(&world.config());
    woken(&listener).await;
    let first = backend(&mut world, 0).await;
    world.sql(&format!("SELECT pg_terminate_backend({first})")).await;
    woken(&listener).await;
    backend(&mut world, first).await;
    world.sql("SELECT onering.publish_event('acme', 'a.b', '{}')").await;
    woken(&listener).await;
    drop(listener);
    eventually(LONG, "the connection ends with its listener", async || {
        world
            .number(
                "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN %' AND datname = current_database()",
            )
            .await
            == 0
    })
    .await;
}

/// A peer that accepts and then says nothing does not keep it waiting for ever.
#[tokio::test]
async fn a_silent_server_is_given_up() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let config = PoolConfig::new(&format!("postgres://a@{}/c", silent.local_addr().unwrap())).unwrap();
    let (woken, mut connected) = (Notify::new(), false);
    let listening = listen(&config, Duration::from_millis(50), NoTls, &woken, &mut connected);
    let lost = tokio::time::timeout(LONG, listening).await.expect("an end");
    assert!(matches!(lost, Lost::Silent) && !connected, "{lost:?}");
}
