//! [`Label`]: a dimension with a bound.

use std::collections::BTreeSet;
use std::sync::{PoisonError, RwLock};

/// What a value beyond the bound is counted as.
const OTHER: &str = "other";

/// A label and the values it may take. Whatever else comes is counted as `other`, so a stream of strange values
/// cannot grow the process or the monitoring system.
#[derive(Debug)]
pub struct Label {
    name: String,
    bound: Bound,
}

#[derive(Debug)]
enum Bound {
    Closed(BTreeSet<String>),
    First { max: usize, seen: RwLock<BTreeSet<String>> },
}

impl Label {
    /// A label that takes these values.
    #[must_use]
    pub fn of<V: Into<String>>(name: impl Into<String>, values: impl IntoIterator<Item = V>) -> Self {
        Self { name: name.into(), bound: Bound::Closed(values.into_iter().map(Into::into).collect()) }
    }

    /// A label that takes the first `max` different values it meets: for values that are few but not known before,
    /// such as the prefixes of a route table. Never for ids.
    #[must_use]
    pub fn first(name: impl Into<String>, max: usize) -> Self {
        Self { name: name.into(), bound: Bound::First { max, seen: RwLock::default() } }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The value to count `value` as.
    pub(crate) fn admit<'v>(&self, value: &'v str) -> &'v str {
        let admitted = match &self.bound {
            Bound::Closed(values) => values.contains(value),
            Bound::First { max, seen } => {
                let known = seen.read().unwrap_or_else(PoisonError::into_inner).contains(value);
                known || {
                    let mut seen = seen.write().unwrap_or_else(PoisonError::into_inner);
                    seen.contains(value) || (seen.len() < *max && seen.insert(value.to_owned()))
                }
            }
        };
        if admitted { value } else { OTHER }
    }

    /// The values, where they are known before any was met.
    pub(crate) fn known_values(&self) -> Option<Vec<&str>> {
        match &self.bound {
            Bound::Closed(values) => Some(values.iter().map(String::as_str).collect()),
            Bound::First { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_label_takes_its_values_only() {
        let label = Label::of("tier", ["free", "pro"]);
        assert_eq!(["free", "pro", "huge"].map(|value| label.admit(value)), ["free", "pro", "other"]);
    }

    #[test]
    fn an_open_label_takes_the_first_values_and_keeps_them() {
        let label = Label::first("route", 2);
        assert_eq!(["/a", "/b", "/c", "/a", "/b"].map(|value| label.admit(value)), ["/a", "/b", "other", "/a", "/b"]);
    }
}
