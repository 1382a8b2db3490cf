//! What every part of the worker shares.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use onering_clock::Clock;
use onering_delivery::{DatabaseTime, RetrySchedule};
use onering_flags::FlagsHandle;
use onering_queue::{Announcer, DeliveryStream};
use onering_store::Pool;
use onering_webhook_client::WebhookClient;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::database_clock::DatabaseClock;
use crate::metrics::WorkerMetrics;
use crate::settling::Settling;
use crate::subscription_cache::SubscriptionCache;

/// The worker's shared parts and settings.
pub struct Context {
    /// This worker's name, in attempt logs and statistics.
    pub instance: String,
    /// The worker's own clock.
    pub clock: Clock,
    /// The database's clock, which alone judges leases.
    pub database_clock: DatabaseClock,
    /// The switches.
    pub flags: FlagsHandle,
    /// Connections to Postgres.
    pub pool: Pool,
    /// The stream, for acknowledging.
    pub stream: DeliveryStream,
    /// Tells other processes of changes.
    pub announcer: Announcer,
    /// Subscriptions by id.
    pub subscriptions: SubscriptionCache,
    /// Sends requests.
    pub client: WebhookClient,
    /// When to try again.
    pub schedule: RetrySchedule,
    /// How long a lease lasts.
    pub lease: Duration,
    /// Attempts under way at once.
    pub max_in_flight: usize,
    /// Places for items in this worker's hands, from arrival to acknowledgement: the bound on its memory.
    pub places: Arc<Semaphore>,
    /// Items taken up and done with.
    pub tally: Tally,
    /// Where results go.
    pub settling: Settling,
    /// Wakes the sweep.
    pub wake_sweep: Notify,
    /// Counters and gauges.
    pub metrics: WorkerMetrics,
    /// Told to stop: takes nothing new.
    pub stop: CancellationToken,
    /// Out of time: gives up what cannot be written.
    pub abandon: CancellationToken,
}

impl fmt::Debug for Context {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Context").field("instance", &self.instance).finish_non_exhaustive()
    }
}

/// How many items this worker has taken up, and how many it is done with.
#[derive(Debug, Default)]
pub struct Tally {
    taken: AtomicU64,
    done: AtomicU64,
    /// The latest time an item was put off to, in microseconds.
    deferred_until: AtomicI64,
}

impl Tally {
    /// Counts an item in.
    pub fn take(&self) {
        self.taken.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts items out.
    pub fn finish(&self, count: usize) {
        self.done.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// Notes that an item was put off.
    pub fn defer(&self, until: DatabaseTime) {
        self.deferred_until.fetch_max(until.micros(), Ordering::Relaxed);
    }

    /// Whether what was put off is due by now.
    #[must_use]
    pub fn deferred_is_due(&self, now: DatabaseTime) -> bool {
        self.deferred_until.load(Ordering::Relaxed) <= now.micros()
    }

    /// Items in this worker's hands.
    #[must_use]
    pub fn held(&self) -> u64 {
        // Done first: an item counted in between makes the answer too large, never too small.
        let done = self.done.load(Ordering::Acquire);
        self.taken.load(Ordering::Acquire).saturating_sub(done)
    }
}
