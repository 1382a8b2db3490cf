//! What a fault is done with: a receiver can be slow anywhere, but to kill a worker one has to be on its machine.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures_util::future::join_all;
use onering_clock::Clock;
use onering_queue::Queue;
use onering_settings::load_cli;
use rustix::process::{Pid, Signal};
use url::Url;

use super::progress;
use super::standstill::Standstill;
use crate::args::{Drill, DrillFault};
use crate::sink::RunningSink;
use crate::stack::{DevEnv, ProcessRecords, RunFolder, SpareWorker, signal};

/// How long a receiver misbehaves.
const SLOW_FOR: Duration = Duration::from_secs(10);
const FAILING_FOR: Duration = Duration::from_secs(5);
/// How long a slow receiver takes: less than the time limit of a request, so that it is slow and nothing worse.
const SLOW: Duration = Duration::from_secs(3);
/// How far wrong clocks are off.
const SKEWS_SECONDS: [i64; 2] = [600, -600];
/// With so many entries in the stream, of one or more deliveries each, emptying Redis loses some; longer is not waited for
/// them.
const BACKLOG: u64 = 15;
const BACKLOG_PATIENCE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(50);
/// What the names of the workers begin with.
const WORKERS: &str = "delivery-worker-";

/// What the fault is done with.
pub(super) enum Means {
    /// The drill's own receiver.
    Receiver(Misbehaviour),
    /// The dev stack of this folder, whose workers are found by their pid files.
    Workers(RunFolder),
    /// Redis; where its workers are those of the dev stack of this folder, that as well.
    Redis(Box<Queue>, Option<RunFolder>),
    /// The dev stack of this folder, which gets workers with wrong clocks.
    Clocks(RunFolder, Vec<SpareWorker>),
}

/// What the receiver does.
#[derive(Debug, Clone, Copy)]
pub(super) enum Misbehaviour {
    Slow,
    Failing,
}

impl Means {
    /// Finds them, or says why this fault cannot be done to this platform.
    pub(super) fn find(options: &Drill, backend: &Url) -> anyhow::Result<Self> {
        let dev_env = DevEnv::of_this_folder()?;
        let is_dev_stack = dev_env.base_url().as_ref() == Some(backend);
        Ok(match options.fault {
            DrillFault::SlowReceiver => Self::Receiver(Misbehaviour::Slow),
            DrillFault::Receiver5xx => Self::Receiver(Misbehaviour::Failing),
            DrillFault::KillWorker => Self::Workers(dev_stack(options.fault, backend, is_dev_stack)?),
            DrillFault::ClockSkew => Self::Clocks(dev_stack(options.fault, backend, is_dev_stack)?, Vec::new()),
            DrillFault::FlushRedis => {
                // The dev stack's Redis is no other platform's.
                let of_dev_stack = || dev_env.redis_url().filter(|_| is_dev_stack);
                let of_settings = load_cli()?.redis.map(|redis| redis.url.expose().to_owned());
                let url = options.redis_url.clone().or(of_settings).or_else(of_dev_stack).with_context(|| {
                    format!("which Redis is that of {backend}? Give REDIS_URL; everything in its database is removed")
                })?;
                let folder = if is_dev_stack { RunFolder::find()? } else { None };
                Self::Redis(Box::new(Queue::connect_to(&url, Clock::system())?), folder)
            }
        })
    }

    /// Does the fault; returns when what has an end is over.
    pub(super) async fn strike(&mut self, sink: &RunningSink) -> anyhow::Result<()> {
        match self {
            Self::Receiver(misbehaviour) => misbehave(*misbehaviour, sink).await,
            Self::Workers(folder) => kill_worker(folder)?,
            Self::Redis(queue, folder) => empty(queue, folder.as_ref()).await?,
            Self::Clocks(folder, workers) => {
                progress("starting two workers with wrong clocks");
                for skew_seconds in SKEWS_SECONDS {
                    workers.push(SpareWorker::start(folder, skew_seconds).await?);
                }
            }
        }
        Ok(())
    }

    /// Whether the load waits until the fault is done: what takes seconds to set up would come too late for it.
    pub(super) const fn comes_first(&self) -> bool {
        matches!(self, Self::Clocks(..))
    }

    /// Why the drill proves nothing, if so.
    pub(super) async fn proves_nothing(&self) -> anyhow::Result<Option<String>> {
        let Self::Clocks(_, workers) = self else { return Ok(None) };
        for worker in workers {
            if worker.delivered().await? == 0 {
                return Ok(Some(format!("{} delivered nothing, so its clock was not tried", worker.name())));
            }
        }
        Ok(None)
    }

    /// Ends what was started for the fault, however far that was; one that ends badly does not keep the others.
    pub(super) async fn undo(&mut self) -> anyhow::Result<()> {
        let Self::Clocks(_, workers) = self else { return Ok(()) };
        join_all(workers.drain(..).map(SpareWorker::stop)).await.into_iter().collect()
    }
}

/// The folder of the dev stack, when that is what is drilled.
fn dev_stack(fault: DrillFault, backend: &Url, is_dev_stack: bool) -> anyhow::Result<RunFolder> {
    ensure!(
        is_dev_stack,
        "{} is done to processes of the dev stack of this folder, and {backend} is not that; elsewhere only flush-redis, \
         slow-receiver and receiver-5xx can be drilled from outside",
        fault.name()
    );
    RunFolder::find()?.context("the folder of the dev stack is not there")
}

/// The workers of the dev stack that run.
fn workers(folder: &RunFolder) -> Vec<(String, Pid)> {
    let records = ProcessRecords::of(folder);
    let names = records.names().into_iter().filter(|name| name.starts_with(WORKERS));
    names.filter_map(|name| Some((name.clone(), records.live(&name)?))).collect()
}

fn kill_worker(folder: &RunFolder) -> anyhow::Result<()> {
    let (name, pid) = workers(folder).into_iter().next().context("no worker of the dev stack is running")?;
    progress(&format!("killing {name} (pid {})", pid.as_raw_nonzero()));
    signal(pid, Signal::KILL)
}

/// Only what waits in Redis can be lost, and hardly anything does while workers are quick: those of the dev stack stand
/// still until something waits.
async fn empty(queue: &Queue, folder: Option<&RunFolder>) -> anyhow::Result<()> {
    let workers = folder.map(workers).unwrap_or_default();
    let standing = Standstill::of(workers.into_iter().map(|(_, pid)| pid))?;
    if !standing.is_empty() {
        wait_for_backlog(queue).await?;
    }
    progress("emptying Redis");
    queue.forget_everything().await?;
    standing.end()
}

async fn wait_for_backlog(queue: &Queue) -> anyhow::Result<()> {
    let backlog = async {
        while queue.deliveries().len().await? < BACKLOG {
            tokio::time::sleep(POLL).await;
        }
        anyhow::Ok(())
    };
    // Where events are few, what there is must do.
    tokio::time::timeout(BACKLOG_PATIENCE, backlog).await.unwrap_or(Ok(()))
}

async fn misbehave(misbehaviour: Misbehaviour, sink: &RunningSink) {
    let lasts = match misbehaviour {
        Misbehaviour::Slow => {
            progress(&format!("the receiver takes {} s a request, for {} s", SLOW.as_secs(), SLOW_FOR.as_secs()));
            sink.delay(SLOW);
            SLOW_FOR
        }
        Misbehaviour::Failing => {
            progress(&format!("the receiver answers 503, for {} s", FAILING_FOR.as_secs()));
            sink.fail(Some(503));
            FAILING_FOR
        }
    };
    tokio::time::sleep(lasts).await;
    sink.delay(Duration::ZERO);
    sink.fail(None);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_killed_elsewhere() {
        let staging = Url::parse("https://staging.example").unwrap();
        for fault in [DrillFault::KillWorker, DrillFault::ClockSkew] {
            let error = dev_stack(fault, &staging, false).unwrap_err().to_string();
            assert!(error.contains(fault.name()) && error.contains("staging.example"), "{error}");
        }
    }
}
