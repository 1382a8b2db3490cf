use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What happened, such as `ring.forged`: words of letters, digits, `_` and `-`, joined by `.` or `/`; at most 128 bytes.
/// Table `event_types` and `onering.publish_event` hold the same rule. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventType(Arc<str>);

/// The text is no event type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "an event type looks like ring.forged: words of letters, digits, _ and -, joined by . or /, at most {} characters",
    EventType::MAX_LENGTH
)]
pub struct EventTypeError;

impl EventType {
    /// The most bytes an event type may have.
    pub const MAX_LENGTH: usize = 128;

    /// The type of the event that a subscription's test call sends.
    #[must_use]
    pub fn webhook_test() -> Self {
        Self(Arc::from("webhook.test"))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_event_type(text: &str) -> bool {
    text.len() <= EventType::MAX_LENGTH
        && text.split(['.', '/']).all(|word| {
            !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
        })
}

impl FromStr for EventType {
    type Err = EventTypeError;

    fn from_str(text: &str) -> Result<Self, EventTypeError> {
        if is_event_type(text) { Ok(Self(Arc::from(text))) } else { Err(EventTypeError) }
    }
}

/// Which event types a subscription wants: one type, a dotted prefix such as `ring.*`, or `*` for all.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventPattern(Arc<str>);

/// The text is no pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a pattern is an event type such as ring.forged, a dotted prefix such as ring.*, or * for every event")]
pub struct PatternError;

impl EventPattern {
    const ANY: &'static str = "*";
    const ANY_BENEATH: &'static str = ".*";

    /// Whether events of this type are wanted. SQL twin: `onering.event_patterns`.
    #[must_use]
    pub fn matches(&self, event_type: &EventType) -> bool {
        if &*self.0 == Self::ANY {
            return true;
        }
        match self.0.strip_suffix(Self::ANY_BENEATH) {
            Some(prefix) => event_type.as_str().strip_prefix(prefix).is_some_and(|rest| rest.starts_with('.')),
            None => self.0 == event_type.0,
        }
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EventPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let exact = text.strip_suffix(Self::ANY_BENEATH).unwrap_or(text);
        if text == Self::ANY || is_event_type(exact) { Ok(Self(Arc::from(text))) } else { Err(PatternError) }
    }
}

/// The one outside form of both is their text.
macro_rules! as_text {
    ($($name:ident)+) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, formatter)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}

as_text!(EventType EventPattern);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn event_type(text: &str) -> EventType {
        text.parse().unwrap()
    }

    fn pattern(text: &str) -> EventPattern {
        text.parse().unwrap()
    }

    #[test]
    fn event_types() {
        for text in ["a", "ring.forged", "test/webhook", "A-1_b.c/d", &"x".repeat(128)] {
            assert_eq!(event_type(text).to_string(), text);
        }
        for text in ["", ".", "a.", ".a", "a..b", "a/", "a b", "*", "ring.*", "é", "a\n", "a\0", &"x".repeat(129)] {
            assert_eq!(text.parse::<EventType>(), Err(EventTypeError), "{text:?}");
        }
    }

    #[test]
    fn patterns() {
        for text in ["", "**", "*.forged", "ring*", "ring.*.x", ".*", "ring/*", "ring.**", "ring..*"] {
            assert_eq!(text.parse::<EventPattern>(), Err(PatternError), "{text:?}");
        }
        for (wanted, given, meet) in [
            ("*", "ring.forged", true),
            ("ring.forged", "ring.forged", true),
            ("ring.forged", "ring.forged.twice", false),
            ("ring.forged", "Ring.forged", false),
            ("ring.*", "ring.forged", true),
            ("ring.*", "ring.forged.twice", true),
            ("ring.*", "ring", false),
            ("ring.*", "rings.forged", false),
            ("ring.*", "ring/forged", false),
            ("a/b.*", "a/b.c", true),
        ] {
            assert_eq!(pattern(wanted).matches(&event_type(given)), meet, "{wanted} {given}");
        }
    }

    /// The list that `onering.event_patterns` makes of a type, in Rust.
    fn patterns_of(event_type: &str) -> Vec<String> {
        let dots = event_type.match_indices('.').map(|(at, _)| format!("{}.*", &event_type[..at]));
        ["*".to_owned(), event_type.to_owned()].into_iter().chain(dots).collect()
    }

    proptest! {
        #[test]
        fn matching_is_being_in_the_list_of_sql(given in "[ab]([./][ab]){0,4}", wanted in "[*]|[ab]([./][ab]){0,3}([.][*])?") {
            let meet = pattern(&wanted).matches(&event_type(&given));
            prop_assert_eq!(meet, patterns_of(&given).contains(&wanted));
        }

        #[test]
        fn any_text_is_taken_or_refused(text in "\\PC{0,140}") {
            if let Ok(parsed) = text.parse::<EventType>() {
                prop_assert_eq!(parsed.as_str(), text.as_str());
                prop_assert!(pattern(&text).matches(&parsed));
            }
        }
    }
}
