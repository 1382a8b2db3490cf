use std::error::Error;
use std::hint::black_box;

use chrono::DateTime;
use onering_ids::Recipient;
use onering_webhooks::{EventInput, NewEvent};

use crate::samples::{EVENT, NOW_UNIX_S, event_id};
use crate::{Prepared, routine};

/// From the bytes that a publisher sent to an event that is checked.
pub(super) fn parse() -> Prepared {
    routine(|| read(black_box(EVENT)).ok())
}

/// What an event with an idempotency key is told apart by.
pub(super) fn digest() -> Prepared {
    let (event, recipient) = (read(EVENT)?, Recipient::Partner("acme".parse()?));
    routine(move || black_box(&event).content_digest(black_box(&recipient)))
}

/// The body that receivers get.
pub(super) fn envelope() -> Prepared {
    let event = read(EVENT)?;
    let now = DateTime::from_timestamp(NOW_UNIX_S, 0).unwrap_or_default();
    routine(move || {
        let event = black_box(&event);
        onering_webhooks::envelope(event_id(), &event.event_type, event.occurred_at.unwrap_or(now), &event.data)
    })
}

pub(super) fn read(text: &str) -> Result<NewEvent, Box<dyn Error>> {
    let input: EventInput = serde_json::from_str(text)?;
    Ok(NewEvent::parse(input)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_read() {
        let shown = parse().unwrap().show();
        assert!(shown.starts_with(r#"Some(NewEvent { event_type: "ring.forged""#), "{shown}");
    }

    #[test]
    fn it_has_a_digest_and_a_body() {
        assert!(digest().unwrap().show().starts_with("ContentDigest(["));
        let bytes: Vec<u8> = serde_json::from_str(&envelope().unwrap().show()).unwrap();
        assert!(String::from_utf8(bytes).unwrap().starts_with(r#"{"event_id":"evt_01"#));
    }
}
