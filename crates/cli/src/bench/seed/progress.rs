//! Telling how far it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use onering_clock::Clock;
use tokio_util::task::AbortOnDropHandle;

const EVERY: Duration = Duration::from_secs(5);

/// Counts deliveries.
pub(super) struct Progress {
    done: AtomicU64,
    all: u64,
}

impl Progress {
    /// Nothing is done yet.
    pub(super) const fn new(all: u64) -> Self {
        Self { done: AtomicU64::new(0), all }
    }

    /// One more.
    pub(super) fn count(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    /// Prints a line now and then, until what it answers is dropped.
    pub(super) fn keep_telling(self: &Arc<Self>) -> AbortOnDropHandle<()> {
        let (progress, clock) = (Arc::clone(self), Clock::system());
        let started = clock.monotonic();
        AbortOnDropHandle::new(tokio::spawn(async move {
            loop {
                tokio::time::sleep(EVERY).await;
                let elapsed = clock.monotonic().saturating_duration_since(started);
                eprintln!("{}", line(progress.done.load(Ordering::Relaxed), progress.all, elapsed));
            }
        }))
    }
}

fn line(done: u64, all: u64, elapsed: Duration) -> String {
    let percent = done as f64 * 100.0 / all.max(1) as f64;
    let rate = done as f64 / elapsed.as_secs_f64();
    format!("{done} of {all} deliveries ({percent:.0} %), {rate:.0}/s")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_and_how_fast() {
        assert_eq!(line(50, 200, Duration::from_secs(5)), "50 of 200 deliveries (25 %), 10/s");
    }
}
