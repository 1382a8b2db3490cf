//! [`Values`]: what was given, before anything is made of it.

use std::collections::BTreeMap;
use std::fmt;

use crate::error::{SettingProblem, SettingWarning};
use crate::table;

/// The variables that were given, by name, and a few facts about the machine that defaults are made from.
///
/// Reading settings from it is pure: programs gather it with [`Values::from_process`], tests with
/// [`Values::from_map`].
#[derive(Clone, PartialEq, Eq)]
pub struct Values {
    given: BTreeMap<String, String>,
    problems: Vec<SettingProblem>,
    pub(crate) machine: Machine,
}

/// What computed defaults are made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Machine {
    /// Tells this process from its replicas; `None` in tests.
    pub(crate) process_suffix: Option<String>,
    /// Processor cores.
    pub(crate) cores: usize,
}

impl Default for Machine {
    fn default() -> Self {
        Self { process_suffix: None, cores: 1 }
    }
}

impl Values {
    /// Takes variables by name. An empty text counts as not set. Reads nothing from outside, so `_FILE`
    /// variants are not followed here.
    #[must_use]
    pub fn from_map<K, V>(given: impl IntoIterator<Item = (K, V)>) -> Self
    where
        K: Into<String>,
        V: Into<String>,
    {
        Self::new(
            given.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
            Vec::new(),
            Machine::default(),
        )
    }

    pub(crate) fn new(mut given: BTreeMap<String, String>, problems: Vec<SettingProblem>, machine: Machine) -> Self {
        given.retain(|_, value| !value.trim().is_empty());
        Self { given, problems, machine }
    }

    /// The same values with one more (or another) given.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        if value.trim().is_empty() {
            self.given.remove(name);
        } else {
            self.given.insert(name.to_owned(), value.to_owned());
        }
        self
    }

    /// What was given under that name, without surrounding white space.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.given.get(name).map(|value| value.trim())
    }

    /// What went wrong while the values were gathered.
    pub(crate) fn problems(&self) -> &[SettingProblem] {
        &self.problems
    }

    /// Names given that the platform does not know: most likely misspelt.
    pub(crate) fn unknown(&self) -> Vec<SettingWarning> {
        self.given
            .keys()
            .filter(|name| table::find(name).is_none())
            .map(|name| SettingWarning {
                variable: name.clone(),
                warning: match closest(name) {
                    Some(known) => format!("is not known and changes nothing; did you mean {known}?"),
                    None => "is not known and changes nothing".to_owned(),
                },
            })
            .collect()
    }
}

/// Shows names only: values may be secrets.
impl fmt::Debug for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.given.keys()).finish()
    }
}

/// The known name that `name` is most likely a slip of: at most three letters away.
fn closest(name: &str) -> Option<&'static str> {
    crate::VARIABLES
        .iter()
        .map(|variable| (distance(name, variable.name), variable.name))
        .min()
        .filter(|(distance, _)| *distance <= 3)
        .map(|(_, known)| known)
}

/// Letters to insert, remove or change to get from `a` to `b` (Levenshtein), one row at a time.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, letter) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, other) in b.bytes().enumerate() {
            let changed = diagonal + usize::from(letter != other);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_letters() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("same", "same"), 0);
    }

    #[test]
    fn unknown_names_are_reported_with_the_nearest_known_one() {
        let values = Values::from_map([
            ("ONERING_WEBHOOK_ENABLED", "1"),
            ("ONERING_ENTIRELY_ELSE", "1"),
            ("ONERING_BIND", "127.0.0.1:1"),
        ]);
        let warnings: Vec<String> = values.unknown().iter().map(ToString::to_string).collect();
        assert_eq!(
            warnings,
            [
                "ONERING_ENTIRELY_ELSE: is not known and changes nothing",
                "ONERING_WEBHOOK_ENABLED: is not known and changes nothing; did you mean ONERING_WEBHOOKS_ENABLED?",
            ]
        );
    }

    #[test]
    fn an_empty_value_counts_as_not_set() {
        let values = Values::from_map([("ONERING_BIND", "  "), ("ONERING_LOG", " debug ")]);
        assert_eq!(values.get("ONERING_BIND"), None);
        assert_eq!(values.get("ONERING_LOG"), Some("debug"));
    }

    #[test]
    fn debug_shows_names_and_no_values() {
        let shown = format!("{:?}", Values::from_map([("REDIS_URL", "redis://:hunter2@h")]));
        assert_eq!(shown, r#"{"REDIS_URL"}"#);
    }
}
