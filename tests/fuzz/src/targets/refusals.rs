//! What every refusal promises.

use onering_problem::{Code, Problem};
use serde_json::Value;

use crate::Seen;

/// No detail or field is longer than this, whatever was sent: answers repeat little of it.
const LONGEST_BYTES: usize = 2_000;

/// A refusal is the caller's fault, says what is wrong in bounded words, and names the field where a value is wrong.
pub(super) fn check(problem: &Problem) -> Seen {
    assert!((400..500).contains(&problem.status()), "{problem}");
    assert!(
        !problem.detail.is_empty() && problem.detail.len() <= LONGEST_BYTES,
        "{} bytes: {problem}",
        problem.detail.len()
    );
    let field = problem.field.as_deref();
    assert!(field.is_none_or(|field| field.len() <= LONGEST_BYTES), "{problem}");
    if matches!(problem.code, Code::ValidationFailed | Code::UnknownField | Code::InvalidCursor) {
        assert!(field.is_some() || problem.detail.contains(" at line "), "it names no place: {problem}");
    }
    let document: Value = serde_json::from_str(&problem.to_json("req_1")).expect("a problem is JSON");
    assert_eq!(document["code"], problem.code.as_str());
    // Names and values that were sent stand in the words, so only their beginnings tell outcomes apart.
    let beginning: String = problem.detail.chars().take(14).collect();
    Seen::of((problem.code, field.map(|field| field.split(['.', '[']).next().unwrap_or_default().len()), beginning))
}
