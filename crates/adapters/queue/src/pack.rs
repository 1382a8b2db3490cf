//! [`Pack`]: the deliveries that travel in one entry of the stream. An entry costs Redis, and whoever reads it, far more than
//! a delivery in it does.
//!
//! A delivery alone is written as it always was. Two or more stand behind a version byte of their own and their number, each
//! with its length before it. A reader of an earlier release knows no packs: to it one is garbled, which it acknowledges, and
//! the sweep brings the deliveries once their leases end.
//!
//! A pack is what waited anyway: nothing is held back to fill one.

use bytes::{Buf, BufMut, Bytes};

use crate::entry::{self, GarbledEntry, SHORT, StreamEntry, take};

/// The most deliveries of a pack. What an entry costs is shared by so many that larger packs would save next to nothing; and a
/// pack goes to one worker whole, so that smaller ones spread better.
pub const PACK_LIMIT: usize = 32;

/// The most bytes of bodies in a pack: eight of the largest that travel. Bounds what a worker holds before it has room for it.
const PACK_BODIES: usize = 64 * 1024;

/// Not a version of [`StreamEntry`].
const VERSION: u8 = 2;

/// Deliveries of one entry: at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pack<'a>(&'a [StreamEntry]);

/// These bytes are no pack of this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the pack cannot be read")]
pub struct GarbledPack {
    /// How many deliveries it says it has.
    pub deliveries: usize,
    /// What is wrong with it.
    #[source]
    pub source: GarbledEntry,
}

impl<'a> Pack<'a> {
    /// Deliveries as packs, in order, none fuller than it may be.
    pub fn of(mut entries: &'a [StreamEntry]) -> impl Iterator<Item = Self> {
        std::iter::from_fn(move || {
            let (pack, rest) = entries.split_at(fitting(entries));
            entries = rest;
            (!pack.is_empty()).then_some(Self(pack))
        })
    }

    /// How many deliveries it has.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "it never is")]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// The binary form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let content: usize = self.0.iter().map(|entry| LENGTH_LEN + entry.encoded_len()).sum();
        let mut out = Vec::with_capacity(HEAD_LEN + content);
        if let [alone] = self.0 {
            alone.encode_into(&mut out);
            return out;
        }
        out.put_u8(VERSION);
        out.put_u8(self.len() as u8);
        for entry in self.0 {
            out.put_u32(entry.encoded_len() as u32);
            entry.encode_into(&mut out);
        }
        out
    }

    /// Reads the binary form.
    ///
    /// # Errors
    /// [`GarbledPack`] for anything [`encode`](Self::encode) does not write.
    pub fn decode(bytes: Bytes) -> Result<Vec<StreamEntry>, GarbledPack> {
        let deliveries = match bytes.as_ref() {
            [VERSION, deliveries, ..] => usize::from(*deliveries).clamp(1, PACK_LIMIT),
            _ => 1,
        };
        let is_pack = bytes.first() == Some(&VERSION);
        let read = if is_pack { several(bytes) } else { StreamEntry::decode(bytes).map(|entry| vec![entry]) };
        read.map_err(|source| GarbledPack { deliveries, source })
    }
}

const HEAD_LEN: usize = 2;
const LENGTH_LEN: usize = 4;

/// How many of the first deliveries go into one pack.
fn fitting(entries: &[StreamEntry]) -> usize {
    let mut bodies = 0;
    let fits = |entry: &&StreamEntry| {
        bodies += entry.travelling_body().map_or(0, Bytes::len);
        bodies <= PACK_BODIES
    };
    entries.iter().take(PACK_LIMIT).take_while(fits).count()
}

fn several(mut bytes: Bytes) -> Result<Vec<StreamEntry>, GarbledEntry> {
    bytes.advance(1);
    let deliveries = usize::from(bytes.try_get_u8().map_err(|_| SHORT)?);
    if !(2..=PACK_LIMIT).contains(&deliveries) {
        return Err(GarbledEntry("no pack has so many deliveries"));
    }
    let mut entries = Vec::with_capacity(deliveries);
    for _ in 0..deliveries {
        let length = bytes.try_get_u32().map_err(|_| SHORT)? as usize;
        let entry = StreamEntry::decode(take(&mut bytes, length)?)?;
        // A part of the pack would keep the whole of it in memory for as long as its delivery takes.
        entries.push(StreamEntry { body: entry.body.as_deref().map(Bytes::copy_from_slice), ..entry });
    }
    if !bytes.is_empty() {
        return Err(GarbledEntry("it goes on after its end"));
    }
    if fitting(&entries) < deliveries {
        return Err(GarbledEntry("its bodies are longer than allowed"));
    }
    Ok(entries)
}

const _: () = assert!(VERSION != entry::VERSION, "a pack is told from a delivery by its first byte");

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::INLINE_BODY_LIMIT;
    use crate::entry::tests::entries;

    fn with_body(length: usize) -> StreamEntry {
        let entry = StreamEntry {
            delivery_id: onering_ids::DeliveryId::floor(1),
            event_id: onering_ids::EventId::floor(2),
            webhook_id: onering_ids::SubscriptionId::floor(3),
            attempt_count: 0,
            queued_until: chrono::DateTime::UNIX_EPOCH,
            created_at: chrono::DateTime::UNIX_EPOCH,
            event_type: "ring.created".to_owned(),
            body: None,
        };
        StreamEntry { body: Some(vec![b'x'; length].into()), ..entry }
    }

    fn lengths(entries: &[StreamEntry]) -> Vec<usize> {
        Pack::of(entries).map(|pack| pack.len()).collect()
    }

    fn only(entries: &[StreamEntry]) -> Vec<u8> {
        assert_eq!(lengths(entries), [entries.len()]);
        Pack(entries).encode()
    }

    proptest! {
        #[test]
        fn what_is_packed_is_read_back_in_order(entries in vec(entries(), 0..100)) {
            let read: Vec<_> = Pack::of(&entries).flat_map(|pack| Pack::decode(pack.encode().into()).unwrap()).collect();
            prop_assert_eq!(read, entries);
        }

        #[test]
        fn no_pack_is_fuller_than_it_may_be(bodies in vec(0..INLINE_BODY_LIMIT + 2, 0..100)) {
            let entries: Vec<_> = bodies.into_iter().map(with_body).collect();
            let bytes = |entry: &StreamEntry| entry.travelling_body().map_or(0, Bytes::len);
            let packs: Vec<Pack<'_>> = Pack::of(&entries).collect();
            for (number, pack) in packs.iter().enumerate() {
                let bodies: usize = pack.0.iter().map(bytes).sum();
                prop_assert!((1..=PACK_LIMIT).contains(&pack.len()) && bodies <= PACK_BODIES);
                let next = packs.get(number + 1).map_or(PACK_BODIES, |next| bytes(&next.0[0]));
                let is_last = number + 1 == packs.len();
                prop_assert!(is_last || pack.len() == PACK_LIMIT || bodies + next > PACK_BODIES, "it had room");
            }
            prop_assert_eq!(packs.iter().map(Pack::len).sum::<usize>(), entries.len());
        }

        #[test]
        fn a_cut_or_lengthened_pack_is_garbled(
            entries in vec(entries(), 1..=PACK_LIMIT),
            at: prop::sample::Index,
            more in vec(any::<u8>(), 1..8),
        ) {
            let whole = only(&entries);
            let cut = whole[..at.index(whole.len())].to_vec();
            prop_assert!(Pack::decode(cut.into()).is_err());
            let longer = [whole, more].concat();
            prop_assert_eq!(Pack::decode(longer.into()).unwrap_err().deliveries, entries.len());
        }

        #[test]
        fn garbage_never_panics_and_has_one_form(mut bytes in vec(any::<u8>(), 0..300), first in 0_u8..3, second in 0_u8..40) {
            for (byte, value) in bytes.iter_mut().zip([first, second]) {
                *byte = value;
            }
            match Pack::decode(bytes.clone().into()) {
                Ok(entries) => prop_assert_eq!(only(&entries), bytes),
                Err(garbled) => prop_assert!((1..=PACK_LIMIT).contains(&garbled.deliveries)),
            }
        }
    }

    #[test]
    fn one_alone_has_the_form_of_the_release_before() {
        let entry = with_body(9);
        let mut alone = Vec::new();
        entry.encode_into(&mut alone);
        assert_eq!(only(std::slice::from_ref(&entry)), alone);
        assert_eq!(Pack::decode(alone.into()), Ok(vec![entry]));
    }

    #[test]
    fn packs_end_at_their_limits() {
        let largest = with_body(INLINE_BODY_LIMIT);
        assert_eq!(lengths(&vec![with_body(1); 70]), [32, 32, 6]);
        assert_eq!(lengths(&vec![largest.clone(); 17]), [8, 8, 1]);
        // What stays behind counts for nothing.
        assert_eq!(lengths(&vec![with_body(INLINE_BODY_LIMIT + 1); 33]), [32, 1]);
        assert_eq!(lengths(&[]), [0; 0]);
        let too_much = Pack(&vec![largest; 9]).encode();
        assert_eq!(Pack::decode(too_much.into()).unwrap_err().deliveries, 9);
        let too_many = Pack(&vec![with_body(1); 33]).encode();
        assert_eq!(Pack::decode(too_many.into()).unwrap_err().deliveries, PACK_LIMIT);
    }
}
