use std::cmp::Ordering;

use serde_json::{Number, Value};

use crate::decimal;
use crate::filter::{Condition, Field, Filter, Operator};

impl Filter {
    /// Whether an event's data passes. SQL twin, which ingest uses: `onering.filter_matches`.
    ///
    /// Numbers compare exactly as they are in `data`; what a double cannot hold was rounded when it was read into it,
    /// while the twin sees every digit.
    #[must_use]
    pub fn matches(&self, data: &Value) -> bool {
        self.fields.iter().all(|field| field.passes(data))
    }
}

impl Field {
    fn passes(&self, data: &Value) -> bool {
        let actual = value_at(data, &self.path);
        self.conditions.iter().any(|condition| condition.holds(actual))
    }
}

impl Condition {
    /// `actual` is `None` where the data has nothing at the path; a null there is something.
    fn holds(&self, actual: Option<&Value>) -> bool {
        let Some(actual) = actual else {
            return *self == Self::Exists(false);
        };
        match self {
            Self::Exists(wanted) => *wanted,
            Self::Equals(scalar) => equal(scalar, actual),
            Self::Prefix(prefix) => actual.as_str().is_some_and(|text| text.starts_with(prefix)),
            Self::AnythingBut(values) => !values.iter().any(|value| equal(value, actual)),
            Self::Numeric(bounds) => match actual {
                Value::Number(number) => bounds.iter().all(|(operator, bound)| operator.holds(number, bound)),
                _ => false,
            },
        }
    }
}

impl Operator {
    fn holds(self, number: &Number, bound: &Number) -> bool {
        let order = decimal::compare(number, bound);
        match self {
            Self::Less => order == Ordering::Less,
            Self::LessOrEqual => order != Ordering::Greater,
            Self::Equal => order == Ordering::Equal,
            Self::GreaterOrEqual => order != Ordering::Less,
            Self::Greater => order == Ordering::Greater,
        }
    }
}

/// Equality with a scalar, under which 1 and 1.0 are the same number.
fn equal(scalar: &Value, actual: &Value) -> bool {
    match (scalar, actual) {
        (Value::Number(one), Value::Number(other)) => decimal::compare(one, other) == Ordering::Equal,
        _ => scalar == actual,
    }
}

/// What Postgres' `data #> string_to_array(path, '.')` finds: members by name, elements by number, negative numbers
/// from the end.
fn value_at<'a>(data: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(data, |value, step| match value {
        Value::Object(members) => members.get(step),
        Value::Array(elements) => {
            let index = i64::from(step.parse::<i32>().ok()?);
            let index = if index < 0 { index.checked_add_unsigned(elements.len() as u64)? } else { index };
            elements.get(usize::try_from(index).ok()?)
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn meet(filter: &Value, data: &Value) -> bool {
        Filter::parse(filter).unwrap().matches(data)
    }

    #[test]
    fn conditions_one_by_one() {
        let data = json!({
            "kind": "gold", "n": 5, "f": 5.0, "nothing": null, "yes": true, "list": [1, {"x": "y"}], "o": {"p": "q"}, "1": "one",
        });
        for (filter, expected) in [
            (json!({}), true),
            (json!({"kind": ["gold"]}), true),
            (json!({"kind": ["Gold", "silver"]}), false),
            (json!({"kind": ["silver", "gold"]}), true),
            (json!({"n": [5.0]}), true),
            (json!({"f": [5]}), true),
            (json!({"n": ["5"]}), false),
            (json!({"yes": [true]}), true),
            (json!({"yes": [1]}), false),
            (json!({"nothing": [null]}), true),
            (json!({"absent": [null]}), false),
            (json!({"nothing": [{"exists": true}]}), true),
            (json!({"absent": [{"exists": true}]}), false),
            (json!({"absent": [{"exists": false}]}), true),
            (json!({"kind": [{"exists": false}]}), false),
            (json!({"kind": [{"prefix": "go"}]}), true),
            (json!({"kind": [{"prefix": "old"}]}), false),
            (json!({"n": [{"prefix": ""}]}), false),
            (json!({"kind": [{"anything-but": ["silver"]}]}), true),
            (json!({"kind": [{"anything-but": ["silver", "gold"]}]}), false),
            (json!({"f": [{"anything-but": [5]}]}), false),
            (json!({"absent": [{"anything-but": ["x"]}]}), false),
            (json!({"nothing": [{"anything-but": [null]}]}), false),
            (json!({"list": [{"anything-but": [1]}]}), true),
            (json!({"n": [{"numeric": ["=", 5.0]}]}), true),
            (json!({"n": [{"numeric": [">", 5]}]}), false),
            (json!({"n": [{"numeric": [">=", 5, "<", 5.1]}]}), true),
            (json!({"n": [{"numeric": ["<=", 4]}, {"numeric": [">", 4]}]}), true),
            (json!({"kind": [{"numeric": [">", 0]}]}), false),
            (json!({"absent": [{"numeric": [">", 0]}]}), false),
            (json!({"o.p": ["q"]}), true),
            (json!({"o.p.r": ["q"]}), false),
            (json!({"list.0": [1]}), true),
            (json!({"list.1.x": ["y"]}), true),
            (json!({"list.-1.x": ["y"]}), true),
            (json!({"list.-3": [{"exists": true}]}), false),
            (json!({"list.2": [{"exists": true}]}), false),
            (json!({"list.x": [{"exists": true}]}), false),
            (json!({"list.99999999999999999999": [{"exists": true}]}), false),
            (json!({"1": ["one"]}), true),
            (json!({"kind": ["gold"], "n": [6]}), false),
        ] {
            assert_eq!(meet(&filter, &data), expected, "{filter}");
        }
    }

    #[test]
    fn data_that_is_no_object_has_no_members() {
        for data in [json!(null), json!(1), json!("kind"), json!([])] {
            assert!(!meet(&json!({"kind": ["gold"]}), &data), "{data}");
            assert!(meet(&json!({"kind": [{"exists": false}]}), &data), "{data}");
        }
        assert!(meet(&json!({"0": [7]}), &json!([7])));
    }
}
