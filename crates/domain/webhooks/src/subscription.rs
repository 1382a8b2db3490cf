use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use onering_delivery::Standing;
use onering_ids::{OwnerId, SubscriptionId};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::event_type::EventType;
use crate::settings::SubscriptionSettings;

/// A partner's wish to be told of events: what its owner decides, and how it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscription {
    /// Which one.
    pub webhook_id: SubscriptionId,
    /// Whose events are delivered.
    pub owner_id: OwnerId,
    /// What its owner decides.
    pub settings: SubscriptionSettings,
    /// Whether deliveries go out.
    pub status: SubscriptionStatus,
    /// Why it is disabled, for people; `None` unless it is.
    pub disabled_reason: Option<String>,
    /// Since when it is disabled.
    pub disabled_at: Option<DateTime<Utc>>,
    /// The first failure since the last success; `None` while it succeeds.
    pub failing_since: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
    /// When it was deleted: it matches nothing any more.
    pub deleted_at: Option<DateTime<Utc>>,
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

impl Subscription {
    /// Whether an event of this type and data is to be delivered to it. SQL twin: `onering.ingest_events`.
    #[must_use]
    pub fn wants(&self, event_type: &EventType, data: &Value) -> bool {
        self.deleted_at.is_none()
            && self.settings.events.iter().any(|pattern| pattern.matches(event_type))
            && self.settings.filter.as_ref().is_none_or(|filter| filter.matches(data))
    }

    /// How it stands with its worker.
    #[must_use]
    pub const fn standing(&self) -> Standing {
        if self.deleted_at.is_some() {
            return Standing::Deleted;
        }
        match self.status {
            SubscriptionStatus::Active => Standing::Active,
            SubscriptionStatus::Paused => Standing::Paused,
            SubscriptionStatus::Disabled => Standing::Disabled,
        }
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
pub(crate) mod samples {
    use uuid::Uuid;

    use super::*;
    use crate::subscription_input::NewSubscription;

    pub(crate) fn subscription(body: Value) -> Subscription {
        let new = NewSubscription::parse(serde_json::from_value(body).unwrap()).unwrap();
        let made_at = DateTime::from_timestamp(1_763_769_600, 0).unwrap();
        Subscription {
            webhook_id: SubscriptionId::from_uuid(Uuid::from_u128(1)),
            owner_id: OwnerId::default_partner(),
            settings: new.settings,
            status: SubscriptionStatus::Active,
            disabled_reason: None,
            disabled_at: None,
            failing_since: None,
            created_at: made_at,
            updated_at: made_at,
            deleted_at: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::samples::subscription;
    use super::*;

    #[test]
    fn type_and_filter_must_both_fit() {
        let mut wanting =
            subscription(json!({"url": "https://a.example/", "events": ["ring.*", "a"], "filter": {"kind": ["gold"]}}));
        let forged: EventType = "ring.forged".parse().unwrap();
        assert!(wanting.wants(&forged, &json!({"kind": "gold"})));
        assert!(wanting.wants(&"a".parse().unwrap(), &json!({"kind": "gold"})));
        assert!(!wanting.wants(&forged, &json!({"kind": "iron"})));
        assert!(!wanting.wants(&"b".parse().unwrap(), &json!({"kind": "gold"})));
        wanting.deleted_at = Some(wanting.created_at);
        assert!(!wanting.wants(&forged, &json!({"kind": "gold"})));
        assert_eq!(wanting.standing(), Standing::Deleted);
    }

    #[test]
    fn text_and_status_are_the_same_thing() {
        for status in SubscriptionStatus::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
            assert_eq!(serde_json::from_value::<SubscriptionStatus>(json!(status)).unwrap(), status);
        }
        assert_eq!("ACTIVE".parse::<SubscriptionStatus>(), Err(UnknownStatus));
    }
}
