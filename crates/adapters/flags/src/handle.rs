//! [`FlagsHandle`]: what the rest of a process asks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};
use onering_clock::Clock;
use onering_rollout::{SourceValues, Switches, resolve};
use tokio::sync::watch;

use crate::directory::{Directory, Reading, ReloadFailure};
use crate::watch::{Pace, keep_up};

/// The switches in force and how they came to be so: what a receipt reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// How many times the switches have changed since the process started.
    pub generation: u64,
    /// By which to see whether two processes run with the same switches.
    pub fingerprint: String,
    /// When the source of the last change was written; `None` when nothing has changed yet or the source does not say.
    pub changed_at: Option<DateTime<Utc>>,
    /// When this process applied it.
    pub applied_at: DateTime<Utc>,
    /// The switches.
    pub switches: Arc<Switches>,
}

/// The switches of this process. Clones share them; reading them costs next to nothing. The watch on the directory ends
/// with the last clone.
#[derive(Debug, Clone)]
pub struct FlagsHandle {
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    clock: Clock,
    current: ArcSwap<Switches>,
    sources: Mutex<Sources>,
    applied: watch::Sender<Arc<Applied>>,
    failures: watch::Sender<Arc<[ReloadFailure]>>,
}

/// What each source says at the moment.
#[derive(Debug)]
struct Sources {
    environment: SourceValues,
    files: SourceValues,
    overrides: SourceValues,
}

impl FlagsHandle {
    /// Reads the directory once and watches it from then on, on the calling runtime.
    ///
    /// Until [`set_overrides`](Self::set_overrides) is called for the first time everything is closed: an override that
    /// is not known yet may be the one that withdrew access.
    pub async fn start(settings: &onering_settings::Flags, clock: Clock) -> Self {
        Self::start_at(settings, clock, Pace::default()).await
    }

    pub(crate) async fn start_at(settings: &onering_settings::Flags, clock: Clock, pace: Pace) -> Self {
        let handle = Self::new(settings.environment.clone(), unknown_overrides(), clock);
        if let Some(path) = &settings.dir {
            keep_up(Directory::new(path.clone()), &handle.shared, pace).await;
        }
        handle
    }

    /// Switches that never change by themselves: for tests and tools.
    #[must_use]
    pub fn fixed(values: SourceValues, clock: Clock) -> Self {
        Self::new(values, SourceValues::default(), clock)
    }

    fn new(environment: SourceValues, overrides: SourceValues, clock: Clock) -> Self {
        let sources = Sources { environment, files: SourceValues::default(), overrides };
        let switches = Arc::new(sources.resolve());
        let applied = Applied {
            generation: 0,
            fingerprint: switches.fingerprint(),
            changed_at: None,
            applied_at: clock.now(),
            switches: Arc::clone(&switches),
        };
        let shared = Shared {
            clock,
            current: ArcSwap::new(switches),
            sources: Mutex::new(sources),
            applied: watch::Sender::new(Arc::new(applied)),
            failures: watch::Sender::new(Arc::default()),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The switches in force. Take them once for each request or batch, so that it sees one state throughout.
    #[must_use]
    pub fn current(&self) -> Arc<Switches> {
        self.shared.current.load_full()
    }

    /// The switches in force, with their generation and when they were applied.
    #[must_use]
    pub fn applied(&self) -> Arc<Applied> {
        Arc::clone(&self.shared.applied.borrow())
    }

    /// To be woken at every change, for receipts and for whoever must act on it.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Arc<Applied>> {
        self.shared.applied.subscribe()
    }

    /// What cannot be read at the moment, and so keeps its last good value. Empty when all is well.
    #[must_use]
    pub fn failures(&self) -> watch::Receiver<Arc<[ReloadFailure]>> {
        self.shared.failures.subscribe()
    }

    /// Takes what all runtime overrides say now, and when the newest was set. Handing in the same again changes
    /// nothing, so it may be called at every poll. When the overrides cannot be read, do not call it: the last known
    /// ones stay in force.
    pub fn set_overrides(&self, values: SourceValues, changed_at: Option<DateTime<Utc>>) {
        self.shared.change(changed_at, |sources| sources.overrides = values);
    }
}

impl Shared {
    /// Takes what a look at the directory found.
    pub(crate) fn take_reading(&self, reading: Reading) {
        self.change(reading.changed_at, |sources| sources.files = reading.values);
        self.report(reading.failures);
    }

    /// Changes a source, and the switches in force if they come out different.
    fn change(&self, changed_at: Option<DateTime<Utc>>, change: impl FnOnce(&mut Sources)) {
        let mut sources = self.sources();
        change(&mut sources);
        let switches = sources.resolve();
        let before = self.applied.borrow().clone();
        if *before.switches == switches {
            return;
        }
        let switches = Arc::new(switches);
        let applied_at = self.clock.now();
        let applied = Applied {
            generation: before.generation + 1,
            fingerprint: switches.fingerprint(),
            // A source dated later than its effect has a wrong clock; no receipt claims the impossible.
            changed_at: changed_at.map(|at| at.min(applied_at)),
            applied_at,
            switches: Arc::clone(&switches),
        };
        tracing::info!(generation = applied.generation, fingerprint = applied.fingerprint, "switches changed");
        // Still under the lock, so that two changes cannot be applied in one order and shown in the other.
        self.current.store(switches);
        self.applied.send_replace(Arc::new(applied));
    }

    /// Logs failures when they begin and when they end, not at every look in between.
    fn report(&self, failures: Vec<ReloadFailure>) {
        let texts = |failures: &[ReloadFailure]| failures.iter().map(ToString::to_string).collect::<Vec<_>>();
        let (before, now) = (texts(&self.failures.borrow()), texts(&failures));
        for failure in failures.iter().filter(|failure| !before.contains(&failure.to_string())) {
            tracing::error!(error = failure as &dyn std::error::Error, "switches: the last good value stays in force");
        }
        if !before.is_empty() && now.is_empty() {
            tracing::info!("switches: all sources can be read again");
        }
        if before != now {
            self.failures.send_replace(failures.into());
        }
    }

    /// Never held across an await.
    fn sources(&self) -> MutexGuard<'_, Sources> {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sources {
    fn resolve(&self) -> Switches {
        resolve(&self.environment, &self.files, &self.overrides)
    }
}

/// As narrow as overrides can be.
fn unknown_overrides() -> SourceValues {
    SourceValues {
        external_api: Some(false),
        canary_only: Some(true),
        webhooks: Some(false),
        delivery: Some(false),
        ..SourceValues::default()
    }
}

#[cfg(test)]
mod tests;
