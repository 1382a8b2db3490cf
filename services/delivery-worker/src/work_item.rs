//! One delivery on its way through the worker.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use onering_delivery::{DatabaseTime, Lease, Work};
use onering_queue::StreamEntry;

use crate::context::Context;
use crate::entry_share::EntryShare;
use crate::lanes::Freed;
use crate::places::Place;
use crate::planted::Bug;
use crate::subscription_cache::Target;

/// What only an operator can mend (a row that is not understood, a secret that cannot be opened) is looked at again
/// after this long.
pub(crate) const OPERATOR_PAUSE: Duration = Duration::from_secs(30);

/// A delivery taken from the stream or leased by the sweep.
#[derive(Debug)]
pub(crate) struct Item {
    /// What to attempt, and the right to.
    pub(crate) work: Work,
    /// The bytes to POST.
    pub(crate) body: Bytes,
    /// Where it came from.
    pub(crate) source: Source,
    /// The item's place among those this worker holds: given back when it is settled and acknowledged.
    place: CountedPlace,
}

/// Where an item came from.
#[derive(Debug)]
pub(crate) enum Source {
    /// The sweep leased the row for this worker.
    Sweep,
    /// A new entry of the stream, to be acknowledged.
    Stream(EntryShare),
    /// An entry that another worker took and did not acknowledge. Its lease proves nothing: that worker may have renewed
    /// it, or sent under it.
    TakenOver(EntryShare),
}

/// One of the worker's places, counted in and out.
#[derive(Debug)]
struct CountedPlace {
    _place: Place,
    context: Arc<Context>,
}

impl Drop for CountedPlace {
    fn drop(&mut self) {
        self.context.tally.finish();
    }
}

impl Item {
    /// An item in one of the worker's places.
    #[must_use]
    pub(crate) fn new(context: &Arc<Context>, work: Work, body: Bytes, source: Source, place: Place) -> Self {
        context.tally.take();
        Self { work, body, source, place: CountedPlace { _place: place, context: Arc::clone(context) } }
    }

    /// Its share in the entry to acknowledge.
    #[must_use]
    pub(crate) const fn entry(&self) -> Option<&EntryShare> {
        match &self.source {
            Source::Sweep => None,
            Source::Stream(entry) | Source::TakenOver(entry) => Some(entry),
        }
    }

    /// Whether its lease is this worker's own.
    #[must_use]
    pub(crate) const fn is_own(&self) -> bool {
        !matches!(self.source, Source::TakenOver(_))
    }

    fn is_planted(&self, bug: Bug) -> bool {
        self.place.context.planted.is(bug)
    }

    /// Notes a new lease. From now on the right to attempt is this worker's own.
    pub(crate) fn renewed(&mut self, lease: Lease) {
        self.work.lease = lease;
        if let Source::TakenOver(entry) = &self.source {
            self.source = Source::Stream(entry.clone());
        }
    }
}

/// An item whose subscription is known.
#[derive(Debug)]
pub(crate) struct Ready {
    /// The delivery.
    pub(crate) item: Item,
    /// Where it goes.
    pub(crate) target: Arc<Target>,
}

impl Ready {
    /// Whether its lease covers the request.
    #[must_use]
    pub(crate) fn is_covered(&self, now: DatabaseTime) -> bool {
        let is_covered = self.item.is_own() && self.item.work.lease.covers(self.target.timeout(), now);
        is_covered || self.item.is_planted(Bug::FenceOff)
    }

    /// What it gives back to its lane when it is not sent.
    #[must_use]
    pub(crate) fn freed(&self) -> Freed {
        Freed { subscription: self.item.work.webhook_id, bytes: self.item.body.len(), over: None }
    }
}

/// The domain's view of a stream entry.
#[must_use]
pub(crate) fn work_of(entry: &StreamEntry) -> Work {
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
