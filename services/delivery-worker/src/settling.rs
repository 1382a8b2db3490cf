//! Settlement by group commit: results that arrive while one statement is in flight share the next one.
//!
//! A result that cannot be written (Postgres is away) is kept and tried again; its entry stays unacknowledged meanwhile, so
//! whatever happens to this worker, somebody settles the delivery. Acknowledging comes after the commit, never before.

use std::sync::Arc;
use std::time::Duration;

use onering_service_kit::error_chain;
use onering_delivery::{DatabaseTime, Settlement};
use onering_queue::{Announcement, EntryId};
use onering_store::{StoreError, settlement};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::work_item::Item;

/// Results written by one statement, at most.
const BATCH: usize = 1_000;
/// Pause before a batch that could not be written is tried again, doubling up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// An item this worker is done with.
#[derive(Debug)]
pub struct Finished {
    item: Item,
    /// None when the delivery is somebody else's by now: nothing is to be written, only the entry acknowledged.
    settlement: Option<Settlement>,
}

impl Finished {
    /// An attempt was made.
    #[must_use]
    pub fn attempted(item: Item, settlement: Settlement) -> Self {
        Self { item, settlement: Some(settlement) }
    }

    /// Nothing was sent, and this is to be written instead.
    #[must_use]
    pub fn unsent(item: Item, settlement: Settlement) -> Self {
        Self { item, settlement: Some(settlement) }
    }

    /// Nothing was sent, and somebody may send it from `due` on.
    #[must_use]
    pub fn unsent_at(item: Item, due: DatabaseTime) -> Self {
        let settlement = Settlement::defer(&item.work, due);
        Self { item, settlement: Some(settlement) }
    }

    /// The delivery changed hands.
    #[must_use]
    pub fn stale(item: Item) -> Self {
        Self { item, settlement: None }
    }
}

/// Where results go. Unbounded, but every item holds one of a fixed number of places until it is acknowledged.
#[derive(Debug, Clone)]
pub struct Settling(UnboundedSender<Finished>);

impl Settling {
    /// A channel to the settling task to be.
    #[must_use]
    pub fn channel() -> (Self, UnboundedReceiver<Finished>) {
        let (sender, receiver) = unbounded_channel();
        (Self(sender), receiver)
    }

    /// Hands in a result.
    pub fn submit(&self, finished: Finished) {
        if let Err(lost) = self.0.send(finished) {
            // Only after the settling task has ended: the lease runs out and the sweep finds the delivery.
            tracing::error!(delivery_id = %lost.0.item.work.delivery_id, "a result came after settling had ended");
        }
    }
}

/// Settles until told to end, and then what was handed in until then.
pub async fn run(context: Arc<Context>, mut results: UnboundedReceiver<Finished>, end: CancellationToken) {
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        tokio::select! {
            biased;
            received = results.recv_many(&mut batch, BATCH) => {
                if received == 0 {
                    return;
                }
                settle(&context, std::mem::take(&mut batch)).await;
            }
            // Only reached when nothing is waiting.
            () = end.cancelled() => return,
        }
    }
}

async fn settle(context: &Context, finished: Vec<Finished>) {
    let settlements: Vec<Settlement> = finished.iter().filter_map(|finished| finished.settlement.clone()).collect();
    if !settlements.is_empty() && !write(context, &settlements).await {
        // Stopping without Postgres: unwritten and unacknowledged, so another worker takes over after the lease.
        tracing::error!(results = settlements.len(), "results could not be written before the worker had to stop");
        return;
    }
    acknowledge(context, &finished).await;
}

/// Writes a batch, trying until it works; false when the worker must end first.
async fn write(context: &Context, settlements: &[Settlement]) -> bool {
    let mut pause = FIRST_PAUSE;
    loop {
        match try_write(context, settlements).await {
            Ok(settled) => {
                context.metrics.settled(settlements, &settled);
                announce_disabled(context, &settled).await;
                return true;
            }
            Err(error) => {
                context.metrics.settlement_failures.inc();
                tracing::warn!(error = %error_chain(&error), results = settlements.len(), "settling failed; trying again");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(LONGEST_PAUSE),
            () = context.abandon.cancelled() => return false,
        }
    }
}

async fn try_write(context: &Context, settlements: &[Settlement]) -> Result<settlement::Settled, StoreError> {
    let mut connection = context.pool.get().await?;
    settlement::settle(&mut connection, &context.instance, settlements).await
}

/// Tells the others of subscriptions that were disabled because their receiver is gone.
async fn announce_disabled(context: &Context, settled: &settlement::Settled) {
    for webhook_id in &settled.disabled {
        context.subscriptions.forget(*webhook_id);
        tracing::warn!(%webhook_id, "the receiver answered 410: the subscription is disabled");
        if let Err(error) = context.announcer.announce(&Announcement::Subscription(*webhook_id)).await {
            tracing::warn!(error = %error_chain(&error), "the change could not be announced; caches expire by themselves");
        }
    }
}

/// Acknowledges the entries of a settled batch. When Redis is away they are delivered again, and lose at the fence.
async fn acknowledge(context: &Context, finished: &[Finished]) {
    let entries: Vec<EntryId> = finished.iter().filter_map(|finished| finished.item.entry).collect();
    if !entries.is_empty()
        && let Err(error) = context.stream.ack(&entries).await
    {
        tracing::warn!(error = %error_chain(&error), entries = entries.len(), "entries could not be acknowledged");
    }
}
