//! One process that is kept running: started, started again when it ends, and ended when the stack stops.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Pid, Signal};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;

use super::folder::RunFolder;
use super::plan::ProcessSpec;
use super::records::{self, ProcessRecords};
use super::supervisor::say;

/// A process that dies is started again after this long, doubling while it keeps dying at once.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A process that lived this long is thought healthy: its next pause is the first again.
const HEALTHY_AFTER: Duration = Duration::from_secs(10);
/// What in-flight work may take after SIGTERM before a process is killed; the services stop by themselves within 25 s.
pub(super) const GRACE: Duration = Duration::from_secs(30);
/// Variables for people's commands, which are no business of the services.
const NOT_FOR_SERVICES: [&str; 3] = ["ONERING_BASE_URL", "ONERING_ADMIN_KEY", "ONERING_WEBHOOK_SECRET"];

/// A process and what it takes to start it again.
pub(super) struct KeptProcess {
    spec: ProcessSpec,
    folder: RunFolder,
    records: ProcessRecords,
    child: Child,
}

impl KeptProcess {
    /// Starts the process.
    pub(super) fn start(folder: &RunFolder, spec: ProcessSpec) -> anyhow::Result<Self> {
        let records = ProcessRecords::of(folder);
        let child = spawn(folder, &records, &spec)?;
        Ok(Self { spec, folder: folder.clone(), records, child })
    }

    /// Starts the process again whenever it ends, until told to stop; then ends it.
    pub(super) async fn keep(mut self, stop: CancellationToken) {
        let clock = onering_clock::Clock::system();
        let mut pause = FIRST_PAUSE;
        loop {
            let started = clock.monotonic();
            let Some(status) = stop.run_until_cancelled(self.child.wait()).await else { break };
            let how = status.map_or_else(|error| error.to_string(), |status| status.to_string());
            say(&format!("{} ended ({how}); starting it again", self.spec.name));
            let lived = clock.monotonic().saturating_duration_since(started);
            pause = if lived >= HEALTHY_AFTER { FIRST_PAUSE } else { pause };
            if !self.start_again(&mut pause, &stop).await {
                break;
            }
        }
        self.end().await;
        self.records.remove(&self.spec.name);
    }

    /// Tries until the process is started; false when told to stop meanwhile.
    async fn start_again(&mut self, pause: &mut Duration, stop: &CancellationToken) -> bool {
        while stop.run_until_cancelled(tokio::time::sleep(*pause)).await.is_some() {
            *pause = (*pause * 2).min(LONGEST_PAUSE);
            match spawn(&self.folder, &self.records, &self.spec) {
                Ok(child) => {
                    self.child = child;
                    say(&format!("{} started again (pid {})", self.spec.name, self.child.id().unwrap_or_default()));
                    return true;
                }
                Err(error) => say(&format!("{} could not be started again: {error:#}", self.spec.name)),
            }
        }
        false
    }

    /// Asks the process to finish, and kills it when it does not.
    async fn end(&mut self) {
        let name = &self.spec.name;
        // Without an id it has ended already.
        let Some(pid) = self.child.id().and_then(|pid| Pid::from_raw(pid.cast_signed())) else { return };
        if let Err(error) = records::signal(pid, Signal::TERM) {
            say(&format!("{name} could not be told to stop: {error:#}"));
        }
        if tokio::time::timeout(GRACE, self.child.wait()).await.is_err() {
            say(&format!("{name} did not stop within {} s and is killed", GRACE.as_secs()));
            if let Err(error) = self.child.kill().await {
                say(&format!("{name} could not be killed: {error}"));
            }
        }
    }
}

/// Starts a process with its output in its log, and records it.
fn spawn(folder: &RunFolder, records: &ProcessRecords, spec: &ProcessSpec) -> anyhow::Result<Child> {
    let path = folder.log(&spec.name);
    let log = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .with_context(|| format!("{} cannot be written", path.display()))?;
    let mut command = Command::new(&spec.program);
    command.args(&spec.arguments).envs(&spec.environment);
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    // Should anything go wrong here, nobody else would end it.
    command.kill_on_drop(true);
    for variable in super::ports::variables().chain(NOT_FOR_SERVICES) {
        command.env_remove(variable);
    }
    let child = command.spawn().with_context(|| {
        format!(
            "{} cannot be started; `make up` builds it (or: cargo build --workspace --bins)",
            spec.program.display()
        )
    })?;
    if let Some(pid) = child.id() {
        records.write(&spec.name, pid)?;
    }
    Ok(child)
}
