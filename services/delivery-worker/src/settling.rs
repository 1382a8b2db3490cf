//! Settlement by group commit: results that arrive while one statement is in flight, and shortly after, share the next one.
//!
//! A result that cannot be written (Postgres is away) is kept and tried again; its entry stays unacknowledged meanwhile, so
//! whatever happens to this worker, somebody settles the delivery. Acknowledging comes after the commit, never before, and
//! after those of all deliveries of the entry.
//! How a batch is written, and what happens when one row of it is refused, is in [`crate::writing`].

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use onering_delivery::{DatabaseTime, Settlement};
use onering_ids::DeliveryId;
use onering_queue::EntryId;
use onering_service_kit::error_chain;
use onering_telemetry::field;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::entry_share::EntryShare;
use crate::work_item::Item;
use crate::writing::write;

/// Results written by one statement, at most.
const BATCH: usize = 1_000;
/// So many go at once; fewer wait for company until [`GATHERING`] after the last statement. What arrived has arrived: nobody waits for
/// this but the accounts, and a statement costs as much as dozens of results.
const ENOUGH: usize = 64;
/// How long after a statement the next small one begins at the soonest.
const GATHERING: Duration = Duration::from_millis(5);

/// An item this worker is done with.
#[derive(Debug)]
pub(crate) struct Finished {
    item: Item,
    /// None when nothing is to be written, only the entry acknowledged.
    settlement: Option<Settlement>,
}

impl Finished {
    /// This is to be written.
    #[must_use]
    pub(crate) const fn new(item: Item, settlement: Settlement) -> Self {
        Self { item, settlement: Some(settlement) }
    }

    /// Nothing was sent, and this is to be written. Of an entry that was taken over and not renewed nothing is: whoever had
    /// it may have sent it, and the result may only wait for Postgres. So it is left to its lease, and then to the sweep.
    #[must_use]
    pub(crate) fn unsent(item: Item, settlement: Settlement) -> Self {
        if item.is_own() { Self::new(item, settlement) } else { Self::left_to_its_lease(item) }
    }

    /// Nothing was sent, and somebody may send it from `due` on.
    #[must_use]
    pub(crate) fn put_off(item: Item, due: DatabaseTime) -> Self {
        let settlement = Settlement::defer(&item.work, due);
        Self::unsent(item, settlement)
    }

    /// Nothing was sent, and somebody may send it once its lease is over.
    #[must_use]
    pub(crate) const fn left_to_its_lease(item: Item) -> Self {
        Self { item, settlement: None }
    }

    /// The delivery whose row is to be written.
    fn delivery(&self) -> Option<DeliveryId> {
        self.settlement.as_ref().map(|settlement| settlement.delivery_id)
    }

    /// The delivery changed hands.
    #[must_use]
    pub(crate) const fn stale(item: Item) -> Self {
        Self { item, settlement: None }
    }
}

/// Where results go. Unbounded, but every item holds one of a fixed number of places until it is acknowledged.
#[derive(Debug, Clone)]
pub(crate) struct Settling {
    results: UnboundedSender<Finished>,
    behind: Arc<AtomicBool>,
}

impl Settling {
    /// A channel to the settling task to be.
    #[must_use]
    pub(crate) fn channel() -> (Self, UnboundedReceiver<Finished>) {
        let (results, receiver) = unbounded_channel();
        (Self { results, behind: Arc::default() }, receiver)
    }

    /// Hands in a result.
    pub(crate) fn submit(&self, finished: Finished) {
        if let Err(lost) = self.results.send(finished) {
            // Only after the settling task has ended: the lease runs out and the sweep finds the delivery.
            let delivery_id = lost.0.item.work.delivery_id;
            tracing::error!({ field::DELIVERY_ID } = %delivery_id, "a result came after settling had ended");
        }
    }

    /// Whether results wait because Postgres did not take them.
    #[must_use]
    pub(crate) fn is_behind(&self) -> bool {
        self.behind.load(Ordering::Acquire)
    }

    /// Notes that Postgres did not take results, or has taken all that waited.
    pub(crate) fn set_behind(&self, behind: bool) {
        self.behind.store(behind, Ordering::Release);
    }
}

/// Settles until told to end, and then what was handed in until then.
pub(crate) async fn run(context: Arc<Context>, mut results: UnboundedReceiver<Finished>, end: CancellationToken) {
    let mut received = Vec::with_capacity(BATCH);
    let mut next_small = context.clock.monotonic();
    loop {
        gather(&results, next_small, &end).await;
        tokio::select! {
            biased;
            count = results.recv_many(&mut received, BATCH) => {
                if count == 0 {
                    return;
                }
                for batch in statements(std::mem::take(&mut received), Finished::delivery) {
                    settle(&context, batch).await;
                }
                next_small = context.clock.monotonic() + GATHERING;
                if results.is_empty() {
                    context.settling.set_behind(false);
                }
            }
            // Only reached when nothing is waiting.
            () = end.cancelled() => return,
        }
    }
}

/// Waits until `next_small` unless there is enough for a statement now, or it is to end.
async fn gather<T>(results: &UnboundedReceiver<T>, next_small: Instant, end: &CancellationToken) {
    if results.len() < ENOUGH {
        end.run_until_cancelled(tokio::time::sleep_until(next_small.into())).await;
    }
}

/// Splits results so that no statement has two for one delivery: a stale one (an entry that came twice) must not stand in
/// for the one that counts.
pub(crate) fn statements<T>(results: Vec<T>, delivery: impl Fn(&T) -> Option<DeliveryId>) -> Vec<Vec<T>> {
    let (mut statements, mut rest) = (Vec::new(), results);
    while !rest.is_empty() {
        let mut seen = HashSet::with_capacity(rest.len());
        let (batch, repeated) = rest.into_iter().partition(|result| delivery(result).is_none_or(|id| seen.insert(id)));
        statements.push(batch);
        rest = repeated;
    }
    statements
}

async fn settle(context: &Context, finished: Vec<Finished>) {
    let settlements: Vec<&Settlement> = finished.iter().filter_map(|finished| finished.settlement.as_ref()).collect();
    let unwritten = write(context, &settlements).await;
    if !unwritten.is_empty() {
        // Unwritten and unacknowledged: the delivery is taken up again after its lease.
        tracing::error!({ field::COUNT } = unwritten.len(), "results could not be written");
    }
    acknowledge(context, &finished, &unwritten).await;
}

/// Acknowledges the entries whose last deliveries are in a settled batch. When Redis is away they are delivered again, and lose at their renewal.
async fn acknowledge(context: &Context, finished: &[Finished], unwritten: &HashSet<DeliveryId>) {
    let is_done = |finished: &&Finished| finished.delivery().is_none_or(|delivery| !unwritten.contains(&delivery));
    let shares = finished.iter().filter(is_done).filter_map(|finished| finished.item.entry());
    let entries: Vec<EntryId> = shares.filter_map(EntryShare::finish).collect();
    if let Err(error) = context.stream.ack(&entries).await {
        tracing::debug!({ field::ERROR } = error_chain(&error), "entries could not be acknowledged");
    }
}

#[cfg(test)]
mod tests {
    use onering_clock::Clock;

    use std::pin::pin;

    use super::*;

    #[tokio::test]
    async fn a_few_results_wait_for_company_unless_they_are_the_last() {
        let (send, results) = unbounded_channel();
        let (now, end) = (Clock::system().monotonic(), CancellationToken::new());
        let later = now + Duration::from_secs(3_600);
        gather(&results, now, &end).await;
        (1..ENOUGH).for_each(|_| send.send(()).unwrap());
        assert!(futures_util::poll!(pin!(gather(&results, later, &end))).is_pending());
        gather(&results, now, &end).await;
        send.send(()).unwrap();
        assert!(futures_util::poll!(pin!(gather(&results, later, &end))).is_ready(), "there is enough");

        let (_send, none) = unbounded_channel::<()>();
        end.cancel();
        assert!(futures_util::poll!(pin!(gather(&none, later, &end))).is_ready(), "nothing comes any more");
    }

    #[test]
    fn no_statement_has_two_results_for_one_delivery() {
        let clock = Clock::system();
        let (one, two) = (clock.fresh_id::<DeliveryId>(), clock.fresh_id::<DeliveryId>());
        let results = vec![(0, Some(one)), (1, None), (2, Some(one)), (3, Some(two)), (4, None), (5, Some(one))];
        let statements = statements(results, |(_, delivery)| *delivery);
        let numbers: Vec<Vec<i32>> =
            statements.into_iter().map(|batch| batch.into_iter().map(|(number, _)| number).collect()).collect();
        assert_eq!(numbers, [vec![0, 1, 3, 4], vec![2], vec![5]]);
    }
}
