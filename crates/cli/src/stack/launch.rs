//! Launching a stack: lay out its folder, start its supervisor, wait until everything is ready.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use onering_clock::Clock;

use super::config::StackConfig;
use super::folder::RunFolder;
use super::records::ProcessRecords;
use super::status::{self, ProcessState};
use super::{plan, supervisor};

/// From starting the supervisor to every process being ready; the first start makes a database cluster.
const PATIENCE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(50);
/// A process that was started this often and never got ready is not going to.
const HOPELESS_AFTER: usize = 4;

/// The switches of a new stack: everything on, canary-only off.
const SWITCHES: [(&str, &str); 4] = [
    ("ONERING_EXTERNAL_API_ENABLED", "1"),
    ("ONERING_EXTERNAL_API_CANARY_ONLY", "0"),
    ("ONERING_WEBHOOKS_ENABLED", "1"),
    ("ONERING_WEBHOOKS_DELIVERY_ENABLED", "1"),
];

/// How long a stack lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lifetime {
    /// Until `down`.
    Lasting,
    /// At most as long as the process that launched it; its data goes with it.
    Passing,
}

/// Writes what the supervisor reads: configuration, route table, and the switches that are not there yet.
///
/// Answers the switches that an earlier run left in another position.
pub(crate) fn lay_out(folder: &RunFolder, config: &StackConfig) -> anyhow::Result<Vec<String>> {
    config.write(folder)?;
    let routes = folder.routes();
    fs::write(&routes, plan::route_table(config.ports.product))
        .with_context(|| format!("{} cannot be written", routes.display()))?;
    let mut moved = Vec::new();
    for (name, value) in SWITCHES {
        let path = folder.flags().join(name);
        match fs::read_to_string(&path) {
            Ok(found) if found.trim() == value => {}
            Ok(found) => moved.push(format!("{name} is {} in {}", found.trim(), folder.flags().display())),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                fs::write(&path, value).with_context(|| format!("{} cannot be written", path.display()))?;
            }
            // Perhaps turned off, so not to be overwritten.
            Err(error) => return Err(error).with_context(|| format!("the switch {} cannot be read", path.display())),
        }
    }
    Ok(moved)
}

/// Starts a stack's supervisor. A [`Lifetime::Passing`] stack ends when the standard input of the handle is closed, also
/// by the end of this process. Its services are told `environment` beside what this process was.
pub(crate) fn start_supervisor(
    folder: &RunFolder,
    lifetime: Lifetime,
    environment: &[(&str, &str)],
) -> anyhow::Result<Child> {
    // Absent unless an earlier supervisor was killed.
    fs::remove_file(folder.started()).ok();
    let path = folder.log(supervisor::NAME);
    let log = fs::File::create(&path).with_context(|| format!("{} cannot be written", path.display()))?;
    let mut command = Command::new(std::env::current_exe().context("this program's own path cannot be read")?);
    command.arg("supervise").arg("--folder").arg(folder.path()).stdout(log.try_clone()?).stderr(log);
    command.envs(environment.iter().copied());
    match lifetime {
        Lifetime::Lasting => command.stdin(Stdio::null()),
        Lifetime::Passing => command.arg("--passing").stdin(Stdio::piped()),
    };
    command.spawn().context("the supervisor cannot be started")
}

/// Waits until every process of a stack is ready, telling `progress` of each.
pub(crate) async fn wait_until_ready(
    folder: &RunFolder,
    config: &StackConfig,
    supervisor: &mut Child,
    progress: impl Fn(&str),
) -> anyhow::Result<()> {
    if let Ok(result) = tokio::time::timeout(PATIENCE, watch_start(folder, config, supervisor, progress)).await {
        return result;
    }
    let mut message = format!("not everything was ready within {} s", PATIENCE.as_secs());
    for state in status::states(folder, config).await?.iter().filter(|state| !state.ready) {
        message.push_str(&format!("\n--- {} ({})\n{}", state.name, state.url, folder.log_tail(&state.name)));
    }
    bail!(message)
}

async fn watch_start(
    folder: &RunFolder,
    config: &StackConfig,
    supervisor: &mut Child,
    progress: impl Fn(&str),
) -> anyhow::Result<()> {
    let clock = Clock::system();
    let begun = clock.monotonic();
    let mut watch = Watch::default();
    let records = ProcessRecords::of(folder);
    loop {
        if let Some(status) = supervisor.try_wait()? {
            bail!("the stack could not be started ({status}):\n{}", folder.log_tail(supervisor::NAME));
        }
        let states = status::states(folder, config).await?;
        for name in watch.newly_ready(&states) {
            let elapsed = clock.monotonic().saturating_duration_since(begun);
            progress(&format!("{name:<18} ready after {:.1} s", elapsed.as_secs_f64()));
        }
        // Not by what is seen running: a process that ends at once is hardly ever seen.
        let started = states.iter().map(|state| (state.name.as_str(), records.last(&state.name)));
        if let Some(name) = watch.hopeless(started) {
            bail!("{name} ends again and again; its log ends with:\n{}", folder.log_tail(name));
        }
        if folder.started().exists() && states.iter().all(|state| state.ready) {
            return Ok(());
        }
        tokio::time::sleep(POLL).await;
    }
}

/// What was seen of a starting stack.
#[derive(Default)]
struct Watch {
    ready: BTreeSet<String>,
    /// The process ids each name has had.
    pids: BTreeMap<String, BTreeSet<i32>>,
}

impl Watch {
    /// Processes that were not ready at any earlier look.
    fn newly_ready(&mut self, states: &[ProcessState]) -> Vec<String> {
        let ready = states.iter().filter(|state| state.ready).map(|state| state.name.clone());
        ready.filter(|name| self.ready.insert(name.clone())).collect()
    }

    /// A process that is started again and again and was never ready.
    fn hopeless<'n>(&mut self, mut started: impl Iterator<Item = (&'n str, Option<i32>)>) -> Option<&'n str> {
        started.find_map(|(name, pid)| {
            let pids = self.pids.entry(name.to_owned()).or_default();
            pids.extend(pid);
            (pids.len() >= HOPELESS_AFTER && !self.ready.contains(name)).then_some(name)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(pid: i32, ready: bool) -> ProcessState {
        ProcessState { name: "admin-1".to_owned(), url: String::new(), pid: Some(pid), ready }
    }

    #[test]
    fn each_process_is_reported_ready_once() {
        let mut watch = Watch::default();
        assert!(watch.newly_ready(&[state(1, false)]).is_empty());
        assert_eq!(watch.newly_ready(&[state(1, true)]), ["admin-1"]);
        assert!(watch.newly_ready(&[state(1, true)]).is_empty());
    }

    #[test]
    fn who_never_gets_ready_is_given_up() {
        let mut watch = Watch::default();
        for pid in [None, Some(1), Some(1), Some(2), Some(3), Some(3)] {
            assert_eq!(watch.hopeless([("admin-1", pid), ("redis", Some(1))].into_iter()), None);
        }
        assert_eq!(watch.hopeless([("admin-1", Some(4))].into_iter()), Some("admin-1"));
    }

    #[test]
    fn who_was_ready_once_may_be_killed_as_often_as_one_likes() {
        let mut watch = Watch::default();
        watch.newly_ready(&[state(1, true)]);
        for pid in 1..=10 {
            assert_eq!(watch.hopeless([("admin-1", Some(pid))].into_iter()), None);
        }
    }
}
