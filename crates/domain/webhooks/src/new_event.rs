use std::fmt;

use chrono::{DateTime, Datelike, Utc};
use onering_ids::Recipient;
use onering_problem::Problem;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::event_data::EventData;
use crate::event_type::EventType;
use crate::idempotency::ContentDigest;

/// An event as a publisher sends it, unchecked.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventInput {
    /// What happened.
    pub event_type: String,
    /// Particulars: any JSON.
    pub data: Box<RawValue>,
    /// When it happened, RFC 3339; the time of acceptance when left out.
    #[serde(default)]
    pub occurred_at: Option<String>,
    /// Whose event it is, or `*`; the publisher's own when left out.
    #[serde(default)]
    pub owner_id: Option<String>,
}

/// Payloads are never logged.
impl fmt::Debug for EventInput {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("EventInput").field("event_type", &self.event_type).finish_non_exhaustive()
    }
}

/// An event that may be accepted.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// What happened.
    pub event_type: EventType,
    /// Particulars.
    pub data: EventData,
    /// When it happened, in whole milliseconds; `None`: when it is accepted.
    pub occurred_at: Option<DateTime<Utc>>,
    /// Whose event it is; `None`: the publisher's. Naming anyone needs the scope `publish:any`.
    pub recipient: Option<Recipient>,
}

impl NewEvent {
    /// Checks an event.
    ///
    /// # Errors
    /// A problem that names the field.
    pub fn parse(input: EventInput) -> Result<Self, Problem> {
        let event_type = input.event_type.parse().map_err(|error| Problem::invalid("event_type", sentence(&error)))?;
        let data = EventData::new(input.data).map_err(|error| Problem::invalid("data", sentence(&error)))?;
        let occurred_at = input.occurred_at.as_deref().map(occurred_at).transpose()?;
        let recipient = match input.owner_id {
            Some(text) => Some(text.parse().map_err(|error| Problem::invalid("owner_id", sentence(&error)))?),
            None => None,
        };
        Ok(Self { event_type, data, occurred_at, recipient })
    }

    /// What the request asks for, for `Idempotency-Key`: `recipient` is the one that was decided on.
    #[must_use]
    pub fn content_digest(&self, recipient: &Recipient) -> ContentDigest {
        let occurred_ms = self.occurred_at.map(|at| at.timestamp_millis().to_be_bytes());
        ContentDigest::of(&[
            Some(recipient.as_str().as_bytes()),
            Some(self.event_type.as_str().as_bytes()),
            Some(self.data.as_str().as_bytes()),
            occurred_ms.as_ref().map(|bytes| bytes.as_slice()),
        ])
    }
}

fn occurred_at(text: &str) -> Result<DateTime<Utc>, Problem> {
    let wrong = || {
        Problem::invalid(
            "occurred_at",
            "occurred_at must be an RFC 3339 time between 1970 and 9999, such as 2026-11-22T00:00:00Z.",
        )
    };
    let parsed = DateTime::parse_from_rfc3339(text).map_err(|_| wrong())?;
    // By way of milliseconds, which is what the envelope shows and which turns a leap second into an ordinary one.
    let instant = DateTime::from_timestamp_millis(parsed.timestamp_millis()).ok_or_else(wrong)?;
    if (1970..=9999).contains(&instant.year()) { Ok(instant) } else { Err(wrong()) }
}

/// Our errors are clauses; a problem's detail is a sentence.
pub(crate) fn sentence(error: &impl std::error::Error) -> String {
    let clause = error.to_string();
    let mut characters = clause.chars();
    match characters.next() {
        Some(first) => format!("{}{}.", first.to_uppercase(), characters.as_str()),
        None => clause,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn input(json: &str) -> EventInput {
        serde_json::from_str(json).unwrap()
    }

    fn field_of(json: &str) -> Option<String> {
        NewEvent::parse(input(json)).unwrap_err().field
    }

    #[test]
    fn a_whole_event() {
        let event = NewEvent::parse(input(
            r#"{"event_type":"ring.forged","data":{"n": 1},"occurred_at":"2026-11-22T01:02:03.9999+01:00","owner_id":"*"}"#,
        ))
        .unwrap();
        assert_eq!(event.event_type.as_str(), "ring.forged");
        assert_eq!(event.data.as_str(), r#"{"n": 1}"#);
        assert_eq!(event.occurred_at.unwrap().to_rfc3339(), "2026-11-22T00:02:03.999+00:00");
        assert_eq!(event.recipient, Some(Recipient::Everyone));
    }

    #[test]
    fn a_null_is_data_and_its_absence_is_not() {
        let event = NewEvent::parse(input(r#"{"event_type":"a","data":null}"#)).unwrap();
        assert_eq!((event.data.as_str(), event.occurred_at, event.recipient), ("null", None, None));
        assert!(serde_json::from_str::<EventInput>(r#"{"event_type":"a"}"#).is_err());
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(field_of(r#"{"event_type":"a b","data":1}"#).as_deref(), Some("event_type"));
        assert_eq!(field_of(r#"{"event_type":"a","data":"\u0000"}"#).as_deref(), Some("data"));
        assert_eq!(field_of(r#"{"event_type":"a","data":1,"owner_id":"-"}"#).as_deref(), Some("owner_id"));
        for time in ["now", "2026-11-22", "1969-12-31T23:59:59Z", "9999-12-31T23:59:59-01:00", "2026-13-01T00:00:00Z"] {
            let json = format!(r#"{{"event_type":"a","data":1,"occurred_at":"{time}"}}"#);
            assert_eq!(field_of(&json).as_deref(), Some("occurred_at"), "{time}");
        }
    }

    #[test]
    fn a_leap_second_becomes_an_ordinary_one() {
        let at = occurred_at("2016-12-31T23:59:60.5Z").unwrap();
        assert_eq!(at.to_rfc3339(), "2017-01-01T00:00:00.500+00:00");
    }

    /// Handlers read bodies through that crate, to name the path of what is wrong; raw values must survive it.
    #[test]
    fn bodies_can_be_read_with_their_paths() {
        let mut json = serde_json::Deserializer::from_str(r#"{"event_type":"a","data":{"x": 1}}"#);
        let read: EventInput = serde_path_to_error::deserialize(&mut json).unwrap();
        assert_eq!(read.data.get(), r#"{"x": 1}"#);
        let mut json = serde_json::Deserializer::from_str(r#"{"event_type":7,"data":1}"#);
        let error = serde_path_to_error::deserialize::<_, EventInput>(&mut json).unwrap_err();
        assert_eq!(error.path().to_string(), "event_type");
    }

    #[test]
    fn each_part_counts_in_the_digest() {
        let acme = Recipient::Partner("acme".parse().unwrap());
        let digest =
            |json: &str, recipient: &Recipient| NewEvent::parse(input(json)).unwrap().content_digest(recipient);
        let first = digest(r#"{"event_type":"a","data":1}"#, &acme);
        assert_eq!(first, digest(r#" {"data":1,"event_type":"a"}"#, &acme), "the order of members does not count");
        for (json, recipient) in [
            (r#"{"event_type":"a","data":1}"#, &Recipient::Everyone),
            (r#"{"event_type":"b","data":1}"#, &acme),
            (r#"{"event_type":"a","data":2}"#, &acme),
            (r#"{"event_type":"a","data":1,"occurred_at":"1970-01-01T00:00:00Z"}"#, &acme),
        ] {
            assert_ne!(first, digest(json, recipient), "{json}");
        }
    }

    proptest! {
        #[test]
        fn any_texts_are_taken_or_refused(event_type in "\\PC{0,20}", at in "[0-9TZ:.+-]{0,30}|\\PC{0,20}", owner in "\\PC{0,20}") {
            let data = RawValue::from_string("{}".to_owned()).unwrap();
            let _ = NewEvent::parse(EventInput { event_type, data, occurred_at: Some(at), owner_id: Some(owner) });
        }
    }
}
