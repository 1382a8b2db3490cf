//! Keeps the stack running: starts the stores, migrates, starts every process, and starts again whatever dies, until it is
//! told to stop.

use std::collections::BTreeMap;
use std::fs;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use onering_store::PoolConfig;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::config::{DevSecrets, StackConfig};
use super::folder::RunFolder;
use super::plan::{self, ProcessSpec, Stores};
use super::stores;

/// Name of the supervisor's own pid file and log.
pub(crate) const NAME: &str = "supervisor";

/// A process that dies is started again after this long, doubling while it keeps dying at once.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A process that lived this long is thought healthy: its next pause is the first again.
const HEALTHY_AFTER: Duration = Duration::from_secs(10);
/// What in-flight work may take after SIGTERM before a process is killed; the services stop by themselves within 25 s.
const GRACE: Duration = Duration::from_secs(30);

/// Name and address of everything the stack runs, in the order it is started.
pub(crate) fn addresses(config: &StackConfig, folder: &RunFolder) -> anyhow::Result<Vec<(String, String)>> {
    let mut addresses = Vec::new();
    if config.own_postgres {
        addresses.push(("postgres".to_owned(), format!("postgres://127.0.0.1:{}", config.ports.postgres)));
    }
    if config.own_redis {
        addresses.push(("redis".to_owned(), format!("redis://127.0.0.1:{}", config.ports.redis)));
    }
    let nowhere = Stores { database_url: String::new(), redis_url: String::new() };
    let processes = plan::processes(config, folder, &nowhere, "", &BTreeMap::new(), &binaries()?);
    addresses.extend(processes.into_iter().map(|process| (process.name, process.url)));
    Ok(addresses)
}

/// The folder this command was built into: the services are beside it.
fn binaries() -> anyhow::Result<std::path::PathBuf> {
    let own = std::env::current_exe().context("this program's own path cannot be read")?;
    Ok(own.parent().context("this program has no folder")?.to_owned())
}

/// Variables that `up` was given and that the services should see.
fn given_environment() -> BTreeMap<String, String> {
    std::env::vars().filter(|(name, _)| name.starts_with("ONERING_")).collect()
}

pub(crate) async fn supervise() -> anyhow::Result<ExitCode> {
    // A session of its own: closing the terminal that ran `up` does not end the stack.
    rustix::process::setsid().context("the supervisor must not be a process group leader")?;
    let folder = RunFolder::open()?;
    let config = StackConfig::read(&folder)?;
    fs::write(folder.pid_file(NAME), std::process::id().to_string())?;

    let stop = CancellationToken::new();
    tokio::spawn(stop_on_signal(stop.clone()));
    let result = run(&folder, &config, &stop).await;
    fs::remove_file(folder.pid_file(NAME)).ok();
    fs::remove_file(folder.started()).ok();
    result.map(|()| ExitCode::SUCCESS)
}

async fn stop_on_signal(stop: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) else {
        say("signals cannot be heard; stopping");
        return stop.cancel();
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    say("told to stop");
    stop.cancel();
}

/// Runs the stack until told to stop.
pub(crate) async fn run(folder: &RunFolder, config: &StackConfig, stop: &CancellationToken) -> anyhow::Result<()> {
    let secrets = DevSecrets::load_or_make(folder)?;
    // Stores outlive the services: they get a token of their own, cancelled last.
    let stop_stores = CancellationToken::new();
    let store_tasks = TaskTracker::new();
    let stores = stores::start(folder, config, &stop_stores, &store_tasks).await?;

    onering_store::migrate::migrate(&PoolConfig::new(&stores.database_url)?).await.context("the schema could not be brought up to date")?;
    let processes =
        plan::processes(config, folder, &stores, &secrets.secrets_keys, &given_environment(), &binaries()?);
    let tasks = TaskTracker::new();
    for process in processes {
        let first = start(folder, &process)?;
        tasks.spawn(keep_running(folder.clone(), process, first, stop.clone()));
    }
    fs::write(folder.started(), "")?;
    say("started");

    stop.cancelled().await;
    tasks.close();
    tasks.wait().await;
    stop_stores.cancel();
    store_tasks.close();
    store_tasks.wait().await;
    say("stopped");
    Ok(())
}

/// Starts one process with its output in its log and its id in its pid file.
fn start(folder: &RunFolder, process: &ProcessSpec) -> anyhow::Result<Child> {
    let path = folder.log(&process.name);
    let log = fs::OpenOptions::new().create(true).append(true).open(&path).with_context(|| path.display().to_string())?;
    let mut command = Command::new(&process.program);
    command.args(&process.arguments).envs(&process.environment).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    for variable in super::ports::variables() {
        command.env_remove(variable);
    }
    let child = command
        .spawn()
        .with_context(|| format!("{} cannot be started; build the workspace first", process.program.display()))?;
    if let Some(pid) = child.id() {
        fs::write(folder.pid_file(&process.name), pid.to_string())?;
    }
    Ok(child)
}

/// Waits for a process to end and starts it again, until the stack stops.
async fn keep_running(folder: RunFolder, process: ProcessSpec, mut child: Child, stop: CancellationToken) {
    let clock = onering_clock::Clock::system();
    let mut pause = FIRST_PAUSE;
    loop {
        let started = clock.monotonic();
        tokio::select! {
            status = child.wait() => {
                let how = status.map_or_else(|error| error.to_string(), |status| status.to_string());
                say(&format!("{} ended ({how}); starting it again", process.name));
            }
            () = stop.cancelled() => {
                end(&process, &mut child).await;
                fs::remove_file(folder.pid_file(&process.name)).ok();
                return;
            }
        }
        let lived = clock.monotonic().saturating_duration_since(started);
        pause = if lived >= HEALTHY_AFTER { FIRST_PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
        child = loop {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => {
                    fs::remove_file(folder.pid_file(&process.name)).ok();
                    return;
                }
            }
            match start(&folder, &process) {
                Ok(child) => break child,
                Err(error) => say(&format!("{} could not be started again: {error:#}", process.name)),
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        };
    }
}

/// Asks a process to finish, and kills it when it does not.
async fn end(process: &ProcessSpec, child: &mut Child) {
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
    if let Some(pid) = pid
        && let Err(error) = kill_process(pid, Signal::TERM)
    {
        say(&format!("{} could not be told to stop: {error}", process.name));
    }
    if tokio::time::timeout(GRACE, child.wait()).await.is_err() {
        say(&format!("{} did not stop within {} s and is killed", process.name, GRACE.as_secs()));
        if let Err(error) = child.kill().await {
            say(&format!("{} could not be killed: {error}", process.name));
        }
    }
}

/// One line in the supervisor's log.
pub(super) fn say(text: &str) {
    println!("{} {text}", onering_clock::Clock::system().now().format("%Y-%m-%dT%H:%M:%S%.3fZ"));
}
