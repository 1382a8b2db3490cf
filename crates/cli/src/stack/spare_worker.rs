//! A delivery worker beside those of the dev stack, with a wrong clock. It lives as long as whoever started it, and no signal
//! of the terminal reaches it: what has begun is to be finished.

use std::ffi::OsString;
use std::process::Stdio;
use std::time::Duration;

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

/// The worker of the stack that it is like.
const MODEL: &str = "delivery-worker-1";
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(100);
/// The worker's own count of what it delivered.
const DELIVERED: &str = "onering_deliveries_total{";

/// A running one.
pub(crate) struct SpareWorker {
    name: String,
    url: String,
    child: Child,
}

impl SpareWorker {
    /// Starts one whose clock is so far off, and waits until it is ready.
    pub(crate) async fn start(folder: &RunFolder, skew_seconds: i64) -> anyhow::Result<Self> {
        let config = StackConfig::read(folder)?;
        let secrets = StackSecrets::load_or_make(folder, &Clock::system())?;
        let surroundings = Surroundings {
            folder,
            stores: &stores::addresses(folder)?,
            secrets_keys: &secrets.secrets_keys,
            given: &given_environment(),
            binaries: &binaries()?,
        };
        let model = plan::processes(&config, &surroundings).into_iter().find(|spec| spec.name == MODEL);
        let model = model.context("the dev stack has no worker")?;
        let (name, port) = (format!("delivery-worker-drill{skew_seconds:+}"), free_port()?);
        let path = folder.log(&name);
        let log = std::fs::File::create(&path).with_context(|| format!("{} cannot be written", path.display()))?;
        let mut words: Vec<OsString> = death_signal_prefix("TERM").into_iter().map(OsString::from).collect();
        words.push(model.program.clone().into());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).envs(&model.environment).process_group(0);
        command.env("ONERING_INSTANCE", &name).env("ONERING_BIND", format!("127.0.0.1:{port}"));
        command.env("ONERING_CLOCK_SKEW_SECONDS", skew_seconds.to_string());
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).kill_on_drop(true);
        let child = command.spawn().with_context(|| format!("{} cannot be started", model.program.display()))?;
        let mut worker = Self { name, url: format!("http://127.0.0.1:{port}"), child };
        worker.wait_until_ready(folder).await?;
        Ok(worker)
    }

    async fn wait_until_ready(&mut self, folder: &RunFolder) -> anyhow::Result<()> {
        let client = crate::api::http_client()?;
        let ready = async {
            loop {
                if let Some(status) = self.child.try_wait()? {
                    bail!("{} ended while starting ({status}):\n{}", self.name, folder.log_tail(&self.name));
                }
                let answer = client.get(format!("{}/readyz", self.url)).send().await;
                if answer.is_ok_and(|answer| answer.status().is_success()) {
                    return Ok(());
                }
                tokio::time::sleep(POLL).await;
            }
        };
        let in_time = tokio::time::timeout(PATIENCE, ready).await;
        in_time.unwrap_or_else(|_| bail!("a spare worker was not ready within {} s", PATIENCE.as_secs()))
    }

    /// Its name in the attempt logs.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// How many deliveries it has delivered, by its own count.
    pub(crate) async fn delivered(&self) -> anyhow::Result<u64> {
        let answer = crate::api::http_client()?.get(format!("{}/metrics", self.url)).send().await?;
        Ok(delivered_in(&answer.text().await?))
    }

    /// Lets it finish what it has begun.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        let pid = self.child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
        signal(pid.with_context(|| format!("{} ended by itself", self.name))?, Signal::TERM)?;
        let ended = tokio::time::timeout(kept_process::GRACE, self.child.wait()).await;
        let status = ended.with_context(|| format!("{} did not stop", self.name))??;
        ensure!(status.success(), "{} ended badly ({status})", self.name);
        Ok(())
    }
}

fn delivered_in(metrics: &str) -> u64 {
    let lines = metrics.lines().filter(|line| line.starts_with(DELIVERED) && line.contains("outcome=\"DELIVERED\""));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_delivered_is_counted() {
        let metrics = "# TYPE onering_deliveries_total counter\n\
            onering_deliveries_total{outcome=\"DELIVERED\",service=\"delivery-worker\"} 41\n\
            onering_deliveries_total{outcome=\"retry\",service=\"delivery-worker\"} 7\n";
        assert_eq!(delivered_in(metrics), 41);
        assert_eq!(delivered_in(""), 0);
    }
}
