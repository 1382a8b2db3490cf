//! [`Bookkeeper`]: writes down what all workers counted.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use onering_clock::Clock;
use onering_service_kit::error_chain;
use onering_store::{Pool, StoreError, statistics, usage};
use onering_telemetry::field;
use onering_telemetry::metrics::Counter;
use tokio_util::sync::CancellationToken;

use super::counts::Counts;
use super::tally::Tally;

/// How often counts are written down.
const EVERY: Duration = Duration::from_secs(1);

/// Gathers the tallies of all workers and writes their sums. Clones share the tallies.
#[derive(Clone)]
pub(crate) struct Bookkeeper {
    tallies: Arc<Mutex<Vec<Tally>>>,
    pool: Pool,
    clock: Clock,
    /// Under whose name the rows stand.
    process: Arc<str>,
    failures: Counter,
}

impl Bookkeeper {
    /// A bookkeeper that writes as `process`.
    pub(crate) fn new(pool: Pool, clock: Clock, process: &str, failures: Counter) -> Self {
        Self { tallies: Arc::default(), pool, clock, process: Arc::from(process), failures }
    }

    /// A tally for one more worker.
    pub(crate) fn new_tally(&self) -> Tally {
        let tally = Tally::default();
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner).push(tally.clone());
        tally
    }

    /// Writes once a second until `stop`, and once more then.
    pub(crate) async fn keep_books(self, stop: CancellationToken) {
        let mut unwritten = Counts::default();
        loop {
            let stopping = tokio::time::timeout(EVERY, stop.cancelled()).await.is_ok();
            for tally in self.tallies.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                unwritten.add(tally.take());
            }
            if let Err(error) = self.write(&mut unwritten).await {
                self.failures.inc();
                tracing::warn!({ field::ERROR } = error_chain(&error), "statistics are not written yet");
                unwritten.forget_before(self.clock.now());
            }
            if stopping {
                return;
            }
        }
    }

    /// What could not be written stays in `unwritten`.
    async fn write(&self, unwritten: &mut Counts) -> Result<(), StoreError> {
        if !unwritten.has_answers() && !unwritten.has_usage() {
            return Ok(());
        }
        let mut connection = self.pool.get().await?;
        if unwritten.has_answers() {
            let (answers, latencies) = (unwritten.answer_rows(), unwritten.latency_rows());
            statistics::record(&mut connection, &self.process, &answers, &latencies).await?;
            unwritten.answers_are_written();
        }
        if unwritten.has_usage() {
            usage::add(&mut connection, &unwritten.usage_rows()).await?;
            unwritten.usage_is_written();
        }
        Ok(())
    }
}
