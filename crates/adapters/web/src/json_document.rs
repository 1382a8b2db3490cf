//! From bytes to a value, with errors that name the field: shared by request bodies and the lines of NDJSON.

use onering_problem::{Code, Problem};
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::json_text;
use crate::object_probe::wants_object;

/// What chrono says of a text that is no time.
const NO_TIME: [&str; 6] = [
    "input is out of range",
    "no possible date and time matching input",
    "input is not enough for unique date and time",
    "input contains invalid characters",
    "premature end of input",
    "trailing input",
];

/// The longest field name repeated in an answer, in characters.
const LONGEST_NAME: usize = 200;

/// Parses one JSON document strictly.
///
/// # Errors
/// `MALFORMED_JSON` (400) with line and column where the text is not JSON or not UTF-8; `UNKNOWN_FIELD` (422) naming the
/// path of a field the type does not know; `VALIDATION_FAILED` (422) naming the path of a missing field or of a value of
/// the wrong type or range, and for nesting deeper than [`MAX_DEPTH`](crate::MAX_DEPTH).
pub fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    json_text::check(bytes)?;
    if first_byte(bytes) == Some(b'[') && wants_object::<T>() {
        return Err(Problem::invalid("body", "Invalid type: array, expected an object."));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value =
        serde_path_to_error::deserialize(&mut deserializer).map_err(|error| describe(error.path(), error.inner()))?;
    deserializer.end().map_err(|error| malformed(&error))?;
    Ok(value)
}

fn first_byte(json: &[u8]) -> Option<u8> {
    json.iter().copied().find(|byte| !byte.is_ascii_whitespace())
}

fn describe(path: &serde_path_to_error::Path, error: &serde_json::Error) -> Problem {
    match error.classify() {
        Category::Syntax | Category::Eof | Category::Io => malformed(error),
        Category::Data => refused_value(&path.to_string(), &without_position(&error.to_string())),
    }
}

fn malformed(error: &serde_json::Error) -> Problem {
    let what = without_position(&error.to_string());
    Problem::new(Code::MalformedJson).detail(format!(
        "Not valid JSON at line {} column {}: {what}.",
        error.line(),
        error.column()
    ))
}

/// A problem from serde's words about a value, at a path such as `filter.amount[2]`.
pub(crate) fn refused_value(path: &str, words: &str) -> Problem {
    if words.starts_with("unknown field ") {
        // The path ends in the unknown name itself, while for missing and doubled fields it ends in their parent.
        let field = shortened(path);
        return Problem::new(Code::UnknownField).detail(format!("There is no field `{field}` here.")).field(field);
    }
    if let Some(name) = quoted_after(words, "missing field ") {
        let field = joined(path, name);
        return Problem::invalid(field.clone(), format!("The field `{field}` is required."));
    }
    if let Some(name) = quoted_after(words, "duplicate field ") {
        let field = joined(path, name);
        return Problem::invalid(field.clone(), format!("The field `{field}` is given twice."));
    }
    let field = if path == "." { "body".to_owned() } else { shortened(path) };
    Problem::invalid(field, sentence(words))
}

/// `name` in words such as ``missing field `name` ``. The names are our own.
fn quoted_after<'a>(words: &'a str, start: &str) -> Option<&'a str> {
    words.strip_prefix(start)?.strip_prefix('`')?.strip_suffix('`')
}

fn joined(parent: &str, name: &str) -> String {
    if parent == "." { name.to_owned() } else { format!("{}.{name}", shortened(parent)) }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST_NAME) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// serde_json ends its messages with ` at line 1 column 2`.
fn without_position(words: &str) -> String {
    let end = words.rfind(" at line ").unwrap_or(words.len());
    words[..end].to_owned()
}

/// serde's words in terms of JSON instead of Rust, as a sentence.
pub(crate) fn sentence(words: &str) -> String {
    if NO_TIME.contains(&words) {
        return "Not a time as RFC 3339 writes it, such as 2026-11-22T10:00:00Z.".to_owned();
    }
    let plain = match words.rsplit_once("expected ") {
        Some((before, wanted)) => format!("{before}expected {}", plain_type(wanted)),
        None => words.to_owned(),
    };
    let mut characters = plain.chars();
    let first = characters.next().map(|first| first.to_ascii_uppercase());
    let rest = shortened(characters.as_str());
    let stop = if rest.ends_with(['.', '…']) { "" } else { "." };
    first.into_iter().chain(rest.chars()).chain(stop.chars()).collect()
}

fn plain_type(wanted: &str) -> &str {
    match wanted {
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number that is not negative",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "f32" | "f64" => "a number",
        _ if wanted.starts_with("struct ") || wanted == "a map" => "an object",
        "a sequence" => "an array",
        _ => wanted,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;
    use serde_json::value::RawValue;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Document {
        #[expect(dead_code, reason = "only its type matters here")]
        name: String,
        #[serde(default)]
        #[expect(dead_code, reason = "only its type matters here")]
        parts: Vec<Part>,
        #[serde(default)]
        data: Option<Box<RawValue>>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Part {
        #[expect(dead_code, reason = "only its type matters here")]
        size: u32,
    }

    fn refusal(text: &str) -> (Code, String, String) {
        let problem = parse_json::<Document>(text.as_bytes()).unwrap_err();
        (problem.code, problem.field.unwrap_or_default(), problem.detail)
    }

    #[test]
    fn each_fault_is_named_with_its_place() {
        use Code::{MalformedJson, UnknownField, ValidationFailed};
        let table = [
            (r#"{"name": "a", "x": 1}"#, UnknownField, "x"),
            (r#"{"name": "a", "x`, expected": 1}"#, UnknownField, "x`, expected"),
            (r#"{"name": "a", "parts": [{"size": 1}, {"size": 1, "y": 1}]}"#, UnknownField, "parts[1].y"),
            (r#"{"name": "a", "parts": [{"size": 1, "size": 2}]}"#, ValidationFailed, "parts[0].size"),
            (r#"{"name": "a", "parts": [{}]}"#, ValidationFailed, "parts[0].size"),
            (r#"{"name": "a", "parts": [{"size": -1}]}"#, ValidationFailed, "parts[0].size"),
            (r#"{"name": "a", "parts": [{"size": 1.5}]}"#, ValidationFailed, "parts[0].size"),
            (r#"{"name": "a", "parts": [{"size": 4294967296}]}"#, ValidationFailed, "parts[0].size"),
            (r#"{"name": 1}"#, ValidationFailed, "name"),
            (r#"{"name": null}"#, ValidationFailed, "name"),
            (r#"{"name": "a", "name": "b"}"#, ValidationFailed, "name"),
            ("{}", ValidationFailed, "name"),
            ("7", ValidationFailed, "body"),
            (r#""text""#, ValidationFailed, "body"),
            ("{\n  \"name\": \"a\",\n}", MalformedJson, ""),
            (r#"{"name": "a"} x"#, MalformedJson, ""),
            (r#"{"name": "a"#, MalformedJson, ""),
            (r#"{"name": "a", "parts": NaN}"#, MalformedJson, ""),
            ("", MalformedJson, ""),
        ];
        for (text, code, field) in table {
            let (got_code, got_field, detail) = refusal(text);
            assert_eq!((got_code, got_field.as_str()), (code, field), "{text}: {detail}");
            assert!(detail.ends_with('.') && !detail.contains(" at line 1 column 1 at line"), "{detail}");
        }
    }

    #[test]
    fn malformed_json_is_located() {
        assert_eq!(refusal("{\n  \"name\": \"a\",\n}").2, "Not valid JSON at line 3 column 1: trailing comma.");
    }

    #[test]
    fn types_are_named_in_terms_of_json() {
        assert_eq!(
            refusal(r#"{"name": "a", "parts": [{"size": "x"}]}"#).2,
            "Invalid type: string \"x\", expected a whole number that is not negative."
        );
        assert_eq!(refusal("7").2, "Invalid type: integer `7`, expected an object.");
        assert_eq!(refusal("{}").2, "The field `name` is required.");
    }

    #[test]
    fn a_time_that_is_none_is_told_the_form_of_one() {
        for words in ["premature end of input", "input contains invalid characters", "input is out of range"] {
            let problem = refused_value("at", words);
            assert_eq!(problem.field.as_deref(), Some("at"));
            assert_eq!(problem.detail, "Not a time as RFC 3339 writes it, such as 2026-11-22T10:00:00Z.", "{words}");
        }
    }

    #[test]
    fn raw_data_keeps_its_bytes() {
        let document: Document = parse_json(br#"{"name": "a", "data": {"b": 1.10,  "c":[ ]}}"#).unwrap();
        assert_eq!(document.data.unwrap().get(), r#"{"b": 1.10,  "c":[ ]}"#);
    }

    #[test]
    fn a_long_name_is_cut() {
        let name = "é".repeat(5_000);
        let (code, field, detail) = refusal(&format!(r#"{{"name": "a", "{name}": 1}}"#));
        assert_eq!(code, Code::UnknownField);
        assert!(field.chars().count() <= LONGEST_NAME + 1 && detail.len() < 1_000);
        let (_, _, detail) = refusal(&format!(r#"{{"name": "a", "parts": "{name}"}}"#));
        assert!(detail.len() < 1_000);
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_in_words(bytes: Vec<u8>) {
            if let Err(problem) = parse_json::<Document>(&bytes) {
                prop_assert!([400, 422].contains(&problem.status()));
            }
        }

        #[test]
        fn any_text_in_a_field_name_stays_in_the_name(name in "[a-z`', .]{1,20}") {
            prop_assume!(!["name", "parts", "data"].contains(&name.as_str()));
            let text = serde_json::json!({"name": "a", &name: 1}).to_string();
            let problem = parse_json::<Document>(text.as_bytes()).unwrap_err();
            prop_assert_eq!(problem.code, Code::UnknownField);
        }
    }
}
