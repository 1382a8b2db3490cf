//! The stack's own Postgres and Redis, unless the environment names others.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::Context as _;
use onering_dev_servers::{Postgres, PostgresOptions, Redis, RedisOptions, ServerError};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::config::StackConfig;
use super::folder::RunFolder;
use super::plan::Stores;
use super::records::ProcessRecords;
use super::supervisor::say;

/// Name of Postgres' pid file and log.
pub(super) const POSTGRES: &str = "postgres";
/// Name of Redis' pid file and log.
pub(super) const REDIS: &str = "redis";

/// How often a store is asked whether it still runs.
const CHECK: Duration = Duration::from_millis(100);
/// A store that cannot be started is tried again after this.
const PAUSE: Duration = Duration::from_secs(1);
/// Where the install script unpacks servers when it may not install packages.
const TOOLS: &str = ".tools";

/// Where the stores of a stack are, as its supervisor left it for the other commands.
pub(crate) fn addresses(folder: &RunFolder) -> anyhow::Result<Stores> {
    let path = folder.stores();
    let text = fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is damaged; run `onering up` again", path.display()))
}

/// The stores of a running stack.
pub(super) struct RunningStores {
    addresses: Stores,
    stop: CancellationToken,
    kept: TaskTracker,
}

impl RunningStores {
    /// Starts the stores, keeps them running until [`Self::stop`], and writes down where they are. With `passing` their data
    /// goes with them.
    pub(super) async fn start(folder: &RunFolder, config: &StackConfig, passing: bool) -> anyhow::Result<Self> {
        let addresses = Stores { database_url: String::new(), redis_url: String::new() };
        let mut stores = Self { addresses, stop: CancellationToken::new(), kept: TaskTracker::new() };
        match stores.start_each(folder, config, passing).await {
            Ok(()) => Ok(stores),
            Err(error) => {
                stores.stop().await;
                Err(error)
            }
        }
    }

    /// Where they are.
    pub(super) const fn addresses(&self) -> &Stores {
        &self.addresses
    }

    /// Stops those that are ours.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        self.kept.close();
        self.kept.wait().await;
    }

    async fn start_each(&mut self, folder: &RunFolder, config: &StackConfig, passing: bool) -> anyhow::Result<()> {
        self.addresses.database_url = if config.own_postgres {
            let options = PostgresOptions::durable(folder.path().join("postgres"))
                .port(config.ports.postgres)
                .setting("max_connections", "300")
                .setting("shared_buffers", "256MB")
                .tools(tools());
            let postgres = Postgres::start(options).await?;
            if let Some(notice) = postgres.notice() {
                say(notice);
            }
            let url = postgres.url("postgres");
            self.keep(folder, Store::Postgres(postgres), passing)?;
            url
        } else {
            std::env::var("DATABASE_URL").context("DATABASE_URL was given to `up` and must be given again")?
        };
        self.addresses.redis_url = if config.own_redis {
            let options = RedisOptions::durable(folder.path().join("redis")).port(config.ports.redis).tools(tools());
            let redis = Redis::start(options).await?;
            let url = redis.url();
            self.keep(folder, Store::Redis(redis), passing)?;
            url
        } else {
            std::env::var("REDIS_URL").context("REDIS_URL was given to `up` and must be given again")?
        };
        RunFolder::write_private(&folder.stores(), &serde_json::to_string(&self.addresses)?)
    }

    fn keep(&self, folder: &RunFolder, store: Store, passing: bool) -> anyhow::Result<()> {
        let records = ProcessRecords::of(folder);
        store.record(&records)?;
        link_log(folder, &store)?;
        self.kept.spawn(keep(store, records, passing, self.stop.clone()));
        Ok(())
    }
}

/// One of the two.
enum Store {
    Postgres(Postgres),
    Redis(Redis),
}

impl Store {
    const fn name(&self) -> &'static str {
        match self {
            Self::Postgres(_) => POSTGRES,
            Self::Redis(_) => REDIS,
        }
    }

    fn log_path(&self) -> PathBuf {
        match self {
            Self::Postgres(postgres) => postgres.log_path(),
            Self::Redis(redis) => redis.log_path(),
        }
    }

    /// How it ended, if it has ended by itself.
    fn exited(&mut self) -> Option<ExitStatus> {
        match self {
            Self::Postgres(postgres) => postgres.exited(),
            Self::Redis(redis) => redis.exited(),
        }
    }

    async fn restart(&mut self) -> Result<(), ServerError> {
        match self {
            Self::Postgres(postgres) => postgres.restart().await,
            Self::Redis(redis) => redis.restart().await,
        }
    }

    /// Ends it, with its data when that was for one use.
    async fn end(self, passing: bool) {
        match self {
            // Its data may lie outside of the folder that is removed later.
            Self::Postgres(postgres) if passing => postgres.destroy(),
            Self::Postgres(mut postgres) => postgres.stop().await,
            Self::Redis(mut redis) => redis.stop().await,
        }
    }

    fn record(&self, records: &ProcessRecords) -> anyhow::Result<()> {
        let pid = match self {
            Self::Postgres(postgres) => postgres.pid(),
            Self::Redis(redis) => redis.pid(),
        };
        pid.map_or(Ok(()), |pid| records.write(self.name(), pid))
    }
}

/// Starts a store again whenever it ends, until told to stop; then ends it.
async fn keep(mut store: Store, records: ProcessRecords, passing: bool, stop: CancellationToken) {
    let name = store.name();
    while stop.run_until_cancelled(tokio::time::sleep(CHECK)).await.is_some() {
        let Some(status) = store.exited() else { continue };
        say(&format!("{name} ended ({status}); starting it again"));
        while let Err(error) = store.restart().await {
            say(&format!("{name} could not be started again: {error}"));
            if stop.run_until_cancelled(tokio::time::sleep(PAUSE)).await.is_none() {
                break;
            }
        }
        match store.record(&records) {
            Ok(()) => say(&format!("{name} started again (pid {})", records.last(name).unwrap_or_default())),
            Err(error) => say(&format!("{error:#}")),
        }
    }
    store.end(passing).await;
    records.remove(name);
}

/// Makes a store's log reachable beside those of the services.
fn link_log(folder: &RunFolder, store: &Store) -> anyhow::Result<()> {
    let link = folder.log(store.name());
    // Absent at the first start.
    fs::remove_file(&link).ok();
    std::os::unix::fs::symlink(store.log_path(), &link).with_context(|| format!("{} cannot be made", link.display()))
}

/// The folder of unpacked servers: beneath the current directory, else that of the checkout this program was built in
/// (`<checkout>/target/<profile>/onering`).
fn tools() -> PathBuf {
    let here = Path::new(TOOLS);
    let of_checkout = || Some(std::env::current_exe().ok()?.ancestors().nth(3)?.join(TOOLS));
    if here.is_dir() { here.to_owned() } else { of_checkout().unwrap_or_else(|| here.to_owned()) }
}
