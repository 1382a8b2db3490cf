//! A database of one test.

use std::fmt::Display;
use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use tokio_postgres::Client;

use crate::shared_postgres::{connect, maintenance_url};
use crate::template::{Template, database_url};

/// How long the end of a test waits for its database to be dropped.
const DROP_WAIT: Duration = Duration::from_secs(10);

/// A database nobody else uses; dropped at the end, with whatever is still connected to it.
#[derive(Debug)]
pub struct TestDatabase {
    name: String,
    url: String,
}

impl TestDatabase {
    /// The database's URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The database's name in the shared server.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A plain connection, for looking at rows.
    ///
    /// # Panics
    /// When the server does not answer.
    pub async fn connect(&self) -> Client {
        connect(&self.url).await.unwrap_or_else(|error| panic!("cannot connect to {}: {error}", self.name))
    }

    async fn create(template: &str) -> Self {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let nanos = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_nanos());
        let name = format!("test_{}_{nanos}_{}", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed));
        let server = maintenance_url().await;
        let client = connect(server).await.expect("the test Postgres answers");
        let statement = format!("CREATE DATABASE {name} TEMPLATE {template}");
        client.batch_execute(&statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
        Self { url: database_url(server, &name), name }
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        // Best effort: what stays is gone with the server, a minute after the last test.
        let statement = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        let server = database_url(&self.url, "postgres");
        let dropper = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
            runtime.block_on(async {
                let drop = async { connect(&server).await?.batch_execute(&statement).await };
                tokio::time::timeout(DROP_WAIT, drop).await.ok()?.ok()
            })
        });
        let _ = dropper.join();
    }
}

/// A fresh, empty database in the shared Postgres.
///
/// # Panics
/// When there is no Postgres; the message says what to do.
pub async fn postgres() -> TestDatabase {
    TestDatabase::create("template0").await
}

/// A fresh copy of a database that `prepare` (as "run the migrations at this URL") made once for all tests.
///
/// `prepare` runs on a multi-threaded runtime of its own; connections it leaves open are closed.
///
/// ```no_run
/// # async fn migrate(_url: &str) -> Result<(), std::io::Error> { Ok(()) }
/// # async fn test() {
/// use onering_testkit::{Template, postgres_from};
/// let template = Template::of_folder("onering", concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations"));
/// let database = postgres_from(&template, |url| async move { migrate(&url).await }).await;
/// # }
/// ```
///
/// # Panics
/// When there is no Postgres, or when `prepare` fails.
pub async fn postgres_from<F, R, E>(template: &Template, prepare: F) -> TestDatabase
where
    F: FnOnce(String) -> R + Send + 'static,
    R: Future<Output = Result<(), E>>,
    E: Display,
{
    TestDatabase::create(template.ensure(prepare).await).await
}
