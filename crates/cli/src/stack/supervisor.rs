//! Keeps a stack running: starts the stores, migrates, starts every process, and starts again whatever dies, until it is
//! told to stop.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use onering_clock::Clock;
use onering_store::PoolConfig;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::config::StackConfig;
use super::folder::RunFolder;
use super::kept_process::KeptProcess;
use super::plan::{self, Stores, Surroundings};
use super::records::ProcessRecords;
use super::secrets::StackSecrets;
use super::stores::RunningStores;
use crate::args::Supervise;

/// Name of the supervisor's own pid file and log.
pub(crate) const NAME: &str = "supervisor";

/// `onering supervise`: runs the stack whose folder it is given.
pub(crate) async fn supervise(options: Supervise) -> anyhow::Result<ExitCode> {
    // A session of its own: neither closing the terminal nor Ctrl-C in it reaches the stack.
    rustix::process::setsid().context("the supervisor must not be a process group leader")?;
    let folder = RunFolder::existing(options.folder)?;
    let config = StackConfig::read(&folder)?;
    let _lock = lock(&folder)?;
    let stop = CancellationToken::new();
    stop_on_signal(&stop)?;
    let abandoned = CancellationToken::new();
    if options.passing {
        stop_when_abandoned(&stop, &abandoned);
    }
    let records = ProcessRecords::of(&folder);
    records.write(NAME, std::process::id())?;

    let result = run(&folder, &config, options.passing, &stop).await;
    fs::remove_file(folder.started()).ok();
    records.remove(NAME);
    if abandoned.is_cancelled() {
        // Whoever wanted the stack is gone and cannot do it.
        fs::remove_dir_all(folder.path()).ok();
    }
    result.map(|()| ExitCode::SUCCESS)
}

/// Takes the folder for this supervisor; the system lets go of it when the process ends, however it ends.
fn lock(folder: &RunFolder) -> anyhow::Result<fs::File> {
    let path = folder.lock();
    let file = fs::File::create(&path).with_context(|| format!("{} cannot be made", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => bail!("another supervisor runs the stack of {}", folder.path().display()),
        Err(fs::TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("{} cannot be locked", path.display()))
        }
    }
}

/// SIGTERM and SIGINT stop the stack in an orderly way.
fn stop_on_signal(stop: &CancellationToken) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("signals cannot be heard")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("signals cannot be heard")?;
    let stop = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        say("told to stop");
        stop.cancel();
    });
    Ok(())
}

/// Standard input is a pipe whose other end closes when the process that wanted the stack ends, however it ends.
fn stop_when_abandoned(stop: &CancellationToken, abandoned: &CancellationToken) {
    let (stop, abandoned) = (stop.clone(), abandoned.clone());
    // A thread of its own: reading standard input cannot be cancelled, and must not keep the runtime from ending.
    std::thread::spawn(move || {
        std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink()).ok();
        if !stop.is_cancelled() {
            say("abandoned by who started it");
            abandoned.cancel();
            stop.cancel();
        }
    });
}

/// Runs a stack until told to stop. Whatever goes wrong, nothing it started is left running.
async fn run(folder: &RunFolder, config: &StackConfig, passing: bool, stop: &CancellationToken) -> anyhow::Result<()> {
    let secrets = StackSecrets::load_or_make(folder, &Clock::system())?;
    let stores = RunningStores::start(folder, config, passing).await?;
    let result = run_services(folder, config, stores.addresses(), &secrets, stop).await;
    // Last, so that what the services finish at the end can still be written.
    stores.stop().await;
    say("stopped");
    result
}

async fn run_services(
    folder: &RunFolder,
    config: &StackConfig,
    stores: &Stores,
    secrets: &StackSecrets,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let database = PoolConfig::new(&stores.database_url).context("DATABASE_URL")?;
    let applied = onering_store::migrate::migrate(&database)
        .await
        .context("the schema of the database (DATABASE_URL) could not be brought up to date")?;
    say(&format!("the schema is up to date ({} migrations applied)", applied.len()));
    let surroundings = Surroundings {
        folder,
        stores,
        secrets_keys: &secrets.secrets_keys,
        given: &given_environment(),
        binaries: &binaries()?,
    };
    let kept = TaskTracker::new();
    let mut started = Ok(());
    for spec in plan::processes(config, &surroundings) {
        match KeptProcess::start(folder, spec) {
            Ok(process) => drop(kept.spawn(process.keep(stop.clone()))),
            Err(error) => {
                started = Err(error);
                stop.cancel();
                break;
            }
        }
    }
    if started.is_ok() {
        fs::write(folder.started(), "").with_context(|| format!("{} cannot be written", folder.started().display()))?;
        say("started");
    }
    stop.cancelled().await;
    kept.close();
    kept.wait().await;
    started
}

/// The folder this command was built into: the services are beside it.
pub(super) fn binaries() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("this program's own path cannot be read")?;
    Ok(own.parent().context("this program has no folder")?.to_owned())
}

/// Variables that `up` was given and that the services should see.
pub(super) fn given_environment() -> BTreeMap<String, String> {
    std::env::vars().filter(|(name, value)| name.starts_with("ONERING_") && !value.is_empty()).collect()
}

/// One line in the supervisor's log. A full disk must not end supervision: the line is then missing.
pub(super) fn say(text: &str) {
    let _missing = writeln!(std::io::stdout(), "{} {text}", Clock::system().now().format("%Y-%m-%dT%H:%M:%S%.3fZ"));
}
