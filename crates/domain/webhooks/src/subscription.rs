use chrono::{DateTime, Utc};
use onering_delivery::Standing;
use onering_ids::{OwnerId, SubscriptionId};
use serde_json::Value;

use crate::event_type::EventType;
use crate::settings::SubscriptionSettings;
use crate::subscription_state::SubscriptionState;

/// A partner's wish to be told of events: what its owner decides, and how it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscription {
    /// Which one.
    pub webhook_id: SubscriptionId,
    /// Whose events are delivered.
    pub owner_id: OwnerId,
    /// What its owner decides.
    pub settings: SubscriptionSettings,
    /// Whether deliveries go out, and if it is disabled, by whom and why.
    pub state: SubscriptionState,
    /// The first failure since the last success; `None` while it succeeds.
    pub failing_since: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
    /// When it was deleted: it matches nothing any more.
    pub deleted_at: Option<DateTime<Utc>>,
}

impl Subscription {
    /// Whether an event of this type and data is to be delivered to it. SQL twin: `onering.ingest_events`.
    #[must_use]
    pub fn wants(&self, event_type: &EventType, data: &Value) -> bool {
        self.deleted_at.is_none()
            && !self.is_told_of_itself(event_type, data)
            && self.settings.events.iter().any(|pattern| pattern.matches(event_type))
            && self.settings.filter.as_ref().is_none_or(|filter| filter.matches(data))
    }

    /// Whether this is the platform's news of this very subscription's failure, which its receiver would not hear.
    fn is_told_of_itself(&self, event_type: &EventType, data: &Value) -> bool {
        matches!(event_type.as_ref(), "webhook.failing" | "webhook.disabled")
            && data["webhook_id"].as_str() == Some(self.webhook_id.to_string().as_str())
    }

    /// How it stands with its worker.
    #[must_use]
    pub const fn standing(&self) -> Standing {
        if self.deleted_at.is_some() {
            return Standing::Deleted;
        }
        match self.state {
            SubscriptionState::Active => Standing::Active,
            SubscriptionState::Paused => Standing::Paused,
            SubscriptionState::Disabled(_) => Standing::Disabled,
        }
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
            state: SubscriptionState::Active,
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
        let all = subscription(json!({"url": "https://a.example/", "events": ["*"]}));
        for name in ["webhook.failing", "webhook.disabled"] {
            let news: EventType = name.parse().unwrap();
            assert!(!all.wants(&news, &json!({"webhook_id": all.webhook_id})), "its own");
            assert!(all.wants(&news, &json!({"webhook_id": "wh_other"})) && all.wants(&news, &json!(7)));
        }
        assert!(all.wants(&forged, &json!({"webhook_id": all.webhook_id})));
        wanting.deleted_at = Some(wanting.created_at);
        assert!(!wanting.wants(&forged, &json!({"kind": "gold"})));
        assert_eq!(wanting.standing(), Standing::Deleted);
    }
}
