//! The stack's own Postgres and Redis, unless the environment names others.

use std::fs;
use std::time::Duration;

use anyhow::Context as _;
use onering_dev_servers::{Postgres, PostgresOptions, Redis, RedisOptions};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::config::StackConfig;
use super::folder::RunFolder;
use super::plan::Stores;
use super::supervisor::say;

/// How often a store is asked whether it still runs.
const CHECK: Duration = Duration::from_millis(100);
/// A store that cannot be started is tried again after this.
const PAUSE: Duration = Duration::from_secs(1);
/// Where the install script unpacks servers when it may not install packages.
const TOOLS: &str = ".tools";

/// The addresses as the supervisor left them for the other commands.
#[derive(Serialize, Deserialize)]
struct Addresses {
    database_url: String,
    redis_url: String,
}

/// Where the running stack's stores are.
pub(crate) fn addresses(folder: &RunFolder) -> anyhow::Result<Stores> {
    let path = folder.stores();
    let text = fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    let addresses: Addresses = serde_json::from_str(&text).with_context(|| format!("{} is damaged", path.display()))?;
    Ok(Stores { database_url: addresses.database_url, redis_url: addresses.redis_url })
}

/// Starts the stores, keeps them running until told to stop, and says where they are.
pub(crate) async fn start(
    folder: &RunFolder,
    config: &StackConfig,
    stop: &CancellationToken,
    tasks: &TaskTracker,
) -> anyhow::Result<Stores> {
    let database_url = if config.own_postgres {
        let options = PostgresOptions::durable(folder.path().join("postgres"))
            .port(config.ports.postgres)
            .setting("max_connections", "300")
            .setting("shared_buffers", "256MB")
            .tools(TOOLS);
        let postgres = Postgres::start(options).await?;
        if let Some(notice) = postgres.notice() {
            say(notice);
        }
        let url = postgres.url("postgres");
        write_pid(folder, "postgres", postgres.pid());
        link_log(folder, "postgres", &postgres.log_path());
        tasks.spawn(keep_postgres(folder.clone(), postgres, stop.clone()));
        url
    } else {
        std::env::var("DATABASE_URL").context("DATABASE_URL was given to `up` and must be given again")?
    };
    let redis_url = if config.own_redis {
        let options = RedisOptions::durable(folder.path().join("redis")).port(config.ports.redis).tools(TOOLS);
        let redis = Redis::start(options).await?;
        let url = redis.url();
        write_pid(folder, "redis", redis.pid());
        link_log(folder, "redis", &redis.log_path());
        tasks.spawn(keep_redis(folder.clone(), redis, stop.clone()));
        url
    } else {
        std::env::var("REDIS_URL").context("REDIS_URL was given to `up` and must be given again")?
    };
    let addresses = Addresses { database_url: database_url.clone(), redis_url: redis_url.clone() };
    RunFolder::write_private(&folder.stores(), &serde_json::to_string(&addresses)?)?;
    Ok(Stores { database_url, redis_url })
}

async fn keep_postgres(folder: RunFolder, mut postgres: Postgres, stop: CancellationToken) {
    while wait(CHECK, &stop).await {
        if let Some(status) = postgres.exited() {
            say(&format!("postgres ended ({status}); starting it again"));
            while let Err(error) = postgres.restart().await {
                say(&format!("postgres could not be started again: {error}"));
                if !wait(PAUSE, &stop).await {
                    return;
                }
            }
            write_pid(&folder, "postgres", postgres.pid());
        }
    }
    postgres.stop().await;
    fs::remove_file(folder.pid_file("postgres")).ok();
}

async fn keep_redis(folder: RunFolder, mut redis: Redis, stop: CancellationToken) {
    while wait(CHECK, &stop).await {
        if let Some(status) = redis.exited() {
            say(&format!("redis ended ({status}); starting it again"));
            while let Err(error) = redis.restart().await {
                say(&format!("redis could not be started again: {error}"));
                if !wait(PAUSE, &stop).await {
                    return;
                }
            }
            write_pid(&folder, "redis", redis.pid());
        }
    }
    redis.stop().await;
    fs::remove_file(folder.pid_file("redis")).ok();
}

/// Waits; false when told to stop.
async fn wait(pause: Duration, stop: &CancellationToken) -> bool {
    tokio::select! {
        () = tokio::time::sleep(pause) => true,
        () = stop.cancelled() => false,
    }
}

fn write_pid(folder: &RunFolder, store: &str, pid: Option<u32>) {
    let Some(pid) = pid else { return };
    if let Err(error) = fs::write(folder.pid_file(store), pid.to_string()) {
        say(&format!("the pid file of {store} cannot be written: {error}"));
    }
}

/// Makes a store's log reachable beside those of the services.
fn link_log(folder: &RunFolder, store: &str, log: &std::path::Path) {
    let link = folder.log(store);
    fs::remove_file(&link).ok();
    if let Err(error) = std::os::unix::fs::symlink(log, &link) {
        say(&format!("{} cannot be linked: {error}", link.display()));
    }
}
