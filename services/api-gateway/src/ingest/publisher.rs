//! [`Publisher`]: where handlers hand their events in.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::{DateTime, Utc};
use onering_ids::EventId;
use onering_problem::{Code, Problem};
use tokio::sync::oneshot;

use super::batch::Waiting;
use super::prepared_event::PreparedEvent;
use super::queue::Queue;

/// The most bytes of events that may wait in the process. Beyond it callers are told to come again.
const MOST_WAITING_BYTES: usize = 64 * 1024 * 1024;

/// What an accepted event is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Receipt {
    /// Its id: that of the first request when this was a repetition.
    pub(crate) event_id: EventId,
    /// How many deliveries it led to.
    pub(crate) queued: u32,
    /// When it was accepted.
    pub(crate) created_at: DateTime<Utc>,
    /// Whether its idempotency key had made it before.
    pub(crate) replayed: bool,
}

/// Why an event was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotAccepted {
    /// Its idempotency key was used for something else.
    #[error("the idempotency key was used for another event")]
    KeyMismatch,
    /// Postgres does not answer. Whether the event was written is not known; with an idempotency key it can be sent again.
    #[error("the event could not be written")]
    Unavailable,
    /// Postgres refuses this very event.
    #[error("the event was refused by the database")]
    Refused,
    /// Too much waits already.
    #[error("too many events wait to be written")]
    Overloaded,
}

impl From<NotAccepted> for Problem {
    fn from(why: NotAccepted) -> Self {
        match why {
            NotAccepted::KeyMismatch => Self::new(Code::IdempotencyMismatch).field("Idempotency-Key"),
            NotAccepted::Unavailable => Self::new(Code::DependencyUnavailable)
                .detail("The event could not be written at the moment.")
                .recovery("Send it again with the same Idempotency-Key: it is then accepted once.")
                .retry_after(1),
            NotAccepted::Refused => Self::new(Code::Internal),
            NotAccepted::Overloaded => Self::new(Code::Overloaded).retry_after(1),
        }
    }
}

/// Hands events to the committers. Clones share it.
#[derive(Clone)]
pub(crate) struct Publisher {
    queue: Arc<Queue>,
    waiting_bytes: Arc<AtomicUsize>,
}

/// An event on its way to be written.
pub(super) struct Submission {
    pub(super) event: PreparedEvent,
    pub(super) reply: oneshot::Sender<Result<Receipt, NotAccepted>>,
    /// Gives its bytes free when it is done with.
    _room: Room,
}

impl Waiting for Submission {
    fn event(&self) -> &PreparedEvent {
        &self.event
    }
}

/// A place for an event among those that wait.
struct Room {
    waiting_bytes: Arc<AtomicUsize>,
    bytes: usize,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.waiting_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Publisher {
    /// A publisher into this queue. The queue itself has no bound: the bytes in it have.
    pub(super) fn new(queue: Arc<Queue>) -> Self {
        Self { queue, waiting_bytes: Arc::default() }
    }

    /// Accepts one event; done when it is committed.
    ///
    /// # Errors
    /// [`NotAccepted`] says why it was not.
    pub(crate) async fn publish(&self, event: PreparedEvent) -> Result<Receipt, NotAccepted> {
        self.submit(event)?.await.unwrap_or(Err(NotAccepted::Unavailable))
    }

    /// Hands an event in without waiting for the commit.
    ///
    /// # Errors
    /// [`NotAccepted::Overloaded`].
    pub(crate) fn submit(
        &self,
        event: PreparedEvent,
    ) -> Result<oneshot::Receiver<Result<Receipt, NotAccepted>>, NotAccepted> {
        let bytes = event.weight();
        let room = Room { waiting_bytes: Arc::clone(&self.waiting_bytes), bytes };
        if self.waiting_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes > MOST_WAITING_BYTES {
            return Err(NotAccepted::Overloaded);
        }
        let (reply, answer) = oneshot::channel();
        let submission = Submission { event, reply, _room: room };
        self.queue.push(submission);
        Ok(answer)
    }
}
