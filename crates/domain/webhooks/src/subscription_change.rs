use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use onering_problem::Problem;
use onering_signing::Schemes;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::custom_headers::CustomHeaders;
use crate::event_type::EventPattern;
use crate::filter::Filter;
use crate::settings;
use crate::subscription::Subscription;
use crate::subscription_state::{SubscriptionState, SubscriptionStatus};
use crate::target_url::TargetUrl;

/// A change of a subscription as its owner asks for it, unchecked. What is left out stays; null takes a setting that
/// may be without a value back to none.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SubscriptionPatch {
    /// Where deliveries go.
    #[serde(deserialize_with = "given")]
    pub url: Option<Option<String>>,
    /// Patterns of event types, in place of all there were.
    #[serde(deserialize_with = "given")]
    pub events: Option<Option<Vec<String>>>,
    /// For people. Null: empty.
    #[serde(deserialize_with = "given")]
    pub description: Option<Option<String>>,
    /// Extra request headers, in place of all there were. Null: none.
    #[serde(deserialize_with = "given")]
    pub headers: Option<Option<BTreeMap<String, String>>>,
    /// How long one attempt may take.
    #[serde(deserialize_with = "given")]
    pub timeout_seconds: Option<Option<i64>>,
    /// Attempts under way at once, at most.
    #[serde(deserialize_with = "given")]
    pub max_in_flight: Option<Option<i64>>,
    /// Attempts started a second, at most. Null: no limit.
    #[serde(deserialize_with = "given")]
    pub rate_limit_per_second: Option<Option<i64>>,
    /// Older events are not sent any more. Null: any age.
    #[serde(deserialize_with = "given")]
    pub max_event_age_seconds: Option<Option<i64>>,
    /// How requests are signed.
    #[serde(deserialize_with = "given")]
    pub signature_schemes: Option<Option<Vec<String>>>,
    /// Whether to retry 4xx answers.
    #[serde(deserialize_with = "given")]
    pub retry_client_errors: Option<Option<bool>>,
    /// Conditions on the event's data. Null: none.
    #[serde(deserialize_with = "given")]
    pub filter: Option<Option<Value>>,
    /// `active` or `paused`.
    #[serde(deserialize_with = "given")]
    pub status: Option<Option<String>>,
}

/// Its URL and headers may hold credentials of the receiver's.
impl fmt::Debug for SubscriptionPatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SubscriptionPatch").field("events", &self.events).finish_non_exhaustive()
    }
}

/// A change that may be made. `None`: stays as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SubscriptionChange {
    /// Where deliveries go. The address guard must check it as on creation.
    pub url: Option<TargetUrl>,
    /// Which events.
    pub events: Option<Vec<EventPattern>>,
    /// For people.
    pub description: Option<String>,
    /// Extra request headers.
    pub headers: Option<CustomHeaders>,
    /// How long one attempt may take.
    pub timeout: Option<Duration>,
    /// Attempts under way at once, at most.
    pub max_in_flight: Option<u16>,
    /// Attempts started a second, at most.
    pub rate_limit_per_second: Option<Option<u32>>,
    /// Older events are not sent any more.
    pub max_event_age: Option<Option<Duration>>,
    /// How requests are signed.
    pub signature_schemes: Option<Schemes>,
    /// Whether to retry 4xx answers.
    pub retry_client_errors: Option<bool>,
    /// Conditions on the event's data.
    pub filter: Option<Option<Filter>>,
    /// Active or paused.
    pub status: Option<WantedStatus>,
}

/// The statuses that can be asked for. Disabling is no change of a subscription's settings: it takes a name and a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WantedStatus {
    /// Deliveries go out.
    Active,
    /// They are held.
    Paused,
}

impl SubscriptionChange {
    /// Checks a change.
    ///
    /// # Errors
    /// A problem that names the field.
    pub fn parse(patch: SubscriptionPatch) -> Result<Self, Problem> {
        let url = required("url", patch.url)?.map(|text| text.parse()).transpose()?;
        let events = required("events", patch.events)?.map(|texts| settings::events(&texts)).transpose()?;
        let schemes = required("signature_schemes", patch.signature_schemes)?;
        let rate_limit = patch.rate_limit_per_second.map(|rate| rate.map(settings::rate_limit_per_second).transpose());
        let max_age = patch.max_event_age_seconds.map(|age| age.map(settings::max_event_age).transpose());
        let filter = patch.filter.map(|filter| filter.as_ref().map(settings::filter).transpose());
        Ok(Self {
            url,
            events,
            description: patch.description.map(|text| settings::description(text.unwrap_or_default())).transpose()?,
            headers: patch.headers.map(|headers| CustomHeaders::parse(headers.unwrap_or_default())).transpose()?,
            timeout: required("timeout_seconds", patch.timeout_seconds)?.map(settings::timeout).transpose()?,
            max_in_flight: required("max_in_flight", patch.max_in_flight)?.map(settings::max_in_flight).transpose()?,
            rate_limit_per_second: rate_limit.transpose()?,
            max_event_age: max_age.transpose()?,
            signature_schemes: schemes.map(|texts| settings::schemes(&texts)).transpose()?,
            retry_client_errors: required("retry_client_errors", patch.retry_client_errors)?,
            filter: filter.transpose()?,
            status: required("status", patch.status)?.map(|text| wanted_status(&text)).transpose()?,
        })
    }

    /// Makes the change. Switching a subscription on forgets why it was off and that it failed. Whether whoever asks may
    /// undo a disablement is for the caller to decide.
    pub fn apply(self, subscription: &mut Subscription, now: DateTime<Utc>) {
        let settings = &mut subscription.settings;
        set(&mut settings.url, self.url);
        set(&mut settings.events, self.events);
        set(&mut settings.description, self.description);
        set(&mut settings.headers, self.headers);
        set(&mut settings.timeout, self.timeout);
        set(&mut settings.max_in_flight, self.max_in_flight);
        set(&mut settings.rate_limit_per_second, self.rate_limit_per_second);
        set(&mut settings.max_event_age, self.max_event_age);
        set(&mut settings.signature_schemes, self.signature_schemes);
        set(&mut settings.retry_client_errors, self.retry_client_errors);
        set(&mut settings.filter, self.filter);
        match self.status {
            Some(WantedStatus::Active) if subscription.state != SubscriptionState::Active => {
                subscription.state = SubscriptionState::Active;
                subscription.failing_since = None;
            }
            Some(WantedStatus::Paused) => subscription.state = SubscriptionState::Paused,
            Some(WantedStatus::Active) | None => {}
        }
        subscription.updated_at = now;
    }
}

fn set<T>(setting: &mut T, wanted: Option<T>) {
    if let Some(wanted) = wanted {
        *setting = wanted;
    }
}

/// Keeps "null" and "left out" apart.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// A setting that always has a value.
fn required<T>(field: &'static str, wanted: Option<Option<T>>) -> Result<Option<T>, Problem> {
    match wanted {
        Some(None) => Err(Problem::invalid(field, format!("{field} must not be null; leave it out to keep it."))),
        Some(value) => Ok(value),
        None => Ok(None),
    }
}

fn wanted_status(text: &str) -> Result<WantedStatus, Problem> {
    match text.parse() {
        Ok(SubscriptionStatus::Active) => Ok(WantedStatus::Active),
        Ok(SubscriptionStatus::Paused) => Ok(WantedStatus::Paused),
        Ok(SubscriptionStatus::Disabled) | Err(_) => {
            Err(Problem::invalid("status", "status can be set to active or paused."))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::subscription::samples::subscription;
    use crate::subscription_state::DisabledBy;

    fn change(body: Value) -> Result<SubscriptionChange, Problem> {
        SubscriptionChange::parse(serde_json::from_value(body).unwrap())
    }

    fn sample() -> Subscription {
        subscription(json!({
            "url": "https://a.example/", "events": ["*"], "description": "d", "headers": {"x-a": "b"},
            "rate_limit_per_second": 5, "max_event_age_seconds": 60, "filter": {"kind": ["gold"]},
        }))
    }

    #[test]
    fn what_is_left_out_stays() {
        let mut changed = sample();
        let later = changed.created_at + Duration::from_secs(1);
        change(json!({})).unwrap().apply(&mut changed, later);
        assert_eq!(changed, Subscription { updated_at: later, ..sample() });
    }

    #[test]
    fn what_is_given_is_set() {
        let mut changed = sample();
        let now = changed.created_at;
        change(json!({
            "url": "https://b.example/", "events": ["a"], "description": "e", "headers": {"x-b": "c"},
            "timeout_seconds": 3, "max_in_flight": 2, "rate_limit_per_second": 6, "max_event_age_seconds": 61,
            "signature_schemes": ["x-webhook"], "retry_client_errors": true, "filter": {"n": [1]}, "status": "paused",
        }))
        .unwrap()
        .apply(&mut changed, now);
        let expected = subscription(json!({
            "url": "https://b.example/", "events": ["a"], "description": "e", "headers": {"x-b": "c"},
            "timeout_seconds": 3, "max_in_flight": 2, "rate_limit_per_second": 6, "max_event_age_seconds": 61,
            "signature_schemes": ["x-webhook"], "retry_client_errors": true, "filter": {"n": [1]},
        }));
        assert_eq!(changed, Subscription { state: SubscriptionState::Paused, ..expected });
    }

    #[test]
    fn null_takes_away_what_may_be_absent() {
        let mut changed = sample();
        let now = changed.created_at;
        let nulls = json!({
            "description": null, "headers": null, "rate_limit_per_second": null, "max_event_age_seconds": null,
            "filter": null,
        });
        change(nulls).unwrap().apply(&mut changed, now);
        assert_eq!(changed, subscription(json!({"url": "https://a.example/", "events": ["*"]})));
        for field in
            ["url", "events", "timeout_seconds", "max_in_flight", "signature_schemes", "retry_client_errors", "status"]
        {
            let mut body = serde_json::Map::new();
            body.insert(field.to_owned(), Value::Null);
            assert_eq!(change(Value::Object(body)).unwrap_err().field.as_deref(), Some(field));
        }
    }

    #[test]
    fn switching_on_forgets_why_it_was_off() {
        let mut off = sample();
        let now = off.created_at;
        off.state.disable(DisabledBy::Platform, "answered 410", now);
        off.failing_since = Some(now);
        change(json!({"status": "active"})).unwrap().apply(&mut off, now);
        assert_eq!(off, sample());
        assert_eq!(change(json!({"status": "disabled"})).unwrap_err().field.as_deref(), Some("status"));
    }

    #[test]
    fn the_rules_are_those_of_creation() {
        for (body, field) in [
            (json!({"url": "x"}), "url"),
            (json!({"events": []}), "events"),
            (json!({"headers": {"host": "x"}}), "headers.host"),
            (json!({"timeout_seconds": 31}), "timeout_seconds"),
            (json!({"filter": []}), "filter"),
            (json!({"signature_schemes": []}), "signature_schemes"),
        ] {
            assert_eq!(change(body).unwrap_err().field.as_deref(), Some(field));
        }
    }
}
