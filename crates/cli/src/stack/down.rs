//! `onering down`: stops the stack in an orderly way and leaves its data.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use rustix::process::{Pid, Signal, kill_process};

use super::folder::{RunFolder, is_alive};

/// The supervisor lets services finish what is in flight (25 s at most) and then stops the stores.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn down() -> anyhow::Result<ExitCode> {
    let folder = RunFolder::open()?;
    if stop(&folder).await? {
        println!("the stack is down; its data is in {}", folder.path().display());
    } else {
        println!("no stack is running here");
    }
    Ok(ExitCode::SUCCESS)
}

/// Stops the stack of this folder; false when none was running.
pub(crate) async fn stop(folder: &RunFolder) -> anyhow::Result<bool> {
    let Some(supervisor) = folder.live_pid(super::supervisor::NAME) else {
        return Ok(false);
    };
    if let Some(pid) = Pid::from_raw(supervisor) {
        kill_process(pid, Signal::TERM)?;
    }
    let waited = tokio::time::timeout(PATIENCE, async {
        while is_alive(supervisor) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    if waited.await.is_err() {
        bail!(
            "the supervisor (pid {supervisor}) did not stop within {} s; see {}",
            PATIENCE.as_secs(),
            folder.log(super::supervisor::NAME).display()
        );
    }
    Ok(true)
}
