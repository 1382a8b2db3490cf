//! One delivery on its way through the worker.

use std::sync::Arc;

use bytes::Bytes;
use onering_delivery::{DatabaseTime, Lease, Work};
use onering_queue::{EntryId, StreamEntry};
use tokio::sync::OwnedSemaphorePermit;

use crate::context::Context;
use crate::subscription_cache::Target;

/// A delivery taken from the stream or leased by the sweep.
#[derive(Debug)]
pub struct Item {
    /// What to attempt, and the right to.
    pub work: Work,
    /// The bytes to POST.
    pub body: Bytes,
    /// The stream entry to acknowledge; none when the sweep leased the row for this worker directly.
    pub entry: Option<EntryId>,
    /// The item's place among those this worker holds: given back when it is settled and acknowledged.
    _place: Place,
}

/// One of the worker's places, counted in and out.
#[derive(Debug)]
struct Place {
    _permit: OwnedSemaphorePermit,
    context: Arc<Context>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.context.tally.finish(1);
    }
}

impl Item {
    /// An item in one of the worker's places.
    #[must_use]
    pub fn new(
        context: &Arc<Context>,
        work: Work,
        body: Bytes,
        entry: Option<EntryId>,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        context.tally.take();
        Self { work, body, entry, _place: Place { _permit: permit, context: Arc::clone(context) } }
    }
}

/// An item whose subscription is known.
#[derive(Debug)]
pub struct Ready {
    /// The delivery.
    pub item: Item,
    /// Where it goes.
    pub target: Arc<Target>,
}

/// The domain's view of a stream entry.
#[must_use]
pub fn work_of(entry: &StreamEntry) -> Work {
    Work {
        delivery_id: entry.delivery_id,
        event_id: entry.event_id,
        webhook_id: entry.webhook_id,
        lease: Lease {
            attempts_made: u16::try_from(entry.attempt_count).unwrap_or(u16::MAX),
            until: DatabaseTime::from_utc(entry.queued_until),
        },
        event_type: entry.event_type.as_str().into(),
        created_at: DatabaseTime::from_utc(entry.created_at),
    }
}
