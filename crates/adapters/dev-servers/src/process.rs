//! One child process with a log: started, watched, signalled, collected.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use rustix::process::{Pid, Signal};

use crate::ServerError;

/// How often a condition on a process is looked at.
pub(crate) const POLL: Duration = Duration::from_millis(5);
/// How much of a log an error repeats.
const TAIL_BYTES: u64 = 4096;
const TAIL_LINES: usize = 20;

/// A port of 127.0.0.1 that is free now. Somebody else may take it before its user does.
///
/// # Errors
/// Only when the machine has no port left.
pub fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// A running (or ended) child whose output goes to a file. Dropping it lets the process run on.
#[derive(Debug)]
pub struct LoggedChild {
    child: Child,
    log: PathBuf,
    /// Where this run's part of the log begins.
    log_start: u64,
}

impl LoggedChild {
    /// Starts `command` with its output appended to `log` and no input.
    ///
    /// # Errors
    /// [`ServerError::Io`] when the log cannot be opened or the program not be started.
    pub fn spawn(mut command: Command, log: &Path) -> Result<Self, ServerError> {
        let open = || File::options().create(true).append(true).open(log).map_err(ServerError::io("open", log));
        let (out, err) = (open()?, open()?);
        let log_start = out.metadata().map_or(0, |metadata| metadata.len());
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        let program = PathBuf::from(command.get_program());
        let child = spawn_from_lasting_thread(command).map_err(ServerError::io("start", program))?;
        Ok(Self { child, log: log.to_owned(), log_start })
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Sends a signal unless the process has been collected (its number may be somebody else's by then).
    pub fn signal(&mut self, signal: Signal) {
        if self.exited().is_none()
            && let Some(pid) = i32::try_from(self.pid()).ok().and_then(Pid::from_raw)
        {
            // The only error possible is that it ends at this moment.
            let _ = rustix::process::kill_process(pid, signal);
        }
    }

    /// SIGKILL to the whole process group the process leads.
    pub(crate) fn kill_group(&mut self) {
        if let Some(pid) = i32::try_from(self.pid()).ok().and_then(Pid::from_raw) {
            let _ = rustix::process::kill_process_group(pid, Signal::KILL);
        }
        let _ = self.child.wait();
    }

    /// SIGKILL to it and its children, and collects it. Where the children cannot be listed they notice by themselves.
    pub(crate) fn kill_family(&mut self) {
        let pid = self.pid();
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        self.kill();
        for child in children.split_whitespace().filter_map(|child| Pid::from_raw(child.parse().ok()?)) {
            let _ = rustix::process::kill_process(child, Signal::KILL);
        }
    }

    /// SIGKILL, and collects it.
    pub fn kill(&mut self) {
        // Errors: it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Signals, waits up to `grace`, and kills what remains.
    pub async fn end(&mut self, signal: Signal, grace: Duration) {
        self.signal(signal);
        let ended = async {
            while self.exited().is_none() {
                tokio::time::sleep(POLL).await;
            }
        };
        if tokio::time::timeout(grace, ended).await.is_err() {
            tracing::warn!(pid = self.pid(), ?grace, "the server did not end in time and is killed");
            self.kill();
        }
    }

    /// As [`Self::end`], for `Drop`, which cannot await.
    pub fn end_blocking(&mut self, signal: Signal, grace: Duration) {
        self.signal(signal);
        let mut left = grace;
        while self.exited().is_none() {
            if left.is_zero() {
                self.kill();
                return;
            }
            std::thread::sleep(POLL);
            left = left.saturating_sub(POLL);
        }
    }

    /// What this run has logged; of a very long log the first MiB.
    #[must_use]
    pub fn log_of_this_run(&self) -> String {
        read_from(&self.log, self.log_start).unwrap_or_default()
    }

    /// The last lines this run has logged.
    #[must_use]
    pub fn tail(&self) -> String {
        let length = self.log.metadata().map_or(0, |metadata| metadata.len());
        let text = read_from(&self.log, self.log_start.max(length.saturating_sub(TAIL_BYTES))).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }
}

fn read_from(path: &Path, offset: u64) -> io::Result<String> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(1 << 20).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

type Job = (Command, Sender<io::Result<Child>>);

/// Starts `command` from a thread that lives as long as this process.
///
/// Linux sends the parent-death signal when the *thread* that forked ends, not the process; a runtime's worker
/// or blocking thread may end at any time and would take the server with it.
fn spawn_from_lasting_thread(command: Command) -> io::Result<Child> {
    static SPAWNER: OnceLock<Sender<Job>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (jobs, queue) = channel::<Job>();
        std::thread::spawn(move || {
            for (mut command, reply) in queue {
                let _ = reply.send(command.spawn());
            }
        });
        jobs
    });
    let (reply, answer) = channel();
    let gone = || io::Error::other("the thread that starts servers has ended");
    spawner.send((command, reply)).map_err(|_| gone())?;
    answer.recv().map_err(|_| gone())?
}

/// A prefix that makes the program after it receive `signal` (a name, as `KILL`) when its parent ends; empty where
/// `setpriv` is absent (systems other than Linux).
#[must_use]
pub fn death_signal_prefix(signal: &str) -> Vec<String> {
    match crate::binaries::on_path("setpriv") {
        Some(setpriv) => vec![setpriv.to_string_lossy().into_owned(), "--pdeathsig".to_owned(), signal.to_owned()],
        None => Vec::new(),
    }
}
