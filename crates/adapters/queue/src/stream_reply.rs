//! Reading Redis' answers about stream entries, without trusting their shape.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use deadpool_redis::redis::Value;

use crate::entry::StreamEntry;
use crate::error::Fault;
use crate::names::FIELD;
use crate::pack::Pack;

/// The name Redis gave an entry of the stream: a millisecond and a number within it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct EntryId {
    ms: u64,
    sequence: u64,
}

impl fmt::Display for EntryId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.ms, self.sequence)
    }
}

impl FromStr for EntryId {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let shape = || Fault::Shape { expected: "an entry id" };
        let (ms, sequence) = text.split_once('-').ok_or_else(shape)?;
        let number = |digits: &str| digits.parse().map_err(|_| shape());
        Ok(Self { ms: number(ms)?, sequence: number(sequence)? })
    }
}

/// Entries as Redis handed them out: those that can be read, and the names of those that cannot.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Entries {
    pub(crate) readable: Vec<(EntryId, Vec<StreamEntry>)>,
    pub(crate) garbled: Vec<EntryId>,
    /// How many deliveries the garbled ones have, by what they say.
    pub(crate) garbled_deliveries: usize,
}

/// The answer of XREADGROUP on one stream: nothing, or a list (a map in RESP3) of one stream with its entries.
pub(crate) fn read_reply(value: Value) -> Result<Entries, Fault> {
    let shape = || Fault::Shape { expected: "entries of one stream" };
    let listed = match value {
        Value::Nil => return Ok(Entries::default()),
        Value::Map(mut streams) => streams.pop().map(|(_, entries)| entries),
        Value::Array(mut streams) => match streams.pop() {
            Some(Value::Array(mut stream)) => stream.pop(),
            _ => None,
        },
        _ => None,
    };
    entries(listed.ok_or_else(shape)?)
}

/// The answer of XAUTOCLAIM: where to go on, and the entries now ours.
pub(crate) fn claim_reply(value: Value) -> Result<(EntryId, Entries), Fault> {
    let shape = || Fault::Shape { expected: "a cursor and claimed entries" };
    let Value::Array(parts) = value else { return Err(shape()) };
    let mut parts = parts.into_iter();
    let cursor = parts.next().ok_or_else(shape)?;
    let claimed = parts.next().ok_or_else(shape)?;
    Ok((text(cursor)?.parse()?, entries(claimed)?))
}

fn entries(value: Value) -> Result<Entries, Fault> {
    let Value::Array(items) = value else { return Err(Fault::Shape { expected: "a list of entries" }) };
    let mut found = Entries::default();
    for item in items {
        // Redis 6 names claimed entries that are gone from the stream by a nil.
        if matches!(item, Value::Nil) {
            continue;
        }
        let (id, payload) = entry(item)?;
        match payload.map(Pack::decode) {
            Some(Ok(deliveries)) => found.readable.push((id, deliveries)),
            garbled => {
                found.garbled.push(id);
                found.garbled_deliveries += garbled.and_then(Result::err).map_or(1, |garbled| garbled.deliveries);
            }
        }
    }
    Ok(found)
}

/// One entry: its name, and its payload if it has our field.
fn entry(item: Value) -> Result<(EntryId, Option<Bytes>), Fault> {
    let shape = || Fault::Shape { expected: "an entry" };
    let Value::Array(parts) = item else { return Err(shape()) };
    let mut parts = parts.into_iter();
    let id = text(parts.next().ok_or_else(shape)?)?.parse()?;
    let payload = match parts.next() {
        Some(Value::Array(fields)) => match <[Value; 2]>::try_from(fields) {
            Ok([Value::BulkString(name), Value::BulkString(payload)]) if name == FIELD.as_bytes() => {
                Some(payload.into())
            }
            _ => None,
        },
        _ => None,
    };
    Ok((id, payload))
}

fn text(value: Value) -> Result<String, Fault> {
    let text = match value {
        Value::BulkString(bytes) => String::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    };
    text.ok_or(Fault::Shape { expected: "text" })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Nil),
            any::<i64>().prop_map(Value::Int),
            "[0-9]{1,3}-[0-9]{1,3}".prop_map(|text| bulk(&text)),
            ".{0,4}".prop_map(|text| bulk(&text)),
            Just(bulk(FIELD)),
            Just(Value::Okay),
        ];
        leaf.prop_recursive(5, 40, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
                prop::collection::vec((inner.clone(), inner), 0..3).prop_map(Value::Map),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_answer_makes_the_reader_panic(value in values()) {
            let _ = read_reply(value.clone());
            let _ = claim_reply(value);
        }

        #[test]
        fn ids_survive_text(ms: u64, sequence: u64) {
            let id = EntryId { ms, sequence };
            prop_assert_eq!(id.to_string().parse::<EntryId>().unwrap(), id);
        }
    }

    #[test]
    fn an_entry_that_cannot_be_read_is_named_as_garbled() {
        let item = Value::Array(vec![bulk("7-1"), Value::Array(vec![bulk(FIELD), bulk("\u{2}\u{7}nonsense")])]);
        let foreign = Value::Array(vec![bulk("7-2"), Value::Array(vec![bulk("other"), bulk("x")])]);
        let gone = Value::Array(vec![bulk("7-3"), Value::Nil]);
        let stream = Value::Array(vec![bulk("stream"), Value::Array(vec![item, foreign, gone])]);
        let entries = read_reply(Value::Array(vec![stream])).unwrap();
        let names: Vec<String> = entries.garbled.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["7-1", "7-2", "7-3"]);
        assert_eq!(entries.garbled_deliveries, 7 + 1 + 1);
        assert!(entries.readable.is_empty());
    }

    #[test]
    fn nothing_read_is_no_entries() {
        assert_eq!(read_reply(Value::Nil).unwrap(), Entries::default());
    }
}
