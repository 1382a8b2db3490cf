use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How a subscription stands: who disabled it, why and since when are known exactly while it is disabled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubscriptionState {
    /// Its deliveries go out.
    Active,
    /// Paused, by its owner or by an operator for it.
    Paused,
    /// Disabled by an operator or by the platform.
    Disabled(Disablement),
}

/// That a subscription was disabled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disablement {
    /// By whom.
    pub by: DisabledBy,
    /// Why, for people.
    pub reason: String,
    /// Since when.
    pub at: DateTime<Utc>,
}

/// Who disabled a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DisabledBy {
    /// The platform, because the receiver answered 410 or failed for days.
    Platform,
    /// An operator.
    Operator,
}

/// Whether a subscription's deliveries go out. Unless active they are held, not lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SubscriptionStatus {
    /// They go out.
    Active,
    /// Paused by its owner.
    Paused,
    /// Disabled by an operator or by the platform.
    Disabled,
}

/// The text names no status of a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the status of a subscription is active, paused or disabled")]
pub struct UnknownStatus;

/// The text names nobody who disables subscriptions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a subscription is disabled by platform or operator")]
pub struct UnknownDisabledBy;

impl SubscriptionState {
    /// The state without its particulars.
    #[must_use]
    pub const fn status(&self) -> SubscriptionStatus {
        match self {
            Self::Active => SubscriptionStatus::Active,
            Self::Paused => SubscriptionStatus::Paused,
            Self::Disabled(_) => SubscriptionStatus::Disabled,
        }
    }

    /// Who disabled it, why and since when; `None` unless it is disabled.
    #[must_use]
    pub const fn disablement(&self) -> Option<&Disablement> {
        match self {
            Self::Active | Self::Paused => None,
            Self::Disabled(disablement) => Some(disablement),
        }
    }

    /// Disables it. If it was disabled before, the new name and reason replace the old ones and the time stays.
    pub fn disable(&mut self, by: DisabledBy, reason: &str, now: DateTime<Utc>) {
        let at = self.disablement().map_or(now, |earlier| earlier.at);
        *self = Self::Disabled(Disablement { by, reason: reason.to_owned(), at });
    }
}

impl DisabledBy {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Platform, Self::Operator];

    /// The word in rows and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Platform => "platform",
            Self::Operator => "operator",
        }
    }

    /// Whether the subscription's owner may undo it: a receiver that is back is the owner's to say, an operator's
    /// decision is not.
    #[must_use]
    pub const fn owner_may_undo(self) -> bool {
        match self {
            Self::Platform => true,
            Self::Operator => false,
        }
    }
}

impl FromStr for DisabledBy {
    type Err = UnknownDisabledBy;

    fn from_str(text: &str) -> Result<Self, UnknownDisabledBy> {
        Self::ALL.into_iter().find(|by| by.as_str() == text).ok_or(UnknownDisabledBy)
    }
}

impl Serialize for DisabledBy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl SubscriptionStatus {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Active, Self::Paused, Self::Disabled];

    /// The word in rows and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Disabled => "disabled",
        }
    }
}

impl FromStr for SubscriptionStatus {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, UnknownStatus> {
        Self::ALL.into_iter().find(|status| status.as_str() == text).ok_or(UnknownStatus)
    }
}

impl fmt::Display for SubscriptionStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl Serialize for SubscriptionStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for SubscriptionStatus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn text_and_status_are_the_same_thing() {
        for status in SubscriptionStatus::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
            assert_eq!(serde_json::from_value::<SubscriptionStatus>(json!(status)).unwrap(), status);
        }
        assert_eq!("ACTIVE".parse::<SubscriptionStatus>(), Err(UnknownStatus));
    }

    #[test]
    fn text_and_who_disabled_it_are_the_same_thing() {
        for by in DisabledBy::ALL {
            assert_eq!((by.as_str().parse(), json!(by)), (Ok(by), json!(by.as_str())));
        }
        assert_eq!("owner".parse::<DisabledBy>(), Err(UnknownDisabledBy));
    }

    #[test]
    fn an_operators_word_replaces_the_platforms_and_binds_the_owner() {
        let (first, later) = (DateTime::UNIX_EPOCH, DateTime::UNIX_EPOCH + chrono::TimeDelta::seconds(1));
        let mut state = SubscriptionState::Paused;
        assert_eq!((state.status(), state.disablement()), (SubscriptionStatus::Paused, None));
        state.disable(DisabledBy::Platform, "answered 410", first);
        assert!(state.disablement().is_some_and(|disablement| disablement.by.owner_may_undo()));
        state.disable(DisabledBy::Operator, "noisy", later);
        let expected = Disablement { by: DisabledBy::Operator, reason: "noisy".to_owned(), at: first };
        assert_eq!((state.status(), state.disablement()), (SubscriptionStatus::Disabled, Some(&expected)));
        assert!(!expected.by.owner_may_undo());
    }
}
