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
