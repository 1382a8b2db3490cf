//! The one Postgres that the test processes of a run share.

use std::fs::File;
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use onering_dev_servers::{Postgres, PostgresOptions};
use tokio::sync::OnceCell;
use tokio_postgres::{Client, NoTls};

use crate::run_directory::{lock_file, run_directory, tools_directory};

/// A server to use instead of a private one: a superuser's URL in which tests may create and drop databases.
const OWN_SERVER: &str = "ONERING_TEST_DATABASE_URL";
const KEEPER: &str = include_str!("keeper.sh");
/// How long the server outlives the last test process.
const IDLE_SECONDS: u64 = 60;

/// The URL of the server's `postgres` database; starts the server when it does not run.
pub(crate) async fn maintenance_url() -> &'static str {
    static URL: OnceCell<String> = OnceCell::const_new();
    URL.get_or_init(async || match std::env::var(OWN_SERVER) {
        Ok(url) => url,
        Err(_) => join_or_start().await,
    })
    .await
}

/// A connection whose driver runs on the current runtime.
pub(crate) async fn connect(url: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    // It ends with the client.
    tokio::spawn(async move { connection.await.ok() });
    Ok(client)
}

async fn join_or_start() -> String {
    let run = run_directory();
    let start_lock = lock_file("start.lock");
    let start_lock = tokio::task::spawn_blocking(move || start_lock.lock().map(|()| start_lock)).await;
    // Held until the end of this function: one process starts the server, the others wait and join.
    let _start_lock = start_lock.expect("the lock is waited for on a thread").expect("the run directory can be locked");
    hold_lease();
    let url_file = run.join("server.url");
    if let Ok(url) = std::fs::read_to_string(&url_file)
        && answers(&url).await
    {
        return url;
    }
    let url = start(run).await;
    let draft = run.join("server.url.draft");
    std::fs::write(&draft, &url)
        .and_then(|()| std::fs::rename(&draft, &url_file))
        .expect("the run directory is writable");
    url
}

/// Marks the server as used for as long as this process lives.
fn hold_lease() {
    static LEASE: OnceLock<File> = OnceLock::new();
    LEASE.get_or_init(|| {
        let lease = lock_file("lease");
        // The keeper holds it exclusively for an instant now and then.
        lease.lock_shared().expect("the run directory can be locked");
        lease
    });
}

async fn answers(url: &str) -> bool {
    let ask = async { connect(url).await?.simple_query("SELECT 1").await };
    tokio::time::timeout(Duration::from_secs(5), ask).await.is_ok_and(|answer| answer.is_ok())
}

async fn start(run: &Path) -> String {
    let nanos = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_nanos());
    let dir = run.join(format!("postgres-{}-{nanos}", std::process::id()));
    let wrapper = ["sh", "-c", KEEPER, "keeper.sh"].map(str::to_owned).into_iter();
    let arguments = [run.display().to_string(), dir.display().to_string(), IDLE_SECONDS.to_string()];
    let options = PostgresOptions::throw_away(&dir)
        .setting("max_connections", "400")
        .setting("autovacuum_naptime", "10min")
        .tools(tools_directory())
        .under(wrapper.chain(arguments).collect());
    let server = Postgres::start(options)
        .await
        .unwrap_or_else(|error| panic!("tests need Postgres: {error}\n(or give one in {OWN_SERVER})"));
    let url = server.url("postgres");
    server.detach();
    url
}
