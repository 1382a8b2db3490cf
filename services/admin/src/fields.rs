//! Values of request bodies that are read the same way everywhere. A value that is wrong is refused while the body is read,
//! so that the problem names its path.

use chrono::{DateTime, TimeDelta, Utc};
use ipnet::IpNet;
use onering_keys::parse_cidr;
use onering_problem::Problem;
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// A name for people: 1–200 characters, none of them a control character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name(pub(crate) String);

/// A reason for people: at most 500 characters, none of them a control character.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Reason(pub(crate) String);

/// The operator's own notes: a JSON object of at most 4 KiB, since every page of a list shows them all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Notes(Map<String, Value>);

/// A JSON object to store. `jsonb` writes numbers out in all their digits, and near the end of a double's range our reader takes
/// the many digits for more than a double: a row that could be written and never read again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct JsonObject(pub(crate) Map<String, Value>);

/// An address or a block of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cidr(pub(crate) IpNet);

/// Days until something expires: 1–3650.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Days(u16);

const LONGEST_NAME: usize = 200;
const LONGEST_REASON: usize = 500;
const LARGEST_NOTES: usize = 4096;
const LARGEST_NUMBER: f64 = 1e308;
const MOST_DAYS: u16 = 3650;

fn plain(text: &str, longest: usize) -> bool {
    text.chars().count() <= longest && !text.contains(char::is_control)
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.trim().is_empty() || !plain(&text, LONGEST_NAME) {
            let rule = format!("a name has 1 to {LONGEST_NAME} characters, none of them a control character");
            return Err(D::Error::custom(rule));
        }
        Ok(Self(text))
    }
}

impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if !plain(&text, LONGEST_REASON) {
            let rule = format!("a reason has at most {LONGEST_REASON} characters, none of them a control character");
            return Err(D::Error::custom(rule));
        }
        Ok(Self(text))
    }
}

impl<'de> Deserialize<'de> for Notes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let JsonObject(notes) = JsonObject::deserialize(deserializer)?;
        let bytes = Value::Object(notes.clone()).to_string().len();
        if bytes > LARGEST_NOTES {
            return Err(D::Error::custom(format!("metadata has at most {LARGEST_NOTES} bytes as JSON, not {bytes}")));
        }
        Ok(Self(notes))
    }
}

impl<'de> Deserialize<'de> for JsonObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let members = Map::deserialize(deserializer)?;
        if members.values().all(can_be_read_back) {
            return Ok(Self(members));
        }
        Err(D::Error::custom("a number lies between -1e308 and 1e308"))
    }
}

fn can_be_read_back(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.as_f64().is_none_or(|number| number.abs() <= LARGEST_NUMBER),
        Value::Array(items) => items.iter().all(can_be_read_back),
        Value::Object(members) => members.values().all(can_be_read_back),
        Value::Null | Value::Bool(_) | Value::String(_) => true,
    }
}

impl From<Notes> for Value {
    fn from(Notes(notes): Notes) -> Self {
        Self::Object(notes)
    }
}

impl<'de> Deserialize<'de> for Cidr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parse_cidr(&String::deserialize(deserializer)?).map(Self).map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Days {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let days = i64::deserialize(deserializer)?;
        let good = u16::try_from(days).ok().filter(|days| (1..=MOST_DAYS).contains(days));
        good.map(Self).ok_or_else(|| D::Error::custom(format!("must be from 1 to {MOST_DAYS} days")))
    }
}

/// Keeps "null" and "left out" apart: `#[serde(default, deserialize_with = "given")]`.
pub(crate) fn given<'de, T, D>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::deserialize(deserializer).map(Some)
}

/// One field that has two names. Both may be given when they say the same.
pub(crate) fn either<T: PartialEq>(
    field: Option<T>,
    alias: &'static str,
    aliased: Option<T>,
) -> Result<Option<T>, Problem> {
    match (field, aliased) {
        (Some(value), Some(other)) if value != other => {
            Err(Problem::invalid(alias, format!("{alias} is another name of a field that says something else here.")))
        }
        (Some(value), _) | (None, Some(value)) => Ok(Some(value)),
        (None, None) => Ok(None),
    }
}

/// A value that cannot be null.
pub(crate) fn required<T>(field: &'static str, wanted: Option<Option<T>>) -> Result<Option<T>, Problem> {
    match wanted {
        Some(None) => Err(Problem::invalid(field, format!("{field} must not be null; leave it out to keep it."))),
        Some(value) => Ok(value),
        None => Ok(None),
    }
}

/// An end that may be given as an instant or in days. `None`: nothing is said; `Some(None)`: no end.
pub(crate) fn expiry(
    at: Option<Option<DateTime<Utc>>>,
    in_days: Option<Option<Days>>,
    now: DateTime<Utc>,
) -> Result<Option<Option<DateTime<Utc>>>, Problem> {
    match (at, in_days) {
        (Some(_), Some(_)) => {
            Err(Problem::invalid("expires_in_days", "Give either expires_at or expires_in_days, not both."))
        }
        (Some(Some(at)), None) if at <= now => {
            Err(Problem::invalid("expires_at", "expires_at must lie in the future."))
        }
        (Some(at), None) => Ok(Some(at)),
        (None, Some(days)) => Ok(Some(days.map(|Days(days)| now + TimeDelta::days(days.into())))),
        (None, None) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn texts_are_bounded_and_plain() {
        let name = |text: &str| serde_json::from_value::<Name>(json!(text)).is_ok();
        assert!(name("Ada's key") && name(&"x".repeat(200)));
        assert!(!name("") && !name("  ") && !name("a\nb") && !name(&"x".repeat(201)));
        assert!(serde_json::from_value::<Reason>(json!("")).is_ok());
        assert!(serde_json::from_value::<Reason>(json!("x".repeat(501))).is_err());
        assert!(serde_json::from_value::<Cidr>(json!("10.0.0.0/33")).is_err());
        for days in [json!(0), json!(-1), json!(3651), json!(1.5), json!("7")] {
            assert!(serde_json::from_value::<Days>(days.clone()).is_err(), "{days}");
        }
    }

    #[test]
    fn an_alias_may_repeat_and_not_contradict() {
        assert_eq!(either(Some(1), "b", Some(1)), Ok(Some(1)));
        assert_eq!(either(None, "b", Some(2)), Ok(Some(2)));
        assert_eq!(either(Some(1), "b", Some(2)).unwrap_err().field.as_deref(), Some("b"));
    }

    #[test]
    fn an_end_lies_ahead_or_is_taken_away() {
        let now: DateTime<Utc> = "2026-11-22T00:00:00Z".parse().unwrap();
        assert_eq!(expiry(None, None, now), Ok(None));
        assert_eq!(expiry(Some(None), None, now), Ok(Some(None)));
        assert_eq!(expiry(None, Some(Some(Days(1))), now), Ok(Some(Some(now + TimeDelta::days(1)))));
        assert_eq!(expiry(Some(Some(now)), None, now).unwrap_err().field.as_deref(), Some("expires_at"));
        let both = expiry(Some(Some(now)), Some(None), now).unwrap_err();
        assert_eq!(both.field.as_deref(), Some("expires_in_days"));
    }
}
