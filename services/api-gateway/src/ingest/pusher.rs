//! [`Pusher`]: brings committed deliveries to the stream, one push under way at a time for the whole process. When the
//! stream is long, [`Fairness`] says whose.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use onering_delivery::{DatabaseTime, Lease, Work};
use onering_ids::SubscriptionId;
use onering_queue::{DeliveryStream, QueueError, StreamEntry};
use onering_service_kit::{Tasks, error_chain};
use onering_store::leases::{Renewal, renew};
use onering_store::{Pool, StoreError};
use onering_telemetry::field;
use onering_telemetry::metrics::Counter;
use tokio::sync::{Mutex, mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::fairness::Fairness;

/// The most deliveries that may wait for the next push; what is more is left to the sweep.
const WAITING: usize = 16_384;
/// The most deliveries of one push.
const MOST_AT_ONCE: usize = 1_024;

/// How often a long stream is looked at when nothing is pushed: whoever has had its share waits for that.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What is counted of pushes.
#[derive(Debug, Clone)]
pub(crate) struct PusherMetrics {
    /// Deliveries that went into the stream.
    pub(crate) pushed: Counter,
    /// Deliveries that did not and wait for the sweep.
    pub(crate) left_to_sweep: Counter,
}

/// Hands deliveries to the pushing task. Clones share it; the task ends, its work done, when the last is gone.
#[derive(Clone)]
pub(crate) struct Pusher {
    entries: mpsc::Sender<StreamEntry>,
    surplus: watch::Receiver<Arc<[SubscriptionId]>>,
    metrics: PusherMetrics,
}

impl Pusher {
    /// Starts the task on the calling runtime, which is the one the stream's connection lives on. Told to stop, it pushes
    /// what waits and ends.
    pub(crate) fn start(stream: DeliveryStream, pool: Pool, tasks: &Tasks, metrics: PusherMetrics) -> Self {
        let (entries, waiting) = mpsc::channel(WAITING);
        let (tell_surplus, surplus) = watch::channel(Arc::default());
        let pushing =
            Pushing { waiting: waiting.into(), surplus: tell_surplus, stream, pool, metrics: metrics.clone() };
        let pushing = Arc::new(pushing);
        tasks.spawn("stream_pushes", move |stop| {
            let pushing = Arc::clone(&pushing);
            async move { pushing.run(&stop).await }
        });
        Self { entries, surplus, metrics }
    }

    /// Subscriptions whose deliveries would not go into the stream now. Committed without a lease they are due at once, and the
    /// sweep takes them as it has room; with one they would wait for its end first.
    pub(super) fn surplus(&self) -> Arc<[SubscriptionId]> {
        Arc::clone(&self.surplus.borrow())
    }

    /// Counts deliveries that were committed without a lease.
    pub(super) fn leave(&self, deliveries: u32) {
        self.metrics.left_to_sweep.add(deliveries.into());
    }

    /// Takes one delivery over, never waiting.
    pub(super) fn push(&self, work: &Work, body: &Bytes) {
        if self.entries.try_send(StreamEntry::new(work, body)).is_err() {
            self.metrics.left_to_sweep.inc();
        }
    }
}

/// The task behind a pusher.
struct Pushing {
    /// Locked by the one run of the task that there is at a time.
    waiting: Mutex<mpsc::Receiver<StreamEntry>>,
    surplus: watch::Sender<Arc<[SubscriptionId]>>,
    stream: DeliveryStream,
    pool: Pool,
    metrics: PusherMetrics,
}

impl Pushing {
    async fn run(&self, stop: &CancellationToken) {
        let mut waiting = self.waiting.lock().await;
        let mut fairness = Fairness::default();
        let mut entries = Vec::new();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                received = waiting.recv_many(&mut entries, MOST_AT_ONCE) => {
                    if received == 0 {
                        break;
                    }
                    self.push(&mut entries, &mut fairness).await;
                }
                () = tokio::time::sleep(LOOK_EVERY), if fairness.is_long() => self.look(&mut fairness).await,
            }
            self.tell_surplus(&fairness);
        }
        // The HTTP workers are gone: what is here now is all.
        while let Ok(entry) = waiting.try_recv() {
            entries.push(entry);
        }
        self.push(&mut entries, &mut fairness).await;
    }

    /// Learns how long the stream is. When Redis does not say, it stays as long as it was: what is left out is the sweep's.
    async fn look(&self, fairness: &mut Fairness) {
        if let Ok(waiting) = self.stream.waiting().await {
            fairness.heard(waiting);
        }
    }

    fn tell_surplus(&self, fairness: &Fairness) {
        let surplus = fairness.surplus();
        self.surplus.send_if_modified(|told| {
            let is_news = **told != *surplus;
            if is_news {
                *told = surplus.into();
            }
            is_news
        });
    }

    async fn push(&self, entries: &mut Vec<StreamEntry>, fairness: &mut Fairness) {
        let offered = entries.len();
        let pushed = match self.push_shares(entries, fairness).await {
            Ok(pushed) => pushed,
            Err(error) => {
                tracing::warn!({ field::ERROR } = error_chain(&error), "deliveries are left to the sweep");
                0
            }
        };
        self.metrics.pushed.add(pushed as u64);
        self.metrics.left_to_sweep.add((offered - pushed) as u64);
        entries.clear();
    }

    /// Pushes what is not surplus, and answers how much that was.
    async fn push_shares(&self, entries: &mut Vec<StreamEntry>, fairness: &mut Fairness) -> Result<usize, QueueError> {
        if fairness.is_long() {
            fairness.heard(self.stream.waiting().await?);
        }
        let surplus = entries.extract_if(.., |entry| !fairness.admits(entry.webhook_id)).collect::<Vec<_>>();
        let report = self.stream.push(entries).await?;
        fairness.heard(report.waiting);
        let turned_away: Vec<&StreamEntry> =
            surplus.iter().chain(entries.get(report.pushed..).unwrap_or_default()).collect();
        if let Err(error) = self.give_back(&turned_away).await {
            tracing::warn!({ field::ERROR } = error_chain(&error), "deliveries wait for the end of their leases");
        }
        Ok(report.pushed)
    }

    /// Ends the leases of what was committed before it was known to be surplus: it is due at once.
    async fn give_back(&self, turned_away: &[&StreamEntry]) -> Result<(), StoreError> {
        if turned_away.is_empty() {
            return Ok(());
        }
        let ended = |entry: &&StreamEntry| Renewal {
            delivery_id: entry.delivery_id,
            lease: Lease {
                attempts_made: u16::try_from(entry.attempt_count).unwrap_or(u16::MAX),
                until: DatabaseTime::from_utc(entry.queued_until),
            },
            length: Duration::ZERO,
        };
        let ended: Vec<Renewal> = turned_away.iter().map(ended).collect();
        renew(&mut *self.pool.get().await?, &ended, None).await.map(drop)
    }
}
