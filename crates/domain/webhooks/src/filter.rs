use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::{Map, Number, Value, json};

/// Conditions on an event's data that a subscription makes: `{"kind": ["gold", "silver"], "amount": [{"numeric": [">", 5]}]}`.
///
/// Each field is a dotted path into the data with a list of conditions. Every field must pass; it does when any of its
/// conditions holds. A condition is a scalar (equality), `{"exists": bool}`, `{"prefix": text}`,
/// `{"anything-but": [scalars]}` or `{"numeric": [op, number, …]}` with `<`, `<=`, `=`, `>=` or `>`.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    pub(crate) fields: Vec<Field>,
}

/// One path and the conditions on what is there.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Field {
    pub(crate) path: String,
    pub(crate) conditions: Vec<Condition>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Condition {
    /// A string, number, boolean or null.
    Equals(Value),
    Exists(bool),
    Prefix(String),
    /// Scalars.
    AnythingBut(Vec<Value>),
    Numeric(Vec<(Operator, Number)>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Less,
    LessOrEqual,
    Equal,
    GreaterOrEqual,
    Greater,
}

/// Why a filter is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{rule}")]
pub struct FilterError {
    /// Where: a path such as `.kind[1]` inside the filter; empty for the filter itself.
    pub at: String,
    /// The rule that is broken.
    pub rule: &'static str,
}

const SCALARS: &str = "must be strings, numbers, booleans or null";
const CONDITION: &str = "a condition is a string, number, boolean, null, or an object with one of exists, prefix, \
                         anything-but, numeric";
const NUMERIC: &str = "numeric takes 1 to 4 pairs of an operator (<, <=, =, >=, >) and a number";

impl Filter {
    /// The most fields a filter may have.
    pub const MAX_FIELDS: usize = 10;
    /// The most conditions a field may have, and the most values in `anything-but`.
    pub const MAX_CONDITIONS: usize = 20;
    /// The most bytes a path may have.
    pub const MAX_PATH_LENGTH: usize = 256;
    /// The most steps a path may take.
    pub const MAX_PATH_DEPTH: usize = 10;
    /// The largest number to compare with, either way.
    pub const LARGEST_NUMBER: f64 = 1e308;
    /// The most bytes a text to compare with may have.
    pub const MAX_TEXT_LENGTH: usize = 1024;

    /// Reads a filter.
    ///
    /// # Errors
    /// When it is not of the language above or exceeds a bound; never panics, whatever the value.
    pub fn parse(value: &Value) -> Result<Self, FilterError> {
        let Value::Object(members) = value else {
            return Err(FilterError::at("", "a filter is an object"));
        };
        if members.len() > Self::MAX_FIELDS {
            return Err(FilterError::at("", "a filter has at most 10 fields"));
        }
        let fields = members.iter().map(|(path, conditions)| {
            field(path, conditions).map_err(|error| error.beneath(&format!(".{}", shown(path))))
        });
        Ok(Self { fields: fields.collect::<Result<_, _>>()? })
    }

    /// The filter as JSON, as rows hold it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let fields = self.fields.iter().map(|field| {
            let conditions = field.conditions.iter().map(Condition::to_json).collect();
            (field.path.clone(), Value::Array(conditions))
        });
        Value::Object(fields.collect::<Map<_, _>>())
    }
}

impl Serialize for Filter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(serializer)
    }
}

impl FilterError {
    fn at(at: impl Into<String>, rule: &'static str) -> Self {
        Self { at: at.into(), rule }
    }

    fn beneath(self, parent: &str) -> Self {
        Self { at: format!("{parent}{}", self.at), ..self }
    }
}

/// A path as error messages repeat it: not longer than a good one.
fn shown(path: &str) -> String {
    path.chars().filter(|character| !character.is_control()).take(64).collect()
}

fn field(path: &str, conditions: &Value) -> Result<Field, FilterError> {
    let steps_are_good = path.split('.').all(|step| !step.is_empty() && step.trim() == step);
    if !steps_are_good || path.chars().any(char::is_control) {
        return Err(FilterError::at("", "a path is made of member names joined by dots"));
    }
    if path.len() > Filter::MAX_PATH_LENGTH || path.split('.').count() > Filter::MAX_PATH_DEPTH {
        return Err(FilterError::at("", "a path has at most 10 steps and 256 characters"));
    }
    let Value::Array(conditions) = conditions else {
        return Err(FilterError::at("", "the conditions of a field are an array"));
    };
    if conditions.is_empty() || conditions.len() > Filter::MAX_CONDITIONS {
        return Err(FilterError::at("", "a field has 1 to 20 conditions"));
    }
    let conditions = conditions
        .iter()
        .enumerate()
        .map(|(index, value)| condition(value).map_err(|rule| FilterError::at(format!("[{index}]"), rule)));
    Ok(Field { path: path.to_owned(), conditions: conditions.collect::<Result<_, _>>()? })
}

fn condition(value: &Value) -> Result<Condition, &'static str> {
    let members = match value {
        Value::Object(members) => members,
        Value::Array(_) => return Err(CONDITION),
        scalar => return checked_scalar(scalar).map(Condition::Equals),
    };
    let mut members = members.iter();
    let (Some((name, operand)), None) = (members.next(), members.next()) else {
        return Err(CONDITION);
    };
    match (name.as_str(), operand) {
        ("exists", Value::Bool(wanted)) => Ok(Condition::Exists(*wanted)),
        ("exists", _) => Err("exists takes true or false"),
        ("prefix", Value::String(prefix)) => checked_text(prefix).map(|()| Condition::Prefix(prefix.clone())),
        ("prefix", _) => Err("prefix takes a string"),
        ("anything-but", Value::Array(values)) if (1..=Filter::MAX_CONDITIONS).contains(&values.len()) => {
            values.iter().map(checked_scalar).collect::<Result<_, _>>().map(Condition::AnythingBut)
        }
        ("anything-but", _) => Err("anything-but takes an array of 1 to 20 values"),
        ("numeric", Value::Array(pairs)) if matches!(pairs.len(), 2 | 4 | 6 | 8) => {
            pairs.chunks(2).map(comparison).collect::<Result<_, _>>().map(Condition::Numeric)
        }
        ("numeric", _) => Err(NUMERIC),
        _ => Err(CONDITION),
    }
}

fn comparison(pair: &[Value]) -> Result<(Operator, Number), &'static str> {
    match pair {
        [Value::String(operator), Value::Number(bound)] => {
            checked_number(bound)?;
            Ok((Operator::parse(operator).ok_or(NUMERIC)?, bound.clone()))
        }
        _ => Err(NUMERIC),
    }
}

fn checked_scalar(value: &Value) -> Result<Value, &'static str> {
    match value {
        Value::Object(_) | Value::Array(_) => return Err(SCALARS),
        Value::String(text) => checked_text(text)?,
        Value::Number(number) => checked_number(number)?,
        Value::Null | Value::Bool(_) => {}
    }
    Ok(value.clone())
}

/// `jsonb` writes a number out in all its digits, and near the end of a double's range our reader takes them for more than a
/// double: a subscription that could be written and never read again.
fn checked_number(number: &Number) -> Result<(), &'static str> {
    let fits = number.as_f64().is_none_or(|number| number.abs() <= Filter::LARGEST_NUMBER);
    if fits { Ok(()) } else { Err("a number lies between -1e308 and 1e308") }
}

fn checked_text(text: &str) -> Result<(), &'static str> {
    if text.len() > Filter::MAX_TEXT_LENGTH {
        Err("a text has at most 1024 bytes")
    } else if text.contains('\0') {
        Err("a text cannot hold the character U+0000")
    } else {
        Ok(())
    }
}

impl Condition {
    fn to_json(&self) -> Value {
        match self {
            Self::Equals(scalar) => scalar.clone(),
            Self::Exists(wanted) => json!({ "exists": wanted }),
            Self::Prefix(prefix) => json!({ "prefix": prefix }),
            Self::AnythingBut(values) => json!({ "anything-but": values }),
            Self::Numeric(pairs) => {
                let flat = pairs
                    .iter()
                    .flat_map(|(operator, bound)| [Value::from(operator.to_string()), Value::Number(bound.clone())]);
                json!({ "numeric": flat.collect::<Vec<_>>() })
            }
        }
    }
}

impl Operator {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "<" => Self::Less,
            "<=" => Self::LessOrEqual,
            "=" => Self::Equal,
            ">=" => Self::GreaterOrEqual,
            ">" => Self::Greater,
            _ => return None,
        })
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Equal => "=",
            Self::GreaterOrEqual => ">=",
            Self::Greater => ">",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_filter_survives_its_row() {
        let value = json!({
            "kind": ["gold", null, true, 1.5],
            "a.b.0": [{"exists": false}, {"prefix": ""}],
            "n": [{"anything-but": [1, "x", null]}, {"numeric": [">", 1, "<=", 2.5]}],
        });
        let filter = Filter::parse(&value).unwrap();
        assert_eq!(filter.to_json(), value);
        assert_eq!(serde_json::to_value(&filter).unwrap(), value);
        assert_eq!(Filter::parse(&json!({})).unwrap().to_json(), json!({}));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let many_fields: Map<_, _> = (0..11).map(|n| (n.to_string(), json!([1]))).collect();
        for (value, at) in [
            (json!([]), ""),
            (json!(null), ""),
            (Value::Object(many_fields), ""),
            (json!({"a": "b"}), ".a"),
            (json!({"a": []}), ".a"),
            (json!({"a": vec![1; 21]}), ".a"),
            (json!({"": [1]}), "."),
            (json!({"a..b": [1]}), ".a..b"),
            (json!({" a": [1]}), ". a"),
            (json!({"a\u{0}b": [1]}), ".ab"),
            (json!({"a.b.c.d.e.f.g.h.i.j.k": [1]}), ".a.b.c.d.e.f.g.h.i.j.k"),
            (json!({"a": [1, [2]]}), ".a[1]"),
            (json!({"a": [{}]}), ".a[0]"),
            (json!({"a": [{"exists": true, "prefix": "x"}]}), ".a[0]"),
            (json!({"a": [{"exists": "yes"}]}), ".a[0]"),
            (json!({"a": [{"suffix": "x"}]}), ".a[0]"),
            (json!({"a": [{"prefix": 1}]}), ".a[0]"),
            (json!({"a": ["\u{0}"]}), ".a[0]"),
            (json!({"a": ["x".repeat(1025)]}), ".a[0]"),
            (json!({"a": [{"anything-but": []}]}), ".a[0]"),
            (json!({"a": [{"anything-but": [[1]]}]}), ".a[0]"),
            (json!({"a": [{"anything-but": "x"}]}), ".a[0]"),
            (json!({"a": [{"numeric": []}]}), ".a[0]"),
            (json!({"a": [{"numeric": [">"]}]}), ".a[0]"),
            (json!({"a": [{"numeric": ["!", 1]}]}), ".a[0]"),
            (json!({"a": [{"numeric": [">", "1"]}]}), ".a[0]"),
            (json!({"a": [{"numeric": [">", -1.1e308]}]}), ".a[0]"),
            (json!({"a": [f64::MAX]}), ".a[0]"),
            (json!({"a": [{"numeric": [">", 1, ">", 1, ">", 1, ">", 1, ">", 1]}]}), ".a[0]"),
        ] {
            assert_eq!(Filter::parse(&value).map_err(|error| error.at), Err(at.to_owned()), "{value}");
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let words =
            prop::sample::select(vec!["exists", "prefix", "anything-but", "numeric", "<", ">=", "a", "a.b", ""]);
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            words.clone().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 5, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::vec((words.clone(), inner), 0..4).prop_map(|members| {
                    Value::Object(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_value_is_taken_or_refused(value in any_json(), data in any_json()) {
            if let Ok(filter) = Filter::parse(&value) {
                let kept = filter.to_json();
                prop_assert_eq!(&kept, &value);
                prop_assert_eq!(Filter::parse(&kept), Ok(filter.clone()));
                let _ = filter.matches(&data);
            }
        }
    }
}
