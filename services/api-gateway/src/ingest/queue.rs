//! [`Queue`]: what waits between the handlers and the committers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::batch::{ClaimedKey, Waiting, WaitingEvents};
use super::publisher::Submission;

/// A commit of so many events or bytes is large: what comes meanwhile does not wait for it. Smaller ones go one after the
/// other, because a commit costs as much as many events do, and the longer the next one waits the more share it.
const LARGE_EVENTS: usize = 128;
const LARGE_BYTES: usize = 256 * 1024;

/// Submissions that wait, and the idempotency keys of those under way.
pub(super) struct Queue {
    state: Mutex<State>,
    /// Told when there may be something to do for a committer that waits.
    changed: Notify,
}

struct State {
    waiting: WaitingEvents<Submission>,
    /// Commits under way that are not large.
    small_under_way: usize,
}

/// What one commit is to write.
pub(super) struct Taken {
    pub(super) batch: Vec<Submission>,
    /// Given back when the commit is over; or dropped, however it ended.
    pub(super) under_way: UnderWay,
}

/// A commit under way.
pub(super) struct UnderWay {
    queue: Arc<Queue>,
    /// Its idempotency keys: who comes with one of them waits for it, and finds it written.
    keys: Vec<ClaimedKey>,
    is_small: bool,
    is_over: bool,
}

impl Queue {
    pub(super) fn new() -> Self {
        let state = State { waiting: WaitingEvents::new(), small_under_way: 0 };
        Self { state: Mutex::new(state), changed: Notify::new() }
    }

    pub(super) fn push(&self, submission: Submission) {
        let mut state = self.state();
        state.waiting.push(submission);
        self.wake_another(&state);
    }

    /// What goes into the next commit, as soon as there is something and no small commit is under way; `None` when it is to
    /// stop: what waits then waits for a commit under way, and is its committer's next. `over` is the caller's last commit.
    pub(super) async fn next(self: &Arc<Self>, over: Option<UnderWay>, stop: &CancellationToken) -> Option<Taken> {
        let mut over = over;
        loop {
            // Listened to before looking: what comes in between is heard.
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            {
                let mut state = self.state();
                if let Some(mut over) = over.take() {
                    over.end(&mut state);
                }
                if let Some(taken) = self.take(&mut state) {
                    self.wake_another(&state);
                    return Some(taken);
                }
            }
            if stop.is_cancelled() {
                return None;
            }
            stop.run_until_cancelled(changed).await;
        }
    }

    fn take(self: &Arc<Self>, state: &mut State) -> Option<Taken> {
        if state.small_under_way > 0 {
            return None;
        }
        let batch = state.waiting.next_batch();
        if batch.is_empty() {
            return None;
        }
        let bytes: usize = batch.iter().map(|submission| submission.event().weight()).sum();
        let is_small = batch.len() < LARGE_EVENTS && bytes < LARGE_BYTES;
        state.small_under_way += usize::from(is_small);
        let keys = batch.iter().filter_map(|submission| submission.event.claimed_key()).collect();
        Some(Taken { batch, under_way: UnderWay { queue: Arc::clone(self), keys, is_small, is_over: false } })
    }

    /// Whoever ends a commit looks for the next one itself, so nobody is woken in vain while a small one is under way.
    fn wake_another(&self, state: &State) {
        if state.small_under_way == 0 && state.waiting.has_next() {
            // The last one that worked has its connection's plans and tables at hand.
            self.changed.notify_last();
        }
    }

    /// Never held across an await, and nothing panics while it is.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl UnderWay {
    fn end(&mut self, state: &mut State) {
        self.is_over = true;
        state.small_under_way -= usize::from(self.is_small);
        state.waiting.committed(&self.keys);
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        let queue = Arc::clone(&self.queue);
        let mut state = queue.state();
        self.end(&mut state);
        queue.wake_another(&state);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ingest::prepared_event::PreparedEvent;
    use crate::ingest::publisher::Publisher;

    fn queue() -> (Arc<Queue>, Publisher) {
        let queue = Arc::new(Queue::new());
        (Arc::clone(&queue), Publisher::new(queue))
    }

    fn submit(publisher: &Publisher, number: u64, key: Option<u8>) {
        submit_large(publisher, number, 1, key);
    }

    fn submit_large(publisher: &Publisher, number: u64, bytes: usize, key: Option<u8>) {
        drop(publisher.submit(PreparedEvent::sample(1, number, bytes, key)).unwrap());
    }

    fn numbers(taken: &Taken) -> Vec<u64> {
        taken.batch.iter().map(|submission| submission.event.event_id.unix_ms()).collect()
    }

    async fn next(queue: &Arc<Queue>, over: Option<UnderWay>, stop: &CancellationToken) -> Option<Taken> {
        tokio::time::timeout(Duration::from_secs(20), queue.next(over, stop)).await.expect("somebody wakes it")
    }

    /// A committer beside, and what it takes next.
    fn beside(queue: &Arc<Queue>) -> tokio::task::JoinHandle<Vec<u64>> {
        let queue = Arc::clone(queue);
        tokio::spawn(async move { numbers(&next(&queue, None, &CancellationToken::new()).await.unwrap()) })
    }

    async fn let_others_run() {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn what_comes_during_a_small_commit_shares_the_next() {
        let (queue, publisher) = queue();
        let stop = CancellationToken::new();
        submit(&publisher, 1, None);
        let first = next(&queue, None, &stop).await.unwrap();
        let other = beside(&queue);
        submit(&publisher, 2, None);
        submit(&publisher, 3, None);
        let_others_run().await;
        assert!(!other.is_finished(), "it leaves them to the commit under way");
        assert_eq!(numbers(&next(&queue, Some(first.under_way), &stop).await.unwrap()), [2, 3]);
        other.abort();
    }

    #[tokio::test]
    async fn nobody_waits_for_a_large_commit() {
        for (events, bytes) in [(1, LARGE_BYTES), (LARGE_EVENTS as u64, 1)] {
            let (queue, publisher) = queue();
            (0..events).for_each(|number| submit_large(&publisher, number, bytes, None));
            let _large = next(&queue, None, &CancellationToken::new()).await.unwrap();
            let other = beside(&queue);
            submit(&publisher, 999, None);
            assert_eq!(other.await.unwrap(), [999]);
        }
    }

    /// A committer that waits is woken by whatever ends the commit it waits for.
    #[tokio::test]
    async fn who_waits_for_a_commit_goes_on_when_it_is_over() {
        for key in [None, Some(7)] {
            let (queue, publisher) = queue();
            submit(&publisher, 1, key);
            let first = next(&queue, None, &CancellationToken::new()).await.unwrap();
            submit(&publisher, 2, key);
            let other = beside(&queue);
            let mut panicking = tokio::spawn(async move {
                let _under_way = first.under_way;
                let_others_run().await;
                panic!("the commit fails");
            });
            assert!((&mut panicking).await.unwrap_err().is_panic());
            assert_eq!(other.await.unwrap(), [2]);
        }
    }

    #[tokio::test]
    async fn told_to_stop_committers_write_what_waits_and_end() {
        let (queue, publisher) = queue();
        let stop = CancellationToken::new();
        submit(&publisher, 1, Some(7));
        submit(&publisher, 2, Some(7));
        let first = next(&queue, None, &stop).await.unwrap();
        let other = tokio::spawn({
            let (queue, stop) = (Arc::clone(&queue), stop.clone());
            async move { next(&queue, None, &stop).await.is_none() }
        });
        let_others_run().await;
        stop.cancel();
        assert!(other.await.unwrap(), "it leaves the second to the committer of the first");
        let second = next(&queue, Some(first.under_way), &stop).await.unwrap();
        assert_eq!(numbers(&second), [2]);
        assert!(next(&queue, Some(second.under_way), &stop).await.is_none());
    }
}
