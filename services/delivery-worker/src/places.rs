//! Places: how much this worker holds, in items and in bytes of their bodies.
//!
//! Each source has a [`Room`] of its own, because a reader that waits for the stream keeps what it took. What is taken of it
//! is split among items ([`Places::split`]) and given back when they are done with. One task takes from a room: what it
//! waits for is held by items alone, which end by themselves.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// With less than this left (or all there is) nothing further is swept: batches of single bodies would be dear.
pub(crate) const LEAST_BYTES: usize = 1024 * 1024;

/// What one source may have in hand.
#[derive(Debug)]
pub(crate) struct Room {
    items: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    all_items: usize,
    all_bytes: usize,
}

/// A part of a room.
#[derive(Debug)]
pub(crate) struct Places {
    items: OwnedSemaphorePermit,
    bytes: OwnedSemaphorePermit,
}

/// What one item takes up.
#[derive(Debug)]
pub(crate) struct Place {
    _held: Option<(OwnedSemaphorePermit, OwnedSemaphorePermit)>,
}

impl Place {
    /// For an item without a body that is handed back at once, by a worker that stops.
    pub(crate) const NONE: Self = Self { _held: None };
}

impl Room {
    /// Room for so many items, whose bodies have so many bytes together.
    #[must_use]
    pub(crate) fn new(items: usize, bytes: usize) -> Self {
        // A permit counts to u32::MAX at most.
        let all_bytes = bytes.clamp(1, u32::MAX as usize);
        Self {
            items: Arc::new(Semaphore::new(items)),
            bytes: Arc::new(Semaphore::new(all_bytes)),
            all_items: items,
            all_bytes,
        }
    }

    /// Waits for `least` places, or half of what there is, and takes as many as there are, `most` at most, each with
    /// `bytes_each`.
    pub(crate) async fn take(&self, least: usize, most: usize, bytes_each: usize) -> Option<Places> {
        let least = least.min(self.all_items / 2).max(1);
        let items = Arc::clone(&self.items).acquire_many_owned(u32::try_from(least).ok()?).await.ok()?;
        let first = self.capped(least * bytes_each);
        let bytes = Arc::clone(&self.bytes).acquire_many_owned(first).await.ok()?;
        let mut places = Places { items, bytes };
        let affordable = self.bytes.available_permits() / bytes_each.max(1);
        let further = self.items.available_permits().min(most.saturating_sub(least)).min(affordable);
        places.extend(self, further, further * bytes_each);
        Some(places)
    }

    /// Takes as many places as there are, `most` at most, and all bytes; `None` when there is little of either.
    pub(crate) fn try_take(&self, most: usize) -> Option<Places> {
        let item = Arc::clone(&self.items).try_acquire_owned().ok()?;
        let bytes = Arc::clone(&self.bytes).try_acquire_many_owned(self.capped(LEAST_BYTES)).ok()?;
        let mut places = Places { items: item, bytes };
        let further = self.items.available_permits().min(most.saturating_sub(1));
        places.extend(self, further, self.bytes.available_permits());
        Some(places)
    }

    /// Waits until so many places are free and some bytes.
    pub(crate) async fn some(&self, items: usize) {
        // An error means that the room was closed, which nobody does; the permits only say that it is there.
        drop(self.items.acquire_many(u32::try_from(items).unwrap_or(1)).await);
        drop(self.bytes.acquire_many(self.capped(LEAST_BYTES)).await);
    }

    /// What larger than all there is takes all there is.
    fn capped(&self, bytes: usize) -> u32 {
        u32::try_from(bytes.min(self.all_bytes)).unwrap_or(u32::MAX)
    }
}

impl Places {
    /// How many items there is a place for.
    #[must_use]
    pub(crate) fn items(&self) -> usize {
        self.items.num_permits()
    }

    /// How many bytes.
    #[must_use]
    pub(crate) fn bytes(&self) -> usize {
        self.bytes.num_permits()
    }

    fn extend(&mut self, room: &Room, items: usize, bytes: usize) {
        let some = |semaphore: &Arc<Semaphore>, count: usize| {
            u32::try_from(count).ok().and_then(|count| Arc::clone(semaphore).try_acquire_many_owned(count).ok())
        };
        // A task of its own takes from a room, so what was free a moment ago still is.
        if let (Some(items), Some(bytes)) = (some(&room.items, items), some(&room.bytes, bytes)) {
            self.items.merge(items);
            self.bytes.merge(bytes);
        }
    }

    /// Waits until it has so many bytes, or all there are.
    pub(crate) async fn fetch_bytes(&mut self, room: &Room, bytes: usize) {
        let missing = room.capped(bytes).saturating_sub(room.capped(self.bytes()));
        if let Ok(more) = Arc::clone(&room.bytes).acquire_many_owned(missing).await {
            self.bytes.merge(more);
        }
    }

    /// Whether it has so many bytes, or gets them without waiting.
    pub(crate) fn try_fetch_bytes(&mut self, room: &Room, bytes: usize) -> bool {
        let missing = u32::try_from(bytes.saturating_sub(self.bytes())).unwrap_or(u32::MAX);
        let more = Arc::clone(&room.bytes).try_acquire_many_owned(missing);
        more.is_ok_and(|more| {
            self.bytes.merge(more);
            true
        })
    }

    /// A place for an item whose body has so many bytes; `None` when all are given away. A body larger than what is left
    /// takes what is left.
    pub(crate) fn split(&mut self, bytes: usize) -> Option<Place> {
        let item = self.items.split(1)?;
        let bytes = self.bytes.split(bytes.min(self.bytes()))?;
        Some(Place { _held: Some((item, bytes)) })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const MIB: usize = 1024 * 1024;

    /// What would never come is not waited for.
    async fn comes<T>(waited: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            came = waited => Some(came),
            () = tokio::time::sleep(Duration::from_millis(1)) => None,
        }
    }

    #[tokio::test]
    async fn a_reader_takes_no_more_than_fits() {
        let room = Room::new(10, 1_000);
        let mut places = room.take(1, 8, 100).await.unwrap();
        assert_eq!((places.items(), places.bytes()), (8, 800));
        let held = places.split(50).unwrap();
        drop(places);
        let few = room.take(1, 100, 300).await.unwrap();
        assert_eq!((few.items(), few.bytes()), (3, 900), "950 bytes are left");
        assert!(comes(room.take(1, 1, 100)).await.is_none());
        drop((few, held));
        assert_eq!(room.take(1, 100, 1).await.unwrap().items(), 10);
    }

    #[tokio::test]
    async fn a_reader_waits_for_what_it_needs_at_least_or_for_half() {
        let room = Room::new(10, 1_000);
        let mut places = room.take(4, 8, 10).await.unwrap();
        assert_eq!((places.items(), places.bytes()), (8, 80));
        let held = places.split(10).unwrap();
        drop(places);
        assert_eq!(room.take(4, 4, 10).await.unwrap().items(), 4);
        let rest = room.take(1, 6, 10).await.unwrap();
        assert!(comes(room.take(4, 8, 10)).await.is_none(), "three are left");
        drop(rest);
        assert_eq!(room.take(100, 100, 10).await.unwrap().items(), 9);
        drop(held);
        assert_eq!(Room::new(1, 1_000).take(32, 512, 10).await.unwrap().items(), 1);
    }

    #[tokio::test]
    async fn a_body_larger_than_everything_passes_when_nothing_else_is_held() {
        let room = Room::new(10, 1_000);
        let mut places = room.take(1, 1, 10).await.unwrap();
        let held = places.split(10).unwrap();
        let mut places = room.take(1, 1, 10).await.unwrap();
        assert!(!places.try_fetch_bytes(&room, 5_000));
        assert!(comes(places.fetch_bytes(&room, 5_000)).await.is_none());
        drop(held);
        comes(places.fetch_bytes(&room, 5_000)).await.unwrap();
        let large = places.split(5_000).unwrap();
        assert_eq!(room.bytes.available_permits(), 0);
        drop(large);
        assert_eq!(room.bytes.available_permits(), 1_000);
    }

    #[tokio::test]
    async fn the_sweep_waits_for_a_good_part() {
        let room = Room::new(10, 3 * MIB);
        let mut places = room.try_take(4).unwrap();
        assert_eq!((places.items(), places.bytes()), (4, 3 * MIB));
        let held = places.split(2 * MIB + 1).unwrap();
        drop(places);
        assert!(room.try_take(4).is_none(), "less than a mebibyte is left");
        assert!(comes(room.some(1)).await.is_none());
        drop(held);
        comes(room.some(10)).await.unwrap();
        assert!(comes(room.some(11)).await.is_none());
    }
}
