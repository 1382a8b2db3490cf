//! Whether this process is alive, ready, or on its way out.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use onering_clock::Clock;
use onering_telemetry::field;
use serde::Serialize;
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;

/// How long an answer about readiness stands. Readiness can be asked by anyone; the dependencies behind it must not be
/// made to work for each asking.
const FRESH: Duration = Duration::from_millis(250);

type Checking = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

struct Check {
    name: &'static str,
    deadline: Duration,
    required: bool,
    run: Box<dyn Fn() -> Checking + Send + Sync>,
    was_up: AtomicBool,
}

/// The health of a process: its dependencies' checks, and whether it is draining. Clones share both.
#[derive(Clone)]
pub struct Health {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Clock,
    runtime: Handle,
    draining: AtomicBool,
    checks: RwLock<Vec<Arc<Check>>>,
    last: tokio::sync::Mutex<Option<(Instant, BTreeMap<&'static str, Dependency>)>>,
}

/// What `/readyz` answers.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Readiness {
    /// In one word.
    pub status: ReadinessStatus,
    /// Each dependency by name.
    pub dependencies: BTreeMap<&'static str, Dependency>,
}

/// Readiness in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadinessStatus {
    /// Send requests.
    Ready,
    /// Send requests; a dependency that the process can do without does not answer.
    Degraded,
    /// A dependency that is required does not answer.
    NotReady,
    /// The process is shutting down.
    Draining,
}

/// One dependency, as it was just now.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Dependency {
    /// `up` or `down`.
    pub status: DependencyStatus,
    /// Whether the process is not ready without it.
    pub required: bool,
    /// How long the check took, in milliseconds.
    pub latency_ms: f64,
    /// Why it is down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Whether a dependency answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DependencyStatus {
    /// It answers.
    Up,
    /// It does not.
    Down,
}

impl Health {
    /// Health without checks: ready until told to drain. Checks run on the runtime this is called on, so that connections
    /// they open do not belong to an HTTP worker's.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        let shared = Shared {
            clock,
            runtime: Handle::current(),
            draining: AtomicBool::new(false),
            checks: RwLock::default(),
            last: tokio::sync::Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Adds a dependency without which this process is not ready. A check that takes longer than `deadline` has failed.
    /// What its error displays is shown to whoever asks for readiness: no secrets, no addresses.
    pub fn require<F, Checked, E>(&self, name: &'static str, deadline: Duration, check: F)
    where
        F: Fn() -> Checked + Send + Sync + 'static,
        Checked: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display,
    {
        self.add(name, deadline, true, check);
    }

    /// Adds a dependency that is shown, but that this process can do without.
    pub fn report<F, Checked, E>(&self, name: &'static str, deadline: Duration, check: F)
    where
        F: Fn() -> Checked + Send + Sync + 'static,
        Checked: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display,
    {
        self.add(name, deadline, false, check);
    }

    fn add<F, Checked, E>(&self, name: &'static str, deadline: Duration, required: bool, check: F)
    where
        F: Fn() -> Checked + Send + Sync + 'static,
        Checked: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display,
    {
        let run = Box::new(move || -> Checking {
            let checking = check();
            Box::pin(async move { checking.await.map_err(|error| error.to_string()) })
        });
        let check = Check { name, deadline, required, run, was_up: AtomicBool::new(true) };
        self.shared.checks.write().unwrap_or_else(PoisonError::into_inner).push(Arc::new(check));
    }

    /// From now on the process is not ready, for good.
    pub fn drain(&self) {
        self.shared.draining.store(true, Ordering::Release);
    }

    /// Whether the process is on its way out.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.shared.draining.load(Ordering::Acquire)
    }

    /// Asks the dependencies, all at once; answers are reused for a quarter of a second.
    pub async fn readiness(&self) -> Readiness {
        let dependencies = self.dependencies().await;
        let down = || dependencies.values().filter(|dependency| dependency.status == DependencyStatus::Down);
        let status = if self.is_draining() {
            ReadinessStatus::Draining
        } else if down().any(|dependency| dependency.required) {
            ReadinessStatus::NotReady
        } else if down().next().is_some() {
            ReadinessStatus::Degraded
        } else {
            ReadinessStatus::Ready
        };
        Readiness { status, dependencies }
    }

    async fn dependencies(&self) -> BTreeMap<&'static str, Dependency> {
        // The lock is held while checking: whoever asks meanwhile waits for this answer instead of starting checks.
        let mut last = self.shared.last.lock().await;
        let now = self.shared.clock.monotonic();
        if let Some((at, dependencies)) = &*last
            && now.duration_since(*at) < FRESH
        {
            return dependencies.clone();
        }
        let checks = self.shared.checks.read().unwrap_or_else(PoisonError::into_inner).clone();
        let dependencies: BTreeMap<_, _> =
            join_all(checks.iter().map(|check| self.ask(check))).await.into_iter().collect();
        *last = Some((self.shared.clock.monotonic(), dependencies.clone()));
        dependencies
    }

    async fn ask(&self, check: &Arc<Check>) -> (&'static str, Dependency) {
        let began = self.shared.clock.monotonic();
        let running = AbortOnDropHandle::new(self.shared.runtime.spawn((check.run)()));
        let outcome = match tokio::time::timeout(check.deadline, running).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err("the check failed".to_owned()),
            Err(_) => Err(format!("no answer within {} ms", check.deadline.as_millis())),
        };
        let is_up = outcome.is_ok();
        if check.was_up.swap(is_up, Ordering::Relaxed) != is_up {
            match &outcome {
                Ok(()) => tracing::info!(dependency = check.name, "dependency answers again"),
                Err(error) => {
                    tracing::warn!(dependency = check.name, { field::ERROR } = error, "dependency does not answer");
                }
            }
        }
        let latency_ms = self.shared.clock.monotonic().duration_since(began).as_secs_f64() * 1_000.0;
        let status = if is_up { DependencyStatus::Up } else { DependencyStatus::Down };
        let latency_ms = (latency_ms * 1_000.0).round() / 1_000.0;
        (check.name, Dependency { status, required: check.required, latency_ms, error: outcome.err() })
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Health").field("draining", &self.is_draining()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    fn noon() -> Clock {
        Clock::manual("2026-03-01T12:00:00Z".parse().unwrap())
    }

    #[tokio::test]
    async fn ready_while_all_dependencies_answer_and_nobody_said_drain() {
        let health = Health::new(noon());
        health.require("postgres", Duration::from_secs(5), || async { Ok::<_, String>(()) });
        assert_eq!(health.readiness().await.status, ReadinessStatus::Ready);
        health.drain();
        assert_eq!(health.readiness().await.status, ReadinessStatus::Draining);
    }

    #[tokio::test]
    async fn one_that_can_be_done_without_is_shown_and_no_more() {
        let health = Health::new(noon());
        health.report("redis", Duration::from_secs(5), || async { Err("refused") });
        let readiness = health.readiness().await;
        assert_eq!(readiness.status, ReadinessStatus::Degraded);
        assert_eq!(readiness.dependencies["redis"].status, DependencyStatus::Down);
    }

    #[tokio::test]
    async fn one_that_fails_panics_or_hangs_is_down_and_said_to_be() {
        let health = Health::new(noon());
        health.require("fails", Duration::from_secs(5), || async { Err("refused") });
        health.require("hangs", Duration::from_millis(20), std::future::pending::<Result<(), String>>);
        health.require("panics", Duration::from_secs(5), || async { panic!("on purpose") as Result<(), String> });
        health.require("works", Duration::from_secs(5), || async { Ok::<_, String>(()) });
        let readiness = health.readiness().await;
        assert_eq!(readiness.status, ReadinessStatus::NotReady);
        let error = |name: &str| readiness.dependencies[name].error.clone();
        assert_eq!(error("fails").as_deref(), Some("refused"));
        assert_eq!(error("hangs").as_deref(), Some("no answer within 20 ms"));
        assert_eq!(error("panics").as_deref(), Some("the check failed"));
        assert_eq!(error("works"), None);
    }

    #[tokio::test]
    async fn answers_are_reused_for_a_moment_only() {
        let clock = noon();
        let health = Health::new(clock.clone());
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        health.require("redis", Duration::from_secs(5), move || {
            counter.fetch_add(1, Ordering::Relaxed);
            async { Ok::<_, String>(()) }
        });
        join_all((0..10).map(|_| health.readiness())).await;
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        clock.advance(FRESH);
        health.readiness().await;
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }
}
