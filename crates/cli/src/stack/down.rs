//! `onering down`: stops the stack in an orderly way and leaves its data.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal};

use super::folder::RunFolder;
use super::records::{ProcessRecords, is_alive, signal};
use super::{kept_process, stores, supervisor};
use crate::output;

/// The supervisor lets services finish what is in flight and then stops the stores, which write everything out.
const PATIENCE: Duration = Duration::from_secs(75);
/// How often it is looked whether a process has ended.
const POLL: Duration = Duration::from_millis(20);

/// What had to be stopped.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Stopped {
    /// A supervisor ran, with everything beneath it.
    pub(crate) stack: bool,
    /// Processes that a supervisor which was killed had left behind.
    pub(crate) orphans: Vec<String>,
}

impl Stopped {
    /// Whether anything ran.
    pub(crate) fn anything(&self) -> bool {
        self.stack || !self.orphans.is_empty()
    }

    /// One line about orphans, when there were some.
    pub(crate) fn about_orphans(&self) -> Option<String> {
        let names = self.orphans.join(", ");
        (!self.orphans.is_empty()).then(|| format!("ended what a killed supervisor had left running: {names}"))
    }
}

/// Stops the dev stack of this folder.
pub(crate) async fn down() -> anyhow::Result<ExitCode> {
    let Some(folder) = RunFolder::find()? else {
        output::line("no stack was started here");
        return Ok(ExitCode::SUCCESS);
    };
    let stopped = stop(&folder).await?;
    if let Some(line) = stopped.about_orphans() {
        output::line(&line);
    }
    match stopped.anything() {
        true => output::line(&format!("the stack is down; its data is in {}", folder.path().display())),
        false => output::line("no stack is running here"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Stops the stack of a folder: its supervisor, and whatever a supervisor that was killed has left behind.
pub(crate) async fn stop(folder: &RunFolder) -> anyhow::Result<Stopped> {
    let records = ProcessRecords::of(folder);
    let mut stopped = Stopped::default();
    if let Some(supervisor) = records.live(supervisor::NAME) {
        stopped.stack = true;
        signal(supervisor, Signal::TERM)?;
        if !gone(&[supervisor], PATIENCE).await {
            eprintln!("the supervisor did not stop within {} s and is killed", PATIENCE.as_secs());
            signal(supervisor, Signal::KILL)?;
            gone(&[supervisor], PATIENCE).await;
        }
    }
    let left = |is_store: bool| -> Vec<(String, Pid)> {
        let names = records.names().into_iter().filter(|name| name != supervisor::NAME);
        let wanted = names.filter(|name| [stores::POSTGRES, stores::REDIS].contains(&name.as_str()) == is_store);
        wanted.filter_map(|name| records.live(&name).map(|pid| (name, pid))).collect()
    };
    // The stores last, so that what the services finish at the end can still be written.
    for is_store in [false, true] {
        let orphans = left(is_store);
        end(&orphans).await?;
        stopped.orphans.extend(orphans.into_iter().map(|(name, _)| name));
    }
    for name in records.names() {
        records.remove(&name);
    }
    Ok(stopped)
}

/// Asks processes to finish, and kills those that do not.
async fn end(processes: &[(String, Pid)]) -> anyhow::Result<()> {
    for (name, pid) in processes {
        // To Postgres, SIGTERM means to wait for its clients; SIGINT ends their connections.
        let how = if name == stores::POSTGRES { Signal::INT } else { Signal::TERM };
        signal(*pid, how).with_context(|| format!("{name} cannot be stopped"))?;
    }
    let pids: Vec<Pid> = processes.iter().map(|(_, pid)| *pid).collect();
    if gone(&pids, kept_process::GRACE).await {
        return Ok(());
    }
    for (name, pid) in processes.iter().filter(|(_, pid)| is_alive(*pid)) {
        signal(*pid, Signal::KILL).with_context(|| format!("{name} cannot be killed"))?;
    }
    if !gone(&pids, kept_process::GRACE).await {
        let names: Vec<&str> =
            processes.iter().filter(|(_, pid)| is_alive(*pid)).map(|(name, _)| name.as_str()).collect();
        bail!("these processes do not end: {}", names.join(", "));
    }
    Ok(())
}

/// Waits until none of the processes is there any more; false when `patience` was not enough.
async fn gone(pids: &[Pid], patience: Duration) -> bool {
    let waiting = async {
        while pids.iter().any(|pid| is_alive(*pid)) {
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::time::timeout(patience, waiting).await.is_ok()
}
