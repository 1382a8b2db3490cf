//! `onering status`: which processes run, where, and whether they are ready.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;

use super::config::StackConfig;
use super::folder::RunFolder;
use super::supervisor;
use crate::args::Status;
use crate::output;

/// One line of the answer.
pub(crate) struct ProcessState {
    pub(crate) name: String,
    pub(crate) url: String,
    pub(crate) pid: Option<i32>,
    pub(crate) ready: bool,
}

pub(crate) async fn status(options: &Status) -> anyhow::Result<ExitCode> {
    let folder = RunFolder::open()?;
    let states = states(&folder, &StackConfig::read(&folder)?).await?;
    if options.json {
        let processes: Vec<_> = states
            .iter()
            .map(|state| json!({ "name": state.name, "url": state.url, "pid": state.pid, "ready": state.ready }))
            .collect();
        output::json(&json!({ "processes": processes }));
    } else {
        let rows: Vec<Vec<String>> = states
            .iter()
            .map(|state| {
                let pid = state.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
                vec![state.name.clone(), pid, if state.ready { "ready" } else { "not ready" }.to_owned(), state.url.clone()]
            })
            .collect();
        output::table(&["process", "pid", "state", "address"], &rows);
    }
    Ok(if states.iter().all(|state| state.ready) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The state of every process of the stack.
pub(crate) async fn states(folder: &RunFolder, config: &StackConfig) -> anyhow::Result<Vec<ProcessState>> {
    let client =
        reqwest::Client::builder().no_proxy().connect_timeout(Duration::from_millis(500)).timeout(Duration::from_secs(3)).build()?;
    let mut states = Vec::new();
    for (name, url) in supervisor::addresses(config, folder)? {
        let pid = folder.live_pid(&name);
        let ready = match url.strip_prefix("http://") {
            Some(_) => pid.is_some() && answers_ready(&client, &url).await,
            None => pid.is_some(),
        };
        states.push(ProcessState { name, url, pid, ready });
    }
    Ok(states)
}

async fn answers_ready(client: &reqwest::Client, url: &str) -> bool {
    client.get(format!("{url}/readyz")).send().await.is_ok_and(|answer| answer.status().is_success())
}
