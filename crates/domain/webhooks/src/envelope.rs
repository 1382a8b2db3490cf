use chrono::{DateTime, SecondsFormat, Utc};
use onering_ids::EventId;

use crate::event_data::EventData;
use crate::event_type::EventType;

/// The body of every delivery of an event: `{"event_id":…,"event_type":…,"timestamp":…,"data":…}`.
///
/// These bytes are stored, signed and sent as they are, the same on every attempt; `data` is kept as it was published.
/// SQL twin: `onering.publish_event`.
#[must_use]
pub fn envelope(event_id: EventId, event_type: &EventType, occurred_at: DateTime<Utc>, data: &EventData) -> Vec<u8> {
    // Ids, types and times hold no character that JSON would escape.
    [
        r#"{"event_id":""#,
        &event_id.to_string(),
        r#"","event_type":""#,
        event_type.as_str(),
        r#"","timestamp":""#,
        &occurred_at.to_rfc3339_opts(SecondsFormat::Millis, true),
        r#"","data":"#,
        data.as_str(),
        "}",
    ]
    .concat()
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::value::RawValue;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn the_bytes_of_the_contract() {
        let data = EventData::new(RawValue::from_string(r#"{"b": 1,"a":1.50}"#.to_owned()).unwrap()).unwrap();
        let occurred_at = "2026-11-22T01:00:00.1239+01:00".parse::<DateTime<Utc>>().unwrap();
        let body =
            envelope(EventId::from_uuid(Uuid::from_u128(1)), &"test/webhook".parse().unwrap(), occurred_at, &data);
        assert_eq!(
            String::from_utf8(body).unwrap(),
            concat!(
                r#"{"event_id":"evt_00000000000000000000000001","event_type":"test/webhook","#,
                r#""timestamp":"2026-11-22T00:00:00.123Z","data":{"b": 1,"a":1.50}}"#
            )
        );
    }

    proptest! {
        #[test]
        fn it_is_json_with_the_data_untouched(text in "\\PC{0,60}", id: u128, seconds in 0_i64..253_402_300_800) {
            let json = serde_json::to_string(&text).unwrap();
            let data = EventData::new(RawValue::from_string(json.clone()).unwrap()).unwrap();
            let at = DateTime::from_timestamp(seconds, 0).unwrap();
            let event_id = EventId::from_uuid(Uuid::from_u128(id));
            let body = envelope(event_id, &EventType::webhook_test(), at, &data);
            let value: serde_json::Value = serde_json::from_slice(&body).unwrap();
            prop_assert_eq!(&value["data"], &text);
            prop_assert_eq!(&value["event_id"], &event_id.to_string());
            prop_assert_eq!(value["timestamp"].as_str().unwrap().parse::<DateTime<Utc>>().unwrap(), at);
            let untouched = body.strip_suffix(b"}").is_some_and(|rest| rest.ends_with(json.as_bytes()));
            prop_assert!(untouched);
        }
    }
}
