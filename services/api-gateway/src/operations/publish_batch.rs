//! Publishing many events in one call: each item is accepted or refused by itself.

use bytes::Bytes;
use futures_util::future::join_all;
use onering_keys::KeyRecord;
use onering_problem::{Code, Problem};
use onering_rate_limit::Cost;
use onering_web::parse_json;
use onering_webhooks::{EventInput, IdempotencyKey};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::prepare_event;
use crate::ingest::{NotAccepted, PreparedEvent, Receipt};
use crate::worker::Worker;

/// The most items of one batch.
const MOST_ITEMS: usize = 1_000;

/// The items of a batch, counted and not yet looked into.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BatchItems(Vec<Bytes>);

/// What became of one item.
pub(crate) type ItemOutcome = Result<Receipt, Problem>;

/// An item as it is sent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ItemInput {
    event_type: String,
    data: Box<RawValue>,
    #[serde(default)]
    occurred_at: Option<String>,
    #[serde(default)]
    owner_id: Option<String>,
    #[serde(default)]
    idempotency_key: Option<String>,
}

impl BatchItems {
    /// Takes a body apart into items: a JSON array, or one JSON document a line.
    ///
    /// # Errors
    /// 415 for another media type, 400 for what is no array, 422 for no items or too many.
    pub(crate) fn split(media_type: &str, body: &Bytes) -> Result<Self, Problem> {
        let items = match media_type {
            "application/json" => {
                let items: Vec<Box<RawValue>> = parse_json(body)?;
                items.into_iter().map(|item| Bytes::from(item.get().to_owned())).collect()
            }
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => lines(body),
            _ => {
                return Err(Problem::new(Code::UnsupportedMediaType).field("Content-Type").detail(
                    "A batch is sent as `Content-Type: application/json` (an array) or `application/x-ndjson` (one event a line).",
                ));
            }
        };
        match items.len() {
            1..=MOST_ITEMS => Ok(Self(items)),
            0 => Err(Problem::invalid("body", "The batch holds no event.")),
            many => Err(Problem::invalid("body", format!("A batch holds at most {MOST_ITEMS} events, not {many}."))),
        }
    }

    /// The items, each a JSON document or meant to be.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Bytes> {
        self.0.iter()
    }

    /// What the batch takes from the quota: one for each item.
    pub(crate) fn cost(&self) -> Cost {
        Cost(u32::try_from(self.0.len()).unwrap_or(u32::MAX))
    }
}

fn lines(body: &Bytes) -> Vec<Bytes> {
    let blank = |line: &[u8]| line.iter().all(u8::is_ascii_whitespace);
    body.split(|byte| *byte == b'\n').filter(|line| !blank(line)).map(|line| body.slice_ref(line)).collect()
}

/// Publishes the items; answers in their order. All of them are handed in before the first answer is waited for, so a batch
/// takes few commits.
pub(crate) async fn publish_batch(worker: &Worker, key: &KeyRecord, items: &BatchItems) -> Vec<ItemOutcome> {
    let waiting = items.iter().map(|item| {
        let submitted =
            prepare_item(worker, key, item).and_then(|event| worker.publisher.submit(event).map_err(refused_item));
        async move { submitted?.await.unwrap_or(Err(NotAccepted::Unavailable)).map_err(refused_item) }
    });
    // The items are submitted while the futures are made, before any of them is waited for.
    join_all(waiting.collect::<Vec<_>>()).await
}

fn prepare_item(worker: &Worker, key: &KeyRecord, item: &Bytes) -> Result<PreparedEvent, Problem> {
    if item.len() > worker.event_cap {
        let detail = format!("An event may have at most {} bytes.", worker.event_cap);
        return Err(Problem::new(Code::BodyTooLarge).detail(detail));
    }
    let (input, idempotency_key) = parse_item(item)?;
    prepare_event(&worker.clock, key, input, idempotency_key)
}

/// Reads one item; its event is still to be checked.
///
/// # Errors
/// A problem that names the field.
pub(crate) fn parse_item(item: &[u8]) -> Result<(EventInput, Option<IdempotencyKey>), Problem> {
    let ItemInput { event_type, data, occurred_at, owner_id, idempotency_key } = parse_json(item)?;
    let parse = |text: String| {
        text.parse().map_err(|_| {
            let detail =
                format!("An idempotency key has 1 to {} visible ASCII characters.", IdempotencyKey::MAX_LENGTH);
            Problem::invalid("idempotency_key", detail)
        })
    };
    let idempotency_key = idempotency_key.map(parse).transpose()?;
    Ok((EventInput { event_type, data, occurred_at, owner_id }, idempotency_key))
}

/// As for a single event, with the name the key has in an item.
fn refused_item(why: NotAccepted) -> Problem {
    let problem = Problem::from(why);
    if problem.field.is_some() { problem.field("idempotency_key") } else { problem }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(media_type: &str, body: &str) -> Result<Vec<String>, Code> {
        let items = BatchItems::split(media_type, &Bytes::from(body.to_owned())).map_err(|problem| problem.code)?;
        Ok(items.0.iter().map(|item| String::from_utf8(item.to_vec()).unwrap()).collect())
    }

    #[test]
    fn arrays_and_lines_are_counted_without_being_looked_into() {
        let two = || vec!["{\"a\": 1}".to_owned(), "7".to_owned()];
        assert_eq!(split("application/json", " [{\"a\": 1}, 7]"), Ok(two()));
        assert_eq!(split("application/x-ndjson", "{\"a\": 1}\n\n  \r\n7\n"), Ok(two()));
        assert_eq!(split("application/x-ndjson", "not json"), Ok(vec!["not json".to_owned()]));
        assert_eq!(split("application/json", "{}"), Err(Code::ValidationFailed));
        assert_eq!(split("application/json", "[1,]"), Err(Code::MalformedJson));
        assert_eq!(split("application/json", "[]"), Err(Code::ValidationFailed));
        assert_eq!(split("application/x-ndjson", "\n \n"), Err(Code::ValidationFailed));
        assert_eq!(split("text/plain", "[]"), Err(Code::UnsupportedMediaType));
        let many = "1\n".repeat(MOST_ITEMS);
        assert_eq!(split("application/x-ndjson", &many).map(|items| items.len()), Ok(MOST_ITEMS));
        assert_eq!(split("application/x-ndjson", &format!("{many}1")), Err(Code::ValidationFailed));
    }

    #[test]
    fn a_bad_item_names_its_field() {
        let refusal = |item: &str| {
            let problem = parse_item(item.as_bytes()).unwrap_err();
            (problem.code, problem.field.unwrap_or_default())
        };
        let with = |further: &str| format!(r#"{{"event_type":"a","data":1{further}}}"#);
        assert!(parse_item(with(r#","idempotency_key":"k""#).as_bytes()).unwrap().1.is_some());
        assert_eq!(refusal(&with(r#","idempotency_key":"""#)), (Code::ValidationFailed, "idempotency_key".to_owned()));
        assert_eq!(refusal(&with(r#","x":1"#)), (Code::UnknownField, "x".to_owned()));
        assert_eq!(refusal(r#"{"event_type":"a"}"#), (Code::ValidationFailed, "data".to_owned()));
        assert_eq!(refusal("not json").0, Code::MalformedJson);
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..80), json: bool) {
            let media_type = if json { "application/json" } else { "application/x-ndjson" };
            let _ = BatchItems::split(media_type, &Bytes::from(body));
        }
    }
}
