//! Databases and Redis for tests: private, prepared once, gone afterwards.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, in its helpers too, and measures real time"
)]

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use onering_testkit::{
    Template, TestDatabase, eventually, postgres, postgres_from, private_postgres, redis, scratch_dir,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_postgres::NoTls;

async fn exists(server: &TestDatabase, name: &str) -> bool {
    let query = "SELECT count(*) FROM pg_database WHERE datname = $1";
    server.connect().await.query_one(query, &[&name]).await.unwrap().get::<_, i64>(0) == 1
}

#[tokio::test]
async fn each_test_has_its_own_database() {
    let (one, two) = tokio::join!(postgres(), postgres());
    one.connect().await.batch_execute("CREATE TABLE only_here (n int)").await.unwrap();
    assert!(two.connect().await.query("SELECT * FROM only_here", &[]).await.is_err());
    assert_ne!(one.url(), two.url());
}

#[tokio::test]
async fn a_database_is_dropped_at_the_end_even_when_somebody_is_connected() {
    let witness = postgres().await;
    let database = postgres().await;
    let name = database.name().to_owned();
    let _still_connected = database.connect().await;
    assert!(exists(&witness, &name).await);
    drop(database);
    assert!(!exists(&witness, &name).await);
}

#[tokio::test]
async fn a_template_is_prepared_once_and_copied() {
    let sql = format!("CREATE TABLE t AS SELECT 7 AS n -- {}", std::process::id());
    let template = Template::of_text("once", &sql);
    let calls = Arc::new(AtomicU32::new(0));
    let make = || {
        let (calls, sql) = (Arc::clone(&calls), sql.clone());
        postgres_from(&template, move |url| async move {
            calls.fetch_add(1, Ordering::SeqCst);
            let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
            tokio::spawn(connection);
            client.batch_execute(&sql).await
        })
    };
    let (one, two, three) = tokio::join!(make(), make(), make());
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    for database in [one, two, three] {
        let row = database.connect().await.query_one("SELECT n FROM t", &[]).await.unwrap();
        assert_eq!(row.get::<_, i32>(0), 7);
    }
}

#[tokio::test]
async fn preparing_may_block_in_place() {
    let template = Template::of_text("blocking", &std::process::id().to_string());
    let prepare = |_| async {
        tokio::task::block_in_place(|| ());
        Ok::<_, std::io::Error>(())
    };
    postgres_from(&template, prepare).await;
}

#[tokio::test]
#[should_panic(expected = "the migration is wrong")]
async fn a_failed_preparation_fails_the_test() {
    let template = Template::of_text("failing", &std::process::id().to_string());
    postgres_from(&template, |_| async { Err::<(), _>("the migration is wrong") }).await;
}

#[tokio::test]
async fn a_private_postgres_can_be_crashed() {
    let mut server = private_postgres().await;
    let connect = async |url: String| {
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    };
    connect(server.url("postgres")).await.batch_execute("CREATE TABLE t AS SELECT 1 AS n").await.unwrap();
    server.kill9();
    assert!(tokio_postgres::connect(&server.url("postgres"), NoTls).await.is_err());
    server.restart().await.unwrap();
    connect(server.url("postgres")).await.query_one("SELECT n FROM t", &[]).await.unwrap();
    let data = server.data_dir().to_owned();
    drop(server);
    assert!(!data.exists());
}

#[tokio::test]
async fn a_redis_is_private_and_can_be_frozen() {
    let (mut one, two) = tokio::join!(redis(), redis());
    assert_ne!(one.port(), two.port());
    one.freeze();
    let mut stream = TcpStream::connect(("127.0.0.1", one.port())).await.unwrap();
    stream.write_all(b"PING\r\n").await.unwrap();
    let mut answer = [0; 7];
    let silence = tokio::time::timeout(Duration::from_millis(50), stream.read(&mut answer)).await;
    assert!(silence.is_err(), "a frozen server says nothing");
    one.thaw();
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"+PONG\r\n");
}

/// Not a test of its own: what the test below runs in another process and kills.
#[tokio::test]
async fn helper_that_waits_to_be_killed() {
    let Some(report) = std::env::var_os("REPORT_REDIS_PORT_TO") else { return };
    let server = redis().await;
    let draft = std::path::Path::new(&report).with_extension("draft");
    std::fs::write(&draft, server.port().to_string()).unwrap();
    std::fs::rename(draft, report).unwrap();
    std::future::pending::<()>().await;
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn a_redis_ends_with_a_test_that_is_killed() {
    let dir = scratch_dir("killed");
    let report = dir.path().join("port");
    let mut other = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "helper_that_waits_to_be_killed"])
        .env("REPORT_REDIS_PORT_TO", &report)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let port: u16 = eventually(Duration::from_secs(20), "the other process reports its Redis", async || {
        std::fs::read_to_string(&report).map(|text| text.parse().unwrap())
    })
    .await;
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_ok());
    other.kill().unwrap();
    other.wait().unwrap();
    eventually(Duration::from_secs(10), "its Redis ends too", async || {
        TcpStream::connect(("127.0.0.1", port)).await.is_err()
    })
    .await;
}
