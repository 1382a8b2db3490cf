//! [`EntryShare`]: one delivery's share in the stream entry that brought it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use onering_queue::EntryId;

/// An entry brings many deliveries and is acknowledged with the last of them. One that is never done with (its result could not
/// be written) leaves the entry to be taken over, which costs the others a look: they lose at their renewal.
#[derive(Debug, Clone)]
pub(crate) struct EntryShare(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    entry: EntryId,
    under_way: AtomicUsize,
}

impl EntryShare {
    /// Of an entry that brought so many deliveries. Clones are for one of them each.
    #[must_use]
    pub(crate) fn of(entry: EntryId, deliveries: usize) -> Self {
        Self(Arc::new(Shared { entry, under_way: AtomicUsize::new(deliveries) }))
    }

    /// Notes that its delivery is done with, once; answers the entry when it was the last.
    pub(crate) fn finish(&self) -> Option<EntryId> {
        let left = self.0.under_way.fetch_sub(1, Ordering::AcqRel);
        (left == 1).then_some(self.0.entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_delivery_acknowledges() {
        let entry: EntryId = "7-1".parse().unwrap();
        assert_eq!(EntryShare::of(entry, 1).finish(), Some(entry));
        let share = EntryShare::of(entry, 3);
        let finished: Vec<_> = (0..3).map(|_| share.clone().finish()).collect();
        assert_eq!(finished, [None, None, Some(entry)]);
    }
}
