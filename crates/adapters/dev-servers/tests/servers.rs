//! The servers, started for real: readiness, crash, restart, left-overs, taken ports, passwords.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use onering_dev_servers::{Postgres, PostgresOptions, Redis, RedisOptions, ServerError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_postgres::{Client, NoTls};

/// A directory that the account of Postgres can enter, also when root runs the tests.
fn open_dir() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn ask_redis(port: u16, command: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(format!("{command}\r\nQUIT\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn committed_rows_survive_kill_9_on_the_same_port() {
    let dir = open_dir();
    let mut server = Postgres::start(PostgresOptions::throw_away(dir.path())).await.unwrap();
    let (port, first_pid) = (server.port(), server.pid());
    let client = connect(&server.url("postgres")).await;
    client.batch_execute("CREATE TABLE t (n int); INSERT INTO t VALUES (7)").await.unwrap();

    server.kill9();
    assert!(client.query("SELECT 1", &[]).await.is_err(), "the crash is real");
    server.restart().await.unwrap();

    assert_eq!(server.port(), port);
    assert_ne!(server.pid(), first_pid);
    let row = connect(&server.url("postgres")).await.query_one("SELECT n FROM t", &[]).await.unwrap();
    assert_eq!(row.get::<_, i32>(0), 7);
}

#[tokio::test]
async fn the_durable_kind_wants_its_password_and_syncs() {
    let dir = open_dir();
    let mut server = Postgres::start(PostgresOptions::durable(dir.path())).await.unwrap();
    let url = server.url("postgres");
    let client = connect(&url).await;
    for (setting, wanted) in [("fsync", "on"), ("synchronous_commit", "on"), ("listen_addresses", "127.0.0.1")] {
        let row = client.query_one(&format!("SHOW {setting}"), &[]).await.unwrap();
        assert_eq!(row.get::<_, String>(0), wanted, "{setting}");
    }
    let without = format!("postgres://onering:wrong@127.0.0.1:{}/postgres", server.port());
    assert!(tokio_postgres::connect(&without, NoTls).await.is_err());
    let mode = dir.path().join("password").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!format!("{server:?}").contains(std::fs::read_to_string(dir.path().join("password")).unwrap().trim()));

    server.stop().await;
    drop(server);
    let again = Postgres::start(PostgresOptions::durable(dir.path()).port(url_port(&url))).await.unwrap();
    assert_eq!(again.url("postgres"), url, "the password is kept");
}

fn url_port(url: &str) -> u16 {
    url.rsplit(':').next().unwrap().split('/').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_closed_home_directory_is_worked_around() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let server = Postgres::start(PostgresOptions::throw_away(dir.path().join("postgres"))).await.unwrap();
    connect(&server.url("postgres")).await.query_one("SELECT 1", &[]).await.unwrap();
    if let Some(notice) = server.notice() {
        let home = server.data_dir().parent().unwrap().to_owned();
        assert!(notice.contains(&home.display().to_string()), "{notice}");
        assert!(home.starts_with("/var/tmp"));
        drop(server);
        std::fs::remove_dir_all(home).unwrap();
    }
}

#[tokio::test]
async fn a_directory_in_use_is_refused() {
    let dir = open_dir();
    let _server = Redis::start(RedisOptions::throw_away(dir.path())).await.unwrap();
    let second = Redis::start(RedisOptions::throw_away(dir.path())).await;
    assert!(matches!(second, Err(ServerError::InUse { .. })), "{second:?}");
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let (postgres, redis) = (open_dir(), open_dir());
    let refused = Postgres::start(PostgresOptions::throw_away(postgres.path()).port(port)).await;
    assert!(matches!(refused, Err(ServerError::PortTaken { port: named, .. }) if named == port), "{refused:?}");
    let refused = Redis::start(RedisOptions::throw_away(redis.path()).port(port)).await;
    assert!(matches!(refused, Err(ServerError::PortTaken { port: named, .. }) if named == port), "{refused:?}");
}

#[tokio::test]
async fn a_bad_setting_shows_the_log() {
    let dir = open_dir();
    let refused = Postgres::start(PostgresOptions::throw_away(dir.path()).setting("shared_buffers", "many")).await;
    let text = refused.unwrap_err().to_string();
    assert!(text.contains("shared_buffers") && text.contains("postgres.log"), "{text}");
}

#[tokio::test]
async fn a_server_left_behind_is_ended_first() {
    let dir = open_dir();
    let postgres_dir = dir.path().join("postgres");
    let wrapper = vec!["sh".to_owned(), "-c".to_owned(), "exec \"$@\"".to_owned(), "sh".to_owned()];
    let left = Postgres::start(PostgresOptions::throw_away(&postgres_dir).under(wrapper)).await.unwrap();
    let left_pid = left.pid().unwrap();
    left.detach();
    let server = Postgres::start(PostgresOptions::throw_away(&postgres_dir)).await.unwrap();
    assert_ne!(server.pid(), Some(left_pid));
    connect(&server.url("postgres")).await.query_one("SELECT 1", &[]).await.unwrap();
}

#[tokio::test]
async fn a_pid_file_that_names_a_stranger_does_not_stop_us() {
    let dir = open_dir();
    let mut server = Postgres::start(PostgresOptions::throw_away(dir.path())).await.unwrap();
    let pid_file = server.data_dir().join("postmaster.pid");
    let text = std::fs::read_to_string(&pid_file).unwrap();
    let port = server.port();
    server.stop().await;
    drop(server);
    let ours = text.replacen(text.lines().next().unwrap(), &std::process::id().to_string(), 1);
    std::fs::write(&pid_file, ours).unwrap();
    let server = Postgres::start(PostgresOptions::throw_away(dir.path()).port(port)).await.unwrap();
    connect(&server.url("postgres")).await.query_one("SELECT 1", &[]).await.unwrap();
}

#[tokio::test]
async fn redis_refuses_rather_than_evicts_and_listens_on_loopback() {
    let dir = open_dir();
    let server = Redis::start(RedisOptions::throw_away(dir.path())).await.unwrap();
    for (name, wanted) in [("maxmemory-policy", "noeviction"), ("bind", "127.0.0.1"), ("appendonly", "no")] {
        let answer = ask_redis(server.port(), &format!("CONFIG GET {name}")).await;
        assert!(answer.contains(wanted), "{name}: {answer}");
    }
    let save = ask_redis(server.port(), "CONFIG GET save").await;
    assert!(save.contains("$4\r\nsave\r\n$0\r\n"), "{save}");
}

#[tokio::test]
async fn a_durable_redis_keeps_its_data_over_a_restart() {
    let dir = open_dir();
    let mut server = Redis::start(RedisOptions::durable(dir.path())).await.unwrap();
    ask_redis(server.port(), "SET k kept").await;
    server.restart().await.unwrap();
    assert!(ask_redis(server.port(), "GET k").await.contains("kept"));
}

#[tokio::test]
async fn a_killed_redis_forgets_when_it_is_the_throw_away_kind() {
    let dir = open_dir();
    let mut server = Redis::start(RedisOptions::throw_away(dir.path())).await.unwrap();
    ask_redis(server.port(), "SET k gone").await;
    server.kill9();
    assert!(TcpStream::connect(("127.0.0.1", server.port())).await.is_err());
    server.restart().await.unwrap();
    assert!(ask_redis(server.port(), "GET k").await.contains("$-1"));
}

#[tokio::test]
async fn dropping_the_handle_ends_the_server() {
    let dir = open_dir();
    let server =
        Redis::start(RedisOptions::throw_away(dir.path()).dies_with_parent().deadline(Duration::from_secs(10)))
            .await
            .unwrap();
    let pid = server.pid().unwrap();
    drop(server);
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
}
