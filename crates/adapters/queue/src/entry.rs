//! [`StreamEntry`]: one delivery as it travels through the stream, alone or in a [pack](crate::Pack), and its binary form.
//!
//! The form is versioned and fixed: a version byte, three UUIDs, the attempts done, the lease and the creation instant,
//! then the event type and the body with their lengths, all numbers big-endian. Reading it never panics, whatever the
//! bytes: an entry that cannot be read is acknowledged and counted, and the sweep pushes its delivery anew.

use bytes::{Buf, BufMut, Bytes};
use chrono::{DateTime, Utc};
use onering_delivery::Work;
use onering_ids::{DeliveryId, EventId, SubscriptionId};
use uuid::Uuid;

/// Bodies up to this many bytes travel in the entry; longer ones are read from Postgres by the worker.
pub const INLINE_BODY_LIMIT: usize = 8 * 1024;

pub(crate) const VERSION: u8 = 1;

/// The right to attempt one delivery until `queued_until`, and what the attempt needs.
///
/// `attempt_count` and `queued_until` together are the fence: whoever settles the delivery must find both unchanged in
/// its row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamEntry {
    /// The delivery.
    pub delivery_id: DeliveryId,
    /// Its event.
    pub event_id: EventId,
    /// Its subscription.
    pub webhook_id: SubscriptionId,
    /// Attempts done so far.
    pub attempt_count: u32,
    /// When the right ends, by the database's clock, to the microsecond.
    pub queued_until: DateTime<Utc>,
    /// When the delivery was made, to the millisecond.
    pub created_at: DateTime<Utc>,
    /// The event's type.
    pub event_type: String,
    /// The bytes to POST. `None`, or longer than [`INLINE_BODY_LIMIT`]: they do not travel along.
    pub body: Option<Bytes>,
}

/// These bytes are not a stream entry of this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stream entry cannot be read: {0}")]
pub struct GarbledEntry(pub(crate) &'static str);

impl StreamEntry {
    /// The entry of a delivery that was just written.
    #[must_use]
    pub fn new(work: &Work, body: &Bytes) -> Self {
        Self {
            delivery_id: work.delivery_id,
            event_id: work.event_id,
            webhook_id: work.webhook_id,
            attempt_count: work.lease.attempts_made.into(),
            queued_until: work.lease.until.to_utc(),
            created_at: work.created_at.to_utc(),
            event_type: work.event_type.to_string(),
            body: (body.len() <= INLINE_BODY_LIMIT).then(|| body.clone()),
        }
    }

    /// The body, if it travels along.
    pub(crate) fn travelling_body(&self) -> Option<&Bytes> {
        self.body.as_ref().filter(|body| body.len() <= INLINE_BODY_LIMIT)
    }

    /// Event types are bounded far below this; the cut only keeps the length field truthful.
    fn short_event_type(&self) -> &str {
        &self.event_type[..self.event_type.floor_char_boundary(usize::from(u16::MAX))]
    }

    /// How many bytes the binary form has.
    pub(crate) fn encoded_len(&self) -> usize {
        HEAD_LEN + self.short_event_type().len() + self.travelling_body().map_or(0, |body| 4 + body.len())
    }

    /// Writes the binary form.
    pub(crate) fn encode_into(&self, out: &mut Vec<u8>) {
        let event_type = self.short_event_type();
        out.put_u8(VERSION);
        out.put_u128(self.delivery_id.uuid().as_u128());
        out.put_u128(self.event_id.uuid().as_u128());
        out.put_u128(self.webhook_id.uuid().as_u128());
        out.put_u32(self.attempt_count);
        out.put_i64(self.queued_until.timestamp_micros());
        out.put_i64(self.created_at.timestamp_millis());
        out.put_u16(event_type.len() as u16);
        out.put_slice(event_type.as_bytes());
        match self.travelling_body() {
            None => out.put_u8(0),
            Some(body) => {
                out.put_u8(1);
                out.put_u32(body.len() as u32);
                out.put_slice(body);
            }
        }
    }

    /// Reads the binary form.
    ///
    /// # Errors
    /// [`GarbledEntry`] for anything [`encode_into`](Self::encode_into) does not write.
    pub(crate) fn decode(mut bytes: Bytes) -> Result<Self, GarbledEntry> {
        if bytes.try_get_u8() != Ok(VERSION) {
            return Err(GarbledEntry("not of this version"));
        }
        let entry = Self {
            delivery_id: DeliveryId::from_uuid(uuid(&mut bytes)?),
            event_id: EventId::from_uuid(uuid(&mut bytes)?),
            webhook_id: SubscriptionId::from_uuid(uuid(&mut bytes)?),
            attempt_count: bytes.try_get_u32().map_err(|_| SHORT)?,
            queued_until: instant(bytes.try_get_i64().map_err(|_| SHORT)?, DateTime::from_timestamp_micros)?,
            created_at: instant(bytes.try_get_i64().map_err(|_| SHORT)?, DateTime::from_timestamp_millis)?,
            event_type: event_type(&mut bytes)?,
            body: body(&mut bytes)?,
        };
        if bytes.is_empty() { Ok(entry) } else { Err(GarbledEntry("it goes on after its end")) }
    }
}

const HEAD_LEN: usize = 1 + 3 * 16 + 4 + 8 + 8 + 2 + 1;
pub(crate) const SHORT: GarbledEntry = GarbledEntry("it ends too early");

fn uuid(bytes: &mut Bytes) -> Result<Uuid, GarbledEntry> {
    bytes.try_get_u128().map(Uuid::from_u128).map_err(|_| SHORT)
}

fn instant(value: i64, read: fn(i64) -> Option<DateTime<Utc>>) -> Result<DateTime<Utc>, GarbledEntry> {
    read(value).ok_or(GarbledEntry("an instant is out of range"))
}

fn event_type(bytes: &mut Bytes) -> Result<String, GarbledEntry> {
    let length = usize::from(bytes.try_get_u16().map_err(|_| SHORT)?);
    let text = Vec::from(take(bytes, length)?);
    String::from_utf8(text).map_err(|_| GarbledEntry("the event type is not text"))
}

fn body(bytes: &mut Bytes) -> Result<Option<Bytes>, GarbledEntry> {
    match bytes.try_get_u8() {
        Ok(0) => Ok(None),
        Ok(1) => {
            let length = bytes.try_get_u32().map_err(|_| SHORT)? as usize;
            if length > INLINE_BODY_LIMIT {
                return Err(GarbledEntry("the body is longer than allowed"));
            }
            take(bytes, length).map(Some)
        }
        Ok(_) => Err(GarbledEntry("the body mark is unknown")),
        Err(_) => Err(SHORT),
    }
}

pub(crate) fn take(bytes: &mut Bytes, length: usize) -> Result<Bytes, GarbledEntry> {
    if bytes.len() < length { Err(SHORT) } else { Ok(bytes.split_to(length)) }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    fn encode(entry: &StreamEntry) -> Vec<u8> {
        let mut out = Vec::new();
        entry.encode_into(&mut out);
        out
    }

    prop_compose! {
        pub(crate) fn entries()(
            ids in any::<[u128; 3]>(),
            attempt_count: u32,
            queued_until_us in -8_000_000_000_000_000_i64..8_000_000_000_000_000,
            created_at_ms in -8_000_000_000_000_i64..8_000_000_000_000,
            event_type in ".{0,64}",
            body in option::of(vec(any::<u8>(), 0..300)),
        ) -> StreamEntry {
            StreamEntry {
                delivery_id: DeliveryId::from_uuid(Uuid::from_u128(ids[0])),
                event_id: EventId::from_uuid(Uuid::from_u128(ids[1])),
                webhook_id: SubscriptionId::from_uuid(Uuid::from_u128(ids[2])),
                attempt_count,
                queued_until: DateTime::from_timestamp_micros(queued_until_us).unwrap(),
                created_at: DateTime::from_timestamp_millis(created_at_ms).unwrap(),
                event_type,
                body: body.map(Bytes::from),
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(entry in entries()) {
            let written = encode(&entry);
            prop_assert_eq!(written.len(), entry.encoded_len());
            prop_assert_eq!(StreamEntry::decode(written.into()), Ok(entry));
        }

        #[test]
        fn a_cut_or_lengthened_entry_is_garbled(entry in entries(), at: prop::sample::Index, more in vec(any::<u8>(), 1..8)) {
            let whole = encode(&entry);
            let cut = whole[..at.index(whole.len())].to_vec();
            prop_assert!(StreamEntry::decode(cut.into()).is_err());
            let longer = [whole, more].concat();
            prop_assert!(StreamEntry::decode(longer.into()).is_err());
        }

        #[test]
        fn garbage_never_panics(mut bytes in vec(any::<u8>(), 0..200), versioned: bool) {
            if versioned && !bytes.is_empty() {
                bytes[0] = VERSION;
            }
            let _ = StreamEntry::decode(bytes.into());
        }
    }

    #[test]
    fn a_long_body_stays_behind() {
        let mut entry = StreamEntry {
            delivery_id: DeliveryId::floor(1),
            event_id: EventId::floor(2),
            webhook_id: SubscriptionId::floor(3),
            attempt_count: 0,
            queued_until: DateTime::UNIX_EPOCH,
            created_at: DateTime::UNIX_EPOCH,
            event_type: "ring.created".to_owned(),
            body: Some(Bytes::from(vec![b'x'; INLINE_BODY_LIMIT])),
        };
        assert_eq!(StreamEntry::decode(encode(&entry).into()), Ok(entry.clone()));
        entry.body = Some(Bytes::from(vec![b'x'; INLINE_BODY_LIMIT + 1]));
        let arrived = StreamEntry::decode(encode(&entry).into()).unwrap();
        assert_eq!(arrived, StreamEntry { body: None, ..entry });
    }
}
