//! Servers that outlived the process that started them.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, Signal};

use crate::ServerError;

/// How long a left-over server may take to end before it is killed, and again after that.
const GRACE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);

/// Ends the server with this pid when it is one that serves `data`; answers whether there was one.
///
/// A pid file alone proves nothing: after a crash or in a new container the number may be anybody's. Both servers
/// make their data directory their working directory, and that is what is compared.
pub(crate) async fn end_orphan(
    server: &'static str,
    pid: u32,
    data: &Path,
    signal: Signal,
) -> Result<bool, ServerError> {
    let Some(process) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Ok(false) };
    if !serves(pid, server, data) {
        return Ok(false);
    }
    tracing::warn!(server, pid, data = %data.display(), "ending a server left running by an earlier owner");
    for signal in [signal, Signal::KILL] {
        // An error means that it has just ended, which is what we want.
        let _ = rustix::process::kill_process(process, signal);
        let gone = async {
            while serves(pid, server, data) {
                tokio::time::sleep(POLL).await;
            }
        };
        if tokio::time::timeout(GRACE, gone).await.is_ok() {
            return Ok(true);
        }
    }
    Err(ServerError::OrphanRemains { server, dir: data.to_owned(), pid })
}

/// Whether a live process with this pid serves `data`.
fn serves(pid: u32, server: &str, data: &Path) -> bool {
    if Path::new("/proc/self").exists() {
        // A process that has ended and was not collected yet has no working directory any more.
        return std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == data);
    }
    let name = Command::new("ps").args(["-o", "comm=", "-p", &pid.to_string()]).output();
    name.is_ok_and(|out| String::from_utf8_lossy(&out.stdout).to_lowercase().contains(&server.to_lowercase()))
}
