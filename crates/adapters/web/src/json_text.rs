//! One pass over JSON text before it is parsed: what our parser or our database would trip over later is refused here.
//!
//! It looks only at nesting and at escapes in strings; whether the text is JSON at all is the parser's to say.

use onering_problem::{Code, Problem};

/// The deepest nesting of arrays and objects that is taken.
pub const MAX_DEPTH: usize = 64;

/// Refuses text that is not UTF-8 (400), is nested deeper than [`MAX_DEPTH`] (422), holds half a surrogate pair (400), or
/// holds U+0000 (422: neither `text` nor `jsonb` columns can store it).
pub(crate) fn check(bytes: &[u8]) -> Result<(), Problem> {
    if let Err(error) = std::str::from_utf8(bytes) {
        let position = error.valid_up_to();
        return Err(malformed(format!("The body is not UTF-8: byte {position} does not belong to a character.")));
    }
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'"' => at = check_string(bytes, at)?,
            b'[' | b'{' => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(too_deep(bytes, at));
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

/// Checks the escapes of a string whose first character is at `start`; answers the index behind its closing quote.
fn check_string(bytes: &[u8], start: usize) -> Result<usize, Problem> {
    let mut at = start;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return Ok(at + 1),
            b'\\' if bytes.get(at + 1) == Some(&b'u') => at = check_unicode_escape(bytes, at)?,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    Ok(at)
}

/// Checks `\uXXXX`, or the pair of them, at `at`; answers the index behind it.
fn check_unicode_escape(bytes: &[u8], at: usize) -> Result<usize, Problem> {
    match escaped_unit(bytes, at) {
        Some(0) => Err(Problem::new(Code::ValidationFailed).detail(format!(
            "The string at {} holds the character U+0000, which cannot be stored.",
            Position::of(bytes, at)
        ))),
        Some(0xD800..=0xDBFF) => match escaped_unit(bytes, at + 6) {
            Some(0xDC00..=0xDFFF) => Ok(at + 12),
            _ => Err(half_a_pair(bytes, at)),
        },
        Some(0xDC00..=0xDFFF) => Err(half_a_pair(bytes, at)),
        // An escape that is none is the parser's to refuse.
        Some(_) | None => Ok(at + 2),
    }
}

fn escaped_unit(bytes: &[u8], at: usize) -> Option<u16> {
    let escape = bytes.get(at..at + 6)?;
    let digits = escape.strip_prefix(b"\\u")?;
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

fn too_deep(bytes: &[u8], at: usize) -> Problem {
    Problem::new(Code::ValidationFailed)
        .detail(format!("The body is nested deeper than {MAX_DEPTH} levels at {}.", Position::of(bytes, at)))
}

fn half_a_pair(bytes: &[u8], at: usize) -> Problem {
    malformed(format!("The string at {} holds half a surrogate pair.", Position::of(bytes, at)))
}

fn malformed(detail: String) -> Problem {
    Problem::new(Code::MalformedJson).detail(detail)
}

/// Line and column, counted from 1, as the parser counts them.
struct Position {
    line: usize,
    column: usize,
}

impl Position {
    fn of(bytes: &[u8], at: usize) -> Self {
        let before = &bytes[..at.min(bytes.len())];
        let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
        Self { line: before.iter().filter(|byte| **byte == b'\n').count() + 1, column: before.len() - line_start + 1 }
    }
}

impl std::fmt::Display for Position {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "line {} column {}", self.line, self.column)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refusal(text: &str) -> (Code, String) {
        let problem = check(text.as_bytes()).unwrap_err();
        (problem.code, problem.detail)
    }

    #[test]
    fn nesting_is_counted_outside_strings_only() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert_eq!(check(nested(MAX_DEPTH).as_bytes()), Ok(()));
        assert_eq!(refusal(&nested(MAX_DEPTH + 1)).0, Code::ValidationFailed);
        assert_eq!(check(format!("\"{}\"", "[{".repeat(500)).as_bytes()), Ok(()));
        assert_eq!(check(format!("\"\\\"{}\"", "[{".repeat(500)).as_bytes()), Ok(()));
        assert_eq!(check("[[],[]]".repeat(100).as_bytes()), Ok(()));
    }

    #[test]
    fn what_cannot_be_stored_is_refused_where_it_stands() {
        assert_eq!(
            refusal("{\n \"a\": \"x\\u0000\"}"),
            (
                Code::ValidationFailed,
                "The string at line 2 column 9 holds the character U+0000, which cannot be stored.".to_owned()
            )
        );
        assert_eq!(check(br#"{"a": "\\u0000"}"#), Ok(()), "an escaped backslash and some digits");
        assert_eq!(check(br#""\u00000""#).unwrap_err().code, Code::ValidationFailed);
    }

    #[test]
    fn surrogates_come_in_pairs() {
        assert_eq!(check(br#""\ud83d\ude00\uD83D\uDE00""#), Ok(()));
        for half in [r#""\ud83d""#, r#""\ude00""#, r#""\ud83dx""#, r#""\ud83d\ud83d""#, r#""\ud83d\u0041""#] {
            assert_eq!(refusal(half).0, Code::MalformedJson, "{half}");
        }
    }

    #[test]
    fn bytes_that_are_no_characters() {
        let problem = check(b"{\"a\": \"\xff\"}").unwrap_err();
        assert_eq!(problem.code, Code::MalformedJson);
        assert!(problem.detail.contains("byte 7"), "{}", problem.detail);
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![any::<i64>().prop_map(Into::into), "[^\u{0}]{0,8}".prop_map(serde_json::Value::from)];
        leaf.prop_recursive(6, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
                prop::collection::hash_map("[^\u{0}]{0,4}", inner, 0..5)
                    .prop_map(|fields| serde_json::Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_bytes_get_an_answer(bytes: Vec<u8>) {
            let _ = check(&bytes);
        }

        #[test]
        fn json_without_nul_passes(value in json()) {
            prop_assert_eq!(check(value.to_string().as_bytes()), Ok(()));
        }
    }
}
