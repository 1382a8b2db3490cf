use onering_web::{MAX_DEPTH, parse_json};
use serde_json::Value;

use super::refusals;
use crate::Seen;

/// Any JSON document, against serde_json's own judgement.
///
/// What is taken means the same to it and is not too deep. What is refused is no JSON to it either, or has what we do not take:
/// too much depth, U+0000, half a surrogate pair.
pub(super) fn json(bytes: &[u8]) -> Seen {
    let theirs = serde_json::from_slice::<Value>(bytes);
    match (parse_json::<Value>(bytes), theirs) {
        (Ok(ours), Ok(theirs)) => {
            assert_eq!(ours, theirs);
            assert!(depth(&ours) <= MAX_DEPTH && !holds_nul(&ours));
            Seen::of(("taken", depth(&ours).min(4), ours.to_string().len().min(64)))
        }
        (Ok(ours), Err(error)) => panic!("{ours} is no JSON: {error}"),
        (Err(problem), Err(_)) => refusals::check(&problem),
        (Err(problem), Ok(theirs)) => {
            assert!(depth(&theirs) > MAX_DEPTH || holds_nul(&theirs), "refused though it is good: {problem}");
            refusals::check(&problem)
        }
    }
}

/// How deep arrays and objects lie in each other.
pub(super) fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or_default(),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or_default(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(holds_nul),
        Value::Object(members) => members.iter().any(|(name, value)| name.contains('\0') || holds_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
