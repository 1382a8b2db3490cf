use diesel::dsl::sql;
use diesel::sql_types::Text;
use diesel_async::RunQueryDsl;

use super::*;
use crate::testing::World;

mod tls;

async fn setting(connection: &mut AsyncPgConnection, name: &str) -> String {
    sql::<Text>(&format!("SELECT current_setting('{name}')")).get_result(connection).await.unwrap()
}

#[tokio::test]
async fn a_session_commits_durably_looks_in_public_and_is_bounded() {
    let world = World::new().await;
    let admin = world.database.connect().await;
    let name = world.database.name();
    admin.batch_execute(&format!("ALTER DATABASE {name} SET synchronous_commit = off")).await.unwrap();
    let config = world.config().application_name("worker-7").statement_timeout(Duration::from_millis(1500));
    let mut connection = connect(&config).await.unwrap();
    for (name, value) in [
        ("synchronous_commit", "on"),
        ("search_path", "public"),
        ("statement_timeout", "1500ms"),
        ("application_name", "worker-7"),
        ("TimeZone", "UTC"),
    ] {
        assert_eq!(setting(&mut connection, name).await, value);
    }
}

/// As an actix worker does: a connection first used on one runtime, which then ends, and used again on another.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn connections_outlive_the_runtimes_they_are_used_on() {
    let world = World::new().await;
    let pool = Pool::new(&world.config().size(1)).unwrap();
    let mut pids = Vec::new();
    for _ in 0..2 {
        let pool = pool.clone();
        let worker = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut connection = pool.get().await.unwrap();
                sql::<Text>("SELECT pg_backend_pid()::text").get_result::<String>(&mut connection).await.unwrap()
            })
        };
        pids.push(tokio::task::spawn_blocking(worker).await.unwrap());
    }
    assert_eq!(pids[0], pids[1], "the same connection");
    assert_eq!(pool.status(), PoolStatus { open: 1, idle: 1, waiting: 0 });
    pool.close();
    assert!(pool.get().await.is_err());
}

#[tokio::test]
async fn a_connection_that_died_is_replaced() {
    let mut world = World::new().await;
    let pool = Pool::new(&world.config().size(1)).unwrap();
    let pid: String =
        sql::<Text>("SELECT pg_backend_pid()::text").get_result(&mut pool.get().await.unwrap()).await.unwrap();
    world.sql(&format!("SELECT pg_terminate_backend({pid}, 5000)")).await;
    onering_testkit::eventually(Duration::from_secs(10), "the pool gives a live connection", async || {
        let mut connection = pool.get().await?;
        sql::<Text>("SELECT 'alive'").get_result::<String>(&mut connection).await.map_err(StoreError::from)
    })
    .await;
}

#[tokio::test]
async fn no_server_is_an_error_that_may_pass_and_hides_the_password() {
    let port = onering_testkit::free_port();
    let config = PoolConfig::new(&format!("postgres://a:hidden-word@127.0.0.1:{port}/c")).unwrap();
    let pool = Pool::new(&config).unwrap();
    for refused in [connect(&config).await.err().unwrap(), pool.get().await.err().unwrap()] {
        assert!(refused.is_transient(), "{refused:?}");
        assert!(!format!("{refused} {refused:?} {config:?}").contains("hidden-word"));
    }
}

/// A peer that accepts and then says nothing: a proxy without a server behind it, a server that hangs.
#[tokio::test]
async fn a_silent_server_is_given_up() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let config = PoolConfig::new(&format!("postgres://a@{}/c", silent.local_addr().unwrap())).unwrap();
    let opening = connect_within(&config, Duration::from_millis(50));
    let refused = tokio::time::timeout(Duration::from_secs(60), opening).await.expect("an end").err().unwrap();
    assert!(matches!(refused, StoreError::Connect { .. }) && refused.is_transient(), "{refused:?}");
}

#[tokio::test]
async fn the_database_clock_goes_forward() {
    let mut world = World::new().await;
    let first = crate::database_clock::read(&mut world.connection).await.unwrap();
    let second = crate::database_clock::read(&mut world.connection).await.unwrap();
    assert!(first < second);
}
