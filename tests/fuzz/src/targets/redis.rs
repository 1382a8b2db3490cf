use bytes::Bytes;
use onering_queue::{Announcement, EntryId, INLINE_BODY_LIMIT, StreamEntry};

use crate::Seen;

/// What comes out of Redis, where anybody may have written: an entry has one form, so that what is read is what was written;
/// names and announcements come back from their texts.
pub(super) fn stream_entry(bytes: &[u8]) -> Seen {
    let entry = StreamEntry::decode(Bytes::copy_from_slice(bytes));
    let outcome = match &entry {
        Ok(entry) => {
            assert_eq!(entry.encode(), bytes, "another form of the same entry");
            assert!(entry.body.as_ref().is_none_or(|body| body.len() <= INLINE_BODY_LIMIT));
            Seen::of((entry.body.as_ref().map(Bytes::len).map(|length| length.min(2)), entry.event_type.len().min(2)))
        }
        Err(garbled) => Seen::of(garbled.to_string()),
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
