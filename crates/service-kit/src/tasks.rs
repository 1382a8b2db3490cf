//! Work in the background, kept going.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use onering_clock::Clock;
use onering_telemetry::metrics::{Counters, Label};
use onering_telemetry::{Metrics, MetricsError, field};
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::error::error_chain;
use crate::periodic::periodic;

/// The wait before a task is started again: short at first, bounded.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A task that ran this long was well; its next end begins with the short wait again.
const WELL: Duration = Duration::from_secs(60);
const MAX_TASK_NAMES: usize = 50;

/// The background tasks of a process. Clones share them.
///
/// A task that ends or panics before it was told to is a mistake, and is logged, counted in `onering_task_restarts_total`
/// and started again.
#[derive(Clone)]
pub struct Tasks {
    clock: Clock,
    stop: CancellationToken,
    tracker: TaskTracker,
    abort: CancellationToken,
    restarts: Counters<1>,
}

/// How a task may end: with nothing, or with a result.
pub trait Ending: Send + 'static {
    /// What it failed with.
    fn failure(self) -> Option<String>;
}

impl Ending for () {
    fn failure(self) -> Option<String> {
        None
    }
}

impl<E: Error + Send + 'static> Ending for Result<(), E> {
    fn failure(self) -> Option<String> {
        self.err().map(|error| error_chain(&error))
    }
}

impl Tasks {
    /// No tasks yet.
    ///
    /// # Errors
    /// Where their counter cannot be declared.
    pub fn new(clock: Clock, metrics: &Metrics) -> Result<Self, MetricsError> {
        let restarts = metrics.counters(
            "onering_task_restarts_total",
            "Background tasks that ended by themselves and were started again, by task.",
            [Label::first("task", MAX_TASK_NAMES)],
        )?;
        let (stop, abort) = (CancellationToken::new(), CancellationToken::new());
        Ok(Self { clock, stop, tracker: TaskTracker::new(), abort, restarts })
    }

    /// Cancelled when background work is to end: after the last request was answered. What should end sooner, such as
    /// taking up new work, watches the context's `stop`.
    #[must_use]
    pub const fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Starts a task on the calling runtime and keeps it going. `task` is called for every start with the token that says
    /// when to end.
    pub fn spawn<T, Running>(&self, name: &'static str, task: T)
    where
        T: Fn(CancellationToken) -> Running + Send + Sync + 'static,
        Running: Future<Output: Ending> + Send + 'static,
    {
        let tasks = self.clone();
        self.tracker.spawn(async move {
            tokio::select! {
                () = tasks.keep_going(name, task) => {}
                () = tasks.abort.cancelled() => tracing::warn!(task = name, "task was cut off"),
            }
        });
    }

    /// Starts [`periodic`] work and keeps it going.
    pub fn periodic<W, Worked, E>(&self, name: &'static str, every: Duration, work: W)
    where
        W: Fn() -> Worked + Send + Sync + 'static,
        Worked: Future<Output = Result<(), E>> + Send + 'static,
        E: Error + 'static,
    {
        let work = Arc::new(work);
        self.spawn(name, move |stop| {
            let work = Arc::clone(&work);
            async move { periodic(name, every, stop, move || work()).await }
        });
    }

    /// Tells all tasks to end and waits for them, at most `patience`; then cuts off what is left. Answers whether all
    /// ended by themselves.
    pub async fn finish(&self, patience: Duration) -> bool {
        self.stop.cancel();
        self.tracker.close();
        if tokio::time::timeout(patience, self.tracker.wait()).await.is_ok() {
            return true;
        }
        self.abort.cancel();
        self.tracker.wait().await;
        false
    }

    async fn keep_going<T, Running>(&self, name: &'static str, task: T)
    where
        T: Fn(CancellationToken) -> Running + Send + Sync + 'static,
        Running: Future<Output: Ending> + Send + 'static,
    {
        let task = Arc::new(task);
        let mut pause = FIRST_PAUSE;
        loop {
            let began = self.clock.monotonic();
            // A task of its own, so that a panic ends only this run of it.
            let (task, stop) = (Arc::clone(&task), self.stop.clone());
            let run = AbortOnDropHandle::new(tokio::spawn(async move { task(stop).await }));
            let failure = match run.await {
                Ok(ending) => ending.failure(),
                Err(ended) => Some(if ended.is_panic() { "it panicked" } else { "it was cancelled" }.to_owned()),
            };
            if self.stop.is_cancelled() {
                if let Some(failure) = failure {
                    tracing::warn!(task = name, { field::ERROR } = failure, "task failed while ending");
                }
                return;
            }
            if self.clock.monotonic().duration_since(began) >= WELL {
                pause = FIRST_PAUSE;
            }
            let failure = failure.unwrap_or_else(|| "it ended without being told to".to_owned());
            tracing::error!(task = name, { field::ERROR } = failure, "task ended; starting it again");
            self.restarts.with([name]).inc();
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.stop.cancelled() => return,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Tasks").field("running", &self.tracker.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use onering_settings::Service;
    use tokio::sync::mpsc;

    use super::*;

    fn tasks() -> (Tasks, Metrics) {
        let metrics = Metrics::new(Service::Admin).unwrap();
        (Tasks::new(Clock::system(), &metrics).unwrap(), metrics)
    }

    #[tokio::test]
    async fn a_task_that_ends_fails_or_panics_is_started_again() {
        let (tasks, metrics) = tasks();
        let (report, mut reports) = mpsc::unbounded_channel();
        let runs = AtomicU32::new(0);
        tasks.spawn("stumbles", move |stop| {
            let (run, report) = (runs.fetch_add(1, Ordering::Relaxed), report.clone());
            async move {
                report.send(run).unwrap();
                match run {
                    0 => return Err(std::io::Error::other("on purpose")),
                    1 => panic!("on purpose"),
                    2 => return Ok(()),
                    _ => stop.cancelled().await,
                }
                Ok(())
            }
        });
        for run in 0..4 {
            assert_eq!(reports.recv().await, Some(run));
        }
        assert!(tasks.finish(Duration::from_secs(5)).await);
        assert_eq!(reports.recv().await, None, "told to end, it is not started again");
        let counted = metrics.render().unwrap();
        let line = counted.lines().find(|line| line.starts_with("onering_task_restarts_total{")).unwrap();
        assert!(line.contains("task=\"stumbles\"") && line.ends_with(" 3"), "{line}");
    }

    #[tokio::test]
    async fn one_that_does_not_end_when_told_is_cut_off() {
        let (tasks, _) = tasks();
        tasks.spawn("deaf", |_| std::future::pending::<()>());
        assert!(!tasks.finish(Duration::from_millis(50)).await);
    }

    #[tokio::test]
    async fn work_in_hand_is_finished() {
        let (tasks, _) = tasks();
        let (done, mut when_done) = mpsc::unbounded_channel();
        let (began, mut when_begun) = mpsc::unbounded_channel();
        let told = tasks.stop().clone();
        tasks.periodic("slow", Duration::from_secs(1), move || {
            let (began, done, told) = (began.clone(), done.clone(), told.clone());
            async move {
                began.send(()).unwrap();
                // The work goes on after everything was told to end.
                told.cancelled().await;
                tokio::task::yield_now().await;
                done.send(()).unwrap();
                Ok::<_, std::io::Error>(())
            }
        });
        when_begun.recv().await.unwrap();
        assert!(tasks.finish(Duration::from_secs(10)).await);
        when_done.recv().await.unwrap();
    }
}
