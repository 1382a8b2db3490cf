use bytes::Bytes;
use onering_queue::{Announcement, EntryId, INLINE_BODY_LIMIT, PACK_LIMIT, Pack, StreamEntry};

use crate::Seen;

/// What comes out of Redis, where anybody may have written: an entry has one form, so that what is read is what was written;
/// names and announcements come back from their texts.
pub(super) fn stream_entry(bytes: &[u8]) -> Seen {
    let outcome = match Pack::decode(Bytes::copy_from_slice(bytes)) {
        Ok(deliveries) => {
            let packs: Vec<Pack<'_>> = Pack::of(&deliveries).collect();
            assert!(matches!(packs.as_slice(), [one] if one.encode() == bytes), "another form of the same entry");
            let body = |delivery: &StreamEntry| delivery.body.as_ref().map(Bytes::len);
            assert!(deliveries.iter().all(|delivery| body(delivery) <= Some(INLINE_BODY_LIMIT)));
            let seen =
                |delivery: &StreamEntry| (body(delivery).map(|length| length.min(2)), delivery.event_type.len().min(2));
            Seen::of((deliveries.len().min(3), deliveries.first().map(seen)))
        }
        Err(garbled) => {
            assert!((1..=PACK_LIMIT).contains(&garbled.deliveries));
            Seen::of((garbled.deliveries.min(3), garbled.source.to_string()))
        }
    };
    let text = String::from_utf8_lossy(bytes);
    let name = text.parse::<EntryId>();
    if let Ok(name) = &name {
        assert_eq!(name.to_string().parse::<EntryId>().ok().as_ref(), Some(name));
    }
    let announcement = text.parse::<Announcement>();
    if let Ok(announcement) = &announcement {
        assert_eq!(announcement.to_string().parse().as_ref(), Ok(announcement));
    }
    Seen::of((outcome, name.is_ok(), announcement.ok().map(|known| std::mem::discriminant(&known))))
}
