//! Work that is done again and again.

use std::error::Error;
use std::future::Future;
use std::time::Duration;

use onering_telemetry::field;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::error::error_chain;

/// Does `work` at once and then every `every`, until `stop`. Work that takes longer delays the next round; work in hand
/// when `stop` comes is finished.
///
/// A failure ends nothing. It is logged when failing begins and when it ends, not every time in between.
pub async fn periodic<W, Worked, E>(name: &str, every: Duration, stop: CancellationToken, mut work: W)
where
    W: FnMut() -> Worked + Send,
    Worked: Future<Output = Result<(), E>> + Send,
    E: Error + 'static,
{
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut log = FailureLog::new(name);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        log.note(&work().await);
    }
}

/// Tells the log when something begins to fail and when it works again, not every time in between: an outage of minutes
/// is two lines, not hundreds.
#[derive(Debug)]
pub struct FailureLog<'a> {
    name: &'a str,
    failures: u64,
}

impl<'a> FailureLog<'a> {
    /// Work of this name, which does not fail so far.
    #[must_use]
    pub const fn new(name: &'a str) -> Self {
        Self { name, failures: 0 }
    }

    /// Notes how it went.
    pub fn note<T, E: Error + 'static>(&mut self, outcome: &Result<T, E>) {
        match outcome {
            Ok(_) => self.worked(),
            Err(error) => self.failed(error),
        }
    }

    /// Notes a success.
    pub fn worked(&mut self) {
        if self.failures > 0 {
            tracing::info!(task = self.name, { field::COUNT } = self.failures, "works again after failures");
            self.failures = 0;
        }
    }

    /// Notes a failure.
    pub fn failed(&mut self, error: &(dyn Error + 'static)) {
        if self.failures == 0 {
            tracing::warn!(task = self.name, { field::ERROR } = error_chain(error), "failed; goes on trying");
        }
        self.failures += 1;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn it_goes_on_after_failures_and_ends_when_told() {
        let (stop, rounds) = (CancellationToken::new(), Arc::new(AtomicU32::new(0)));
        let (told, counted) = (stop.clone(), Arc::clone(&rounds));
        periodic("test", Duration::from_millis(1), stop, move || {
            let (told, counted) = (told.clone(), Arc::clone(&counted));
            async move {
                match counted.fetch_add(1, Ordering::Relaxed) {
                    0 | 1 => Err(std::io::Error::other("on purpose")),
                    2 => Ok(()),
                    _ => {
                        told.cancel();
                        Ok(())
                    }
                }
            }
        })
        .await;
        assert_eq!(rounds.load(Ordering::Relaxed), 4);
    }

    #[tokio::test]
    async fn told_to_stop_before_it_began_it_does_nothing() {
        let stop = CancellationToken::new();
        stop.cancel();
        let work = || async { panic!("not to be done") as Result<(), std::io::Error> };
        periodic("test", Duration::from_secs(60), stop, work).await;
    }
}
