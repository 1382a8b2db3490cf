//! `onering status`: which processes run, where, and whether they are ready.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::future::join_all;
use serde::Serialize;
use serde_json::json;
use tokio::net::TcpStream;

use super::config::{NOT_STARTED, StackConfig};
use super::folder::RunFolder;
use super::records::ProcessRecords;
use super::{plan, stores, supervisor};
use crate::args::Status;
use crate::output;

/// How long a process may take to say that it is ready.
const PATIENCE: Duration = Duration::from_secs(3);

/// One process and how it is.
#[derive(Debug, Serialize)]
pub(crate) struct ProcessState {
    pub(crate) name: String,
    pub(crate) url: String,
    /// Null while it does not run.
    pub(crate) pid: Option<i32>,
    /// It answers that it can do its work.
    pub(crate) ready: bool,
}

/// Prints the state of the dev stack of this folder; success when everything is ready and
/// supervised.
pub(crate) async fn status(options: &Status) -> anyhow::Result<ExitCode> {
    let folder = RunFolder::find()?.context(NOT_STARTED)?;
    let states = states(&folder, &StackConfig::read(&folder)?).await?;
    if options.json {
        output::json(&json!({ "processes": states }));
    } else {
        let rows: Vec<Vec<String>> = states.iter().map(row).collect();
        output::table(&["process", "pid", "state", "address"], &rows);
    }
    let supervised = ProcessRecords::of(&folder).live(supervisor::NAME).is_some();
    if !supervised && states.iter().any(|state| state.pid.is_some()) {
        eprintln!("onering: nobody supervises these processes: what dies is not started again until `onering up`");
    }
    Ok(if supervised && states.iter().all(|state| state.ready) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn row(state: &ProcessState) -> Vec<String> {
    let word = match (state.ready, state.pid) {
        (true, _) => "ready",
        (false, Some(_)) => "not ready",
        (false, None) => "not running",
    };
    let pid = state.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
    vec![state.name.clone(), pid, word.to_owned(), state.url.clone()]
}

/// The state of every process of a stack, the stores first where they are its own.
pub(crate) async fn states(folder: &RunFolder, config: &StackConfig) -> anyhow::Result<Vec<ProcessState>> {
    let mut addresses = Vec::new();
    if config.own_postgres {
        addresses.push((stores::POSTGRES.to_owned(), format!("postgres://127.0.0.1:{}", config.ports.postgres)));
    }
    if config.own_redis {
        addresses.push((stores::REDIS.to_owned(), format!("redis://127.0.0.1:{}", config.ports.redis)));
    }
    addresses.extend(plan::members(config).into_iter().map(|member| (member.name.clone(), member.url())));
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?;
    let records = ProcessRecords::of(folder);
    let look = |(name, url): (String, String)| {
        let (records, client) = (&records, &client);
        async move {
            let pid = records.live(&name);
            let ready = pid.is_some() && is_ready(client, &url).await;
            ProcessState { name, url, pid: pid.map(|pid| pid.as_raw_nonzero().get()), ready }
        }
    };
    Ok(join_all(addresses.into_iter().map(look)).await)
}

/// Services say themselves whether they are ready; a store that takes connections is.
async fn is_ready(client: &reqwest::Client, url: &str) -> bool {
    match url.split_once("://") {
        Some(("http", _)) => {
            client.get(format!("{url}/readyz")).send().await.is_ok_and(|answer| answer.status().is_success())
        }
        Some((_, address)) => {
            matches!(tokio::time::timeout(PATIENCE, TcpStream::connect(address)).await, Ok(Ok(_)))
        }
        None => false,
    }
}
