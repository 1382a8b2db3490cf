use std::fmt;

use serde_json::value::RawValue;

/// An event's data: JSON, kept byte for byte as it was sent, because those bytes are signed and delivered.
///
/// Checked beyond JSON's grammar so that whoever reads it later can: `jsonb` (which filters go through) knows no NUL and
/// no half surrogate pair, and most readers keep numbers as doubles and recurse into depth.
///
/// Payloads are never logged: `Debug` shows only the length.
#[derive(Clone)]
pub struct EventData(Box<RawValue>);

/// Why data is refused though it is JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// Arrays and objects lie too deep in each other.
    #[error("data is nested more than {} levels deep", EventData::MAX_DEPTH)]
    Depth,
    /// A string has `\u0000` in it.
    #[error("data has a string with the character U+0000, which cannot be stored")]
    Nul,
    /// A string has half of a surrogate pair in it.
    #[error("data has a string with an unpaired surrogate, which is not a character")]
    Surrogate,
    /// A number is too long or too large.
    #[error(
        "data has a number that does not fit a double or has more than {} characters",
        EventData::MAX_NUMBER_LENGTH
    )]
    Number,
}

impl EventData {
    /// The most levels that arrays and objects may be nested.
    pub const MAX_DEPTH: usize = 64;
    /// The most characters a number may be written with.
    pub const MAX_NUMBER_LENGTH: usize = 256;
    /// The largest exponent a number may be written with, either way.
    const MAX_EXPONENT: i64 = 400;

    /// Takes data as it was sent.
    ///
    /// # Errors
    /// When it could not be read by everyone who must.
    pub fn new(json: Box<RawValue>) -> Result<Self, DataError> {
        check(json.get().as_bytes())?;
        Ok(Self(json))
    }

    /// The JSON text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// The value, for filters.
    ///
    /// # Errors
    /// Never for data that was checked; kept as an error rather than a panic.
    pub fn to_value(&self) -> Result<serde_json::Value, serde_json::Error> {
        serde_json::from_str(self.0.get())
    }
}

impl fmt::Debug for EventData {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "EventData({} bytes)", self.as_str().len())
    }
}

/// One pass over JSON that is known to be well-formed; on anything else it may miss things and still ends.
fn check(json: &[u8]) -> Result<(), DataError> {
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(byte) = json.get(at) {
        at = match byte {
            b'"' => end_of_string(json, at + 1)?,
            b'-' | b'0'..=b'9' => end_of_number(json, at)?,
            b'{' | b'[' => {
                depth += 1;
                if depth > EventData::MAX_DEPTH {
                    return Err(DataError::Depth);
                }
                at + 1
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                at + 1
            }
            _ => at + 1,
        };
    }
    Ok(())
}

fn end_of_string(json: &[u8], mut at: usize) -> Result<usize, DataError> {
    while let Some(byte) = json.get(at) {
        at = match byte {
            b'"' => return Ok(at + 1),
            b'\\' => match escaped_unit(json, at) {
                Some(0) => return Err(DataError::Nul),
                Some(0xD800..=0xDBFF) => match escaped_unit(json, at + 6) {
                    Some(0xDC00..=0xDFFF) => at + 12,
                    _ => return Err(DataError::Surrogate),
                },
                Some(0xDC00..=0xDFFF) => return Err(DataError::Surrogate),
                Some(_) => at + 6,
                None => at + 2,
            },
            _ => at + 1,
        };
    }
    Ok(at)
}

/// The UTF-16 unit of a `\uXXXX` at this place.
fn escaped_unit(json: &[u8], at: usize) -> Option<u16> {
    let digits = json.get(at..at + 6)?.strip_prefix(b"\\u")?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

fn end_of_number(json: &[u8], start: usize) -> Result<usize, DataError> {
    let rest = &json[start..];
    let length = rest.iter().take_while(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')).count();
    let text = std::str::from_utf8(&rest[..length]).map_err(|_| DataError::Number)?;
    let exponent = match text.split_once(['e', 'E']) {
        Some((_, digits)) => digits.parse::<i64>().map_err(|_| DataError::Number)?,
        None => 0,
    };
    let fits = length <= EventData::MAX_NUMBER_LENGTH
        && (-EventData::MAX_EXPONENT..=EventData::MAX_EXPONENT).contains(&exponent)
        && text.parse::<f64>().is_ok_and(f64::is_finite);
    if fits { Ok(start + length) } else { Err(DataError::Number) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn taken(json: &str) -> Result<(), DataError> {
        let raw: Box<RawValue> = serde_json::from_str(json).unwrap();
        EventData::new(raw).map(|data| assert_eq!(data.as_str(), json))
    }

    #[test]
    fn ordinary_data_is_kept_as_it_is() {
        for json in [
            "null",
            "{}",
            r#"{"spaces": "kept" ,  "order":[3,2,1]}"#,
            r#"{"title":"café ☃ 😀","n":1e2,"s":"a.b.c"}"#,
            r#""\ud83d\ude00 \\u0000 \"[[[\" \n""#,
            "[-0.0,1E+5,5e-324,1.7976931348623157e308,18446744073709551615]",
        ] {
            assert_eq!(taken(json), Ok(()), "{json}");
        }
    }

    #[test]
    fn debug_tells_no_content() {
        let raw = RawValue::from_string("\"secret\"".to_owned()).unwrap();
        assert_eq!(format!("{:?}", EventData::new(raw).unwrap()), "EventData(8 bytes)");
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert_eq!(taken(&nested(64)), Ok(()));
        assert_eq!(taken(&nested(65)), Err(DataError::Depth));
        assert_eq!(taken(&nested(100_000)), Err(DataError::Depth));
        assert_eq!(taken(&format!("[{}]", vec!["[]"; 1000].join(","))), Ok(()), "width is not depth");
    }

    #[test]
    fn what_jsonb_cannot_read_is_refused() {
        for (json, error) in [
            (r#""\u0000""#, DataError::Nul),
            (r#"{"\u0000":1}"#, DataError::Nul),
            (r#""\\\u0000""#, DataError::Nul),
            (r#""\ud800""#, DataError::Surrogate),
            (r#""\ud800\n12345""#, DataError::Surrogate),
            (r#""\ud800\ud800""#, DataError::Surrogate),
            (r#""\udc00\ud800""#, DataError::Surrogate),
            ("1e309", DataError::Number),
            ("[1e-99999]", DataError::Number),
            ("-1e999999999999999999999", DataError::Number),
            (&"9".repeat(257), DataError::Number),
        ] {
            assert_eq!(taken(json), Err(error), "{json}");
        }
    }

    proptest! {
        #[test]
        fn what_is_taken_reads_as_a_value(text in "[\\[\\]{}:,\"\\\\ud80cDF0-9eE.+ -]{0,60}") {
            if let Ok(raw) = serde_json::from_str::<Box<RawValue>>(&text)
                && let Ok(data) = EventData::new(raw) {
                prop_assert!(data.to_value().is_ok());
            }
        }

        #[test]
        fn any_text_survives_as_a_string(text in "\\PC{0,80}") {
            let json = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(taken(&json), Ok(()));
        }

        #[test]
        fn the_check_ends_on_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = check(&bytes);
        }
    }
}
