//! [`Queue`]: what waits between the handlers of an HTTP worker and its committers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::batch::{ClaimedKey, WaitingEvents};
use super::publisher::Submission;

/// Submissions that wait, and the idempotency keys of those under way.
pub(super) struct Queue {
    state: Mutex<State>,
    /// Told when there may be something to do.
    changed: Notify,
}

struct State {
    waiting: WaitingEvents<Submission>,
    /// Nothing will come any more.
    is_closed: bool,
}

/// What one commit is to write.
pub(super) struct Taken {
    pub(super) batch: Vec<Submission>,
    /// Dropped when the commit is over, however it ended.
    pub(super) under_way: UnderWay,
}

/// The idempotency keys of a commit under way: who comes with one of them waits for it, and finds it written.
pub(super) struct UnderWay {
    queue: Arc<Queue>,
    keys: Vec<ClaimedKey>,
}

impl Queue {
    pub(super) fn new() -> Self {
        let state = State { waiting: WaitingEvents::new(), is_closed: false };
        Self { state: Mutex::new(state), changed: Notify::new() }
    }

    pub(super) fn push(&self, submission: Submission) {
        self.state().waiting.push(submission);
        self.changed.notify_one();
    }

    /// Ends the committers once all that waits is written.
    pub(super) fn close(&self) {
        self.state().is_closed = true;
        self.changed.notify_waiters();
    }

    /// What goes into the next commit, as soon as there is something; `None` when nothing will come any more.
    pub(super) async fn next(self: &Arc<Self>) -> Option<Taken> {
        loop {
            // Listened to before looking: what comes in between is heard.
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            {
                let mut state = self.state();
                let batch = state.waiting.next_batch();
                if !batch.is_empty() {
                    let keys = batch.iter().filter_map(|submission| submission.event.claimed_key()).collect();
                    return Some(Taken { batch, under_way: UnderWay { queue: Arc::clone(self), keys } });
                }
                if state.is_closed && state.waiting.is_empty() {
                    return None;
                }
            }
            changed.await;
        }
    }

    /// Never held across an await, and nothing panics while it is.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if self.keys.is_empty() {
            return;
        }
        self.queue.state().waiting.committed(&self.keys);
        self.queue.changed.notify_one();
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
        drop(publisher.submit(PreparedEvent::sample(1, number, 1, key)).unwrap());
    }

    fn numbers(taken: &Taken) -> Vec<u64> {
        taken.batch.iter().map(|submission| submission.event.event_id.unix_ms()).collect()
    }

    async fn next(queue: &Arc<Queue>) -> Option<Taken> {
        tokio::time::timeout(Duration::from_secs(20), queue.next()).await.expect("somebody wakes it")
    }

    /// A committer that waits for a key is woken by whatever ends the commit that has it.
    #[tokio::test]
    async fn who_waits_for_a_key_gets_it_when_the_commit_is_over() {
        let (queue, publisher) = queue();
        submit(&publisher, 1, Some(7));
        let first = next(&queue).await.unwrap();
        submit(&publisher, 2, Some(7));
        let other = tokio::spawn({
            let queue = Arc::clone(&queue);
            async move { numbers(&next(&queue).await.unwrap()) }
        });
        let mut panicking = tokio::spawn(async move {
            let _under_way = first.under_way;
            // Both others have had their chance to go wrong.
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            panic!("the commit fails");
        });
        assert!((&mut panicking).await.unwrap_err().is_panic());
        assert_eq!(other.await.unwrap(), [2]);
    }

    #[tokio::test]
    async fn committers_end_with_the_last_publisher_and_not_before_all_is_written() {
        let (queue, publisher) = queue();
        submit(&publisher, 1, Some(7));
        submit(&publisher, 2, Some(7));
        let first = next(&queue).await.unwrap();
        let ends = || {
            let queue = Arc::clone(&queue);
            tokio::spawn(async move {
                let mut written = Vec::new();
                while let Some(taken) = next(&queue).await {
                    written.extend(numbers(&taken));
                }
                written
            })
        };
        let (one, two) = (ends(), ends());
        tokio::task::yield_now().await;
        drop(publisher.clone());
        drop(publisher);
        tokio::task::yield_now().await;
        assert!(!one.is_finished() && !two.is_finished(), "the second still waits for its key");
        drop(first);
        assert_eq!([one.await.unwrap(), two.await.unwrap()].concat(), [2]);
    }
}
