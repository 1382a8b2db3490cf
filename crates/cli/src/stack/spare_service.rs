//! One more replica of a service beside those of a stack, on a port of its own. It lives as long as whoever started it, and no
//! signal of the terminal reaches it: what has begun is to be finished.

use std::ffi::OsString;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use onering_clock::Clock;
use onering_dev_servers::{death_signal_prefix, free_port};
use rustix::process::{Pid, Signal};
use tokio::process::{Child, Command};

use super::config::StackConfig;
use super::folder::RunFolder;
use super::plan::{self, Surroundings};
use super::records::signal;
use super::secrets::StackSecrets;
use super::supervisor::{binaries, given_environment};
use super::{kept_process, stores};

const PATIENCE: Duration = Duration::from_secs(30);

/// A running one.
pub(crate) struct SpareService {
    name: String,
    url: String,
    folder: RunFolder,
    http: reqwest::Client,
    spawned: Instant,
    child: Child,
}

impl SpareService {
    /// Starts one like this process of the stack, with further variables. It is not ready yet.
    pub(crate) fn spawn(
        folder: &RunFolder,
        model: &str,
        name: &str,
        environment: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let config = StackConfig::read(folder)?;
        let secrets = StackSecrets::load_or_make(folder, &Clock::system())?;
        let surroundings = Surroundings {
            folder,
            stores: &stores::addresses(folder)?,
            secrets_keys: &secrets.secrets_keys,
            given: &given_environment(),
            binaries: &binaries()?,
        };
        let model = plan::processes(&config, &surroundings)
            .into_iter()
            .find(|spec| spec.name == model)
            .with_context(|| format!("the stack has no {model}"))?;
        let port = free_port()?;
        let path = folder.log(name);
        let log = std::fs::File::create(&path).with_context(|| format!("{} cannot be written", path.display()))?;
        let mut words: Vec<OsString> = death_signal_prefix("TERM").into_iter().map(OsString::from).collect();
        words.push(model.program.clone().into());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).envs(&model.environment).process_group(0);
        command.env("ONERING_INSTANCE", name).env("ONERING_BIND", format!("127.0.0.1:{port}"));
        command.envs(environment.iter().copied());
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).kill_on_drop(true);
        let http = crate::api::http_client()?;
        let spawned = Clock::system().monotonic();
        let child = command.spawn().with_context(|| format!("{} cannot be started", model.program.display()))?;
        let (name, url) = (name.to_owned(), format!("http://127.0.0.1:{port}"));
        Ok(Self { name, url, folder: folder.clone(), http, spawned, child })
    }

    /// Waits until it is ready, asking so often; answers how long it took from its start.
    pub(crate) async fn wait_until_ready(&mut self, poll: Duration) -> anyhow::Result<Duration> {
        let ready = async {
            loop {
                let answer = self.http.get(format!("{}/readyz", self.url)).send().await;
                if answer.is_ok_and(|answer| answer.status().is_success()) {
                    return Ok(Clock::system().monotonic().saturating_duration_since(self.spawned));
                }
                if let Some(status) = self.child.try_wait()? {
                    bail!("{} ended while starting ({status}):\n{}", self.name, self.folder.log_tail(&self.name));
                }
                tokio::time::sleep(poll).await;
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, ready).await;
        in_time.unwrap_or_else(|_| bail!("{} was not ready within {} s", self.name, PATIENCE.as_secs()))
    }

    /// The name it goes by, also in the attempt logs.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Its process id, while it runs.
    pub(crate) fn pid(&self) -> Option<i32> {
        self.child.id().map(u32::cast_signed)
    }

    /// What it says of itself.
    pub(crate) async fn metrics(&self) -> anyhow::Result<String> {
        Ok(self.http.get(format!("{}/metrics", self.url)).send().await?.text().await?)
    }

    /// Lets it finish what it has begun.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        let pid = self.pid().and_then(Pid::from_raw);
        signal(pid.with_context(|| format!("{} ended by itself", self.name))?, Signal::TERM)?;
        let ended = tokio::time::timeout(kept_process::GRACE, self.child.wait()).await;
        let status = ended.with_context(|| format!("{} did not stop", self.name))??;
        ensure!(status.success(), "{} ended badly ({status})", self.name);
        Ok(())
    }
}
