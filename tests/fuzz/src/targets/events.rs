use bytes::Bytes;
use chrono::{DateTime, Datelike, Utc};
use onering_ids::{EventId, OwnerId};
use onering_problem::Problem;
use onering_web::parse_json;
use onering_webhooks::{EventData, EventInput, EventType, IdempotencyKey, NewEvent, envelope};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{json, refusals};
use crate::Seen;

fn read(body: &[u8]) -> Result<NewEvent, Problem> {
    NewEvent::parse(parse_json::<EventInput>(body)?)
}

/// One event. What is taken is within its bounds, and what goes out is JSON that holds its data byte for byte.
pub(super) fn event(bytes: &[u8]) -> Seen {
    match read(bytes) {
        Ok(event) => taken(&event),
        Err(problem) => refusals::check(&problem),
    }
}

fn taken(event: &NewEvent) -> Seen {
    let event_type = event.event_type.as_str();
    assert!(event_type.len() <= EventType::MAX_LENGTH && event_type.parse() == Ok(event.event_type.clone()));
    assert!(
        event
            .occurred_at
            .is_none_or(|at| (1970..=9999).contains(&at.year()) && at.timestamp_subsec_nanos() % 1_000_000 == 0)
    );
    let data = event.data.to_value().expect("data that was checked can be read");
    assert!(json::depth(&data) <= EventData::MAX_DEPTH);

    let occurred_at = event.occurred_at.unwrap_or(DateTime::<Utc>::UNIX_EPOCH);
    let body = envelope(EventId::floor(1), &event.event_type, occurred_at, &event.data);
    let sent: std::collections::BTreeMap<&str, &RawValue> =
        serde_json::from_slice(&body).expect("the envelope is JSON");
    let sent: Vec<(&str, &str)> = sent.into_iter().map(|(name, value)| (name, value.get())).collect();
    assert_eq!(sent.len(), 4);
    assert_eq!(sent[0], ("data", event.data.as_str()));
    let shown: DateTime<Utc> = serde_json::from_str(sent[3].1).expect("a time");
    assert_eq!(("timestamp", shown), (sent[3].0, occurred_at), "the time comes back to the millisecond");

    let (ours, others) = (OwnerId::default_partner().into(), "another".parse::<OwnerId>().expect("an owner").into());
    assert_ne!(
        event.content_digest(&ours),
        event.content_digest(&others),
        "equal content of two owners is not the same"
    );
    Seen::of((kind(&data), event.occurred_at.is_some(), event.recipient.is_some(), json::depth(&data).min(3)))
}

const fn kind(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        Value::String(_) => 3,
        Value::Array(_) => 4,
        Value::Object(_) => 5,
    }
}

/// A batch; the first byte says whether it is an array or lines.
///
/// It has 1 to 1,000 items, and each is judged as the same bytes alone would be, but for its idempotency key.
pub(super) fn batch(bytes: &[u8]) -> Seen {
    let Some((form, body)) = bytes.split_first() else { return Seen::of("empty") };
    let (is_array, body) = (form % 2 == 0, Bytes::copy_from_slice(body));
    let media_type = if is_array { "application/json" } else { "application/x-ndjson" };
    let items = match api_gateway::reading::read_batch(media_type, &body) {
        Ok(items) => items,
        Err(problem) => return refusals::check(&problem),
    };
    assert!((1..=1_000).contains(&items.len()), "{} items", items.len());
    let alone = if is_array { elements(&body) } else { lines(&body) };
    assert_eq!(alone.len(), items.len());
    let mut seen = Vec::new();
    for (item, alone) in items.iter().zip(alone) {
        match item {
            Ok((event, key)) => {
                assert!(key.as_ref().is_none_or(|key| key.as_str().len() <= IdempotencyKey::MAX_LENGTH));
                seen.push(taken(event));
            }
            Err(problem) => {
                seen.push(refusals::check(problem));
                assert!(read(&alone).is_err(), "an event is good alone and bad in a batch: {problem}");
            }
        }
    }
    seen.truncate(3);
    Seen::of(seen)
}

fn elements(body: &[u8]) -> Vec<Vec<u8>> {
    let items: Vec<Box<RawValue>> = serde_json::from_slice(body).expect("a batch that was taken is an array");
    items.iter().map(|item| item.get().as_bytes().to_vec()).collect()
}

fn lines(body: &[u8]) -> Vec<Vec<u8>> {
    let lines = body.split(|byte| *byte == b'\n').filter(|line| !line.iter().all(u8::is_ascii_whitespace));
    lines.map(<[u8]>::to_vec).collect()
}
