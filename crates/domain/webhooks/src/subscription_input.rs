use std::collections::BTreeMap;
use std::fmt;

use onering_problem::Problem;
use onering_signing::Schemes;
use serde::Deserialize;
use serde_json::Value;

use crate::custom_headers::CustomHeaders;
use crate::settings::{self, SubscriptionSettings, bounds};

/// A subscription as its owner asks for it, unchecked. What is left out takes its default.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubscriptionInput {
    /// Where deliveries go.
    pub url: String,
    /// Patterns of event types.
    pub events: Vec<String>,
    /// For people.
    #[serde(default)]
    pub description: Option<String>,
    /// Extra request headers.
    #[serde(default)]
    pub headers: Option<BTreeMap<String, String>>,
    /// How long one attempt may take.
    #[serde(default)]
    pub timeout_seconds: Option<i64>,
    /// Attempts under way at once, at most.
    #[serde(default)]
    pub max_in_flight: Option<i64>,
    /// Attempts started a second, at most.
    #[serde(default)]
    pub rate_limit_per_second: Option<i64>,
    /// Older events are not sent any more.
    #[serde(default)]
    pub max_event_age_seconds: Option<i64>,
    /// How requests are signed.
    #[serde(default)]
    pub signature_schemes: Option<Vec<String>>,
    /// Whether to retry 4xx answers.
    #[serde(default)]
    pub retry_client_errors: Option<bool>,
    /// Conditions on the event's data.
    #[serde(default)]
    pub filter: Option<Value>,
}

/// Its URL and headers may hold credentials of the receiver's.
impl fmt::Debug for SubscriptionInput {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SubscriptionInput").field("events", &self.events).finish_non_exhaustive()
    }
}

/// A subscription that may be made.
#[derive(Debug, Clone, PartialEq)]
pub struct NewSubscription {
    /// What its owner decides.
    pub settings: SubscriptionSettings,
}

impl NewSubscription {
    /// Checks a subscription. That its address may be reached is still to be checked by the guard.
    ///
    /// # Errors
    /// A problem that names the field.
    pub fn parse(input: SubscriptionInput) -> Result<Self, Problem> {
        let settings = SubscriptionSettings {
            url: input.url.parse()?,
            events: settings::events(&input.events)?,
            description: settings::description(input.description.unwrap_or_default())?,
            headers: CustomHeaders::parse(input.headers.unwrap_or_default())?,
            timeout: settings::timeout(input.timeout_seconds.unwrap_or(bounds::DEFAULT_TIMEOUT_SECONDS))?,
            max_in_flight: settings::max_in_flight(input.max_in_flight.unwrap_or(bounds::DEFAULT_MAX_IN_FLIGHT))?,
            rate_limit_per_second: input.rate_limit_per_second.map(settings::rate_limit_per_second).transpose()?,
            max_event_age: input.max_event_age_seconds.map(settings::max_event_age).transpose()?,
            signature_schemes: match input.signature_schemes {
                Some(texts) => settings::schemes(&texts)?,
                None => Schemes::default(),
            },
            retry_client_errors: input.retry_client_errors.unwrap_or(false),
            filter: input.filter.as_ref().map(settings::filter).transpose()?,
        };
        Ok(Self { settings })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn parse(changes: &Value) -> Result<SubscriptionSettings, Problem> {
        let mut body = json!({"url": "https://a.example/hooks", "events": ["ring.*"]});
        body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        NewSubscription::parse(serde_json::from_value(body).unwrap()).map(|new| new.settings)
    }

    #[test]
    fn what_is_left_out_takes_its_default() {
        let settings = parse(&json!({})).unwrap();
        assert_eq!(settings.url.as_str(), "https://a.example/hooks");
        assert_eq!((settings.timeout, settings.max_in_flight), (Duration::from_secs(10), 64));
        assert_eq!((settings.rate_limit_per_second, settings.max_event_age), (None, None));
        assert_eq!(settings.signature_schemes, Schemes::default());
        assert!(!settings.retry_client_errors && settings.filter.is_none());
        assert!(settings.headers.is_empty() && settings.description.is_empty());
    }

    #[test]
    fn what_is_given_is_kept() {
        let settings = parse(&json!({
            "events": ["ring.*", "a", "ring.*"], "description": "hä\n", "headers": {"X-A": "b"}, "timeout_seconds": 30,
            "max_in_flight": 1024, "rate_limit_per_second": 5, "max_event_age_seconds": 60,
            "signature_schemes": ["timestamp-body"], "retry_client_errors": true, "filter": {"kind": ["gold"]},
        }))
        .unwrap();
        assert_eq!(settings.events.iter().map(|pattern| pattern.as_str()).collect::<Vec<_>>(), ["ring.*", "a"]);
        assert_eq!((settings.timeout, settings.max_in_flight), (Duration::from_secs(30), 1024));
        assert_eq!((settings.rate_limit_per_second, settings.max_event_age), (Some(5), Some(Duration::from_secs(60))));
        assert_eq!(serde_json::to_value(settings.signature_schemes).unwrap(), json!(["timestamp-body"]));
        assert_eq!(settings.filter.unwrap().to_json(), json!({"kind": ["gold"]}));
        assert!(settings.retry_client_errors);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (changes, field) in [
            (json!({"url": "nowhere"}), "url"),
            (json!({"events": []}), "events"),
            (json!({"events": vec!["a"; 101]}), "events"),
            (json!({"events": ["a", "b*"]}), "events[1]"),
            (json!({"description": "x".repeat(501)}), "description"),
            (json!({"description": "\u{0}"}), "description"),
            (json!({"headers": {"Host": "x"}}), "headers.Host"),
            (json!({"timeout_seconds": 0}), "timeout_seconds"),
            (json!({"timeout_seconds": 31}), "timeout_seconds"),
            (json!({"max_in_flight": 0}), "max_in_flight"),
            (json!({"max_in_flight": i64::MAX}), "max_in_flight"),
            (json!({"rate_limit_per_second": -1}), "rate_limit_per_second"),
            (json!({"max_event_age_seconds": i64::MIN}), "max_event_age_seconds"),
            (json!({"signature_schemes": []}), "signature_schemes"),
            (json!({"signature_schemes": ["x-webhook", "none"]}), "signature_schemes[1]"),
            (json!({"filter": {"kind": [{}]}}), "filter.kind[0]"),
        ] {
            let problem = parse(&changes).unwrap_err();
            assert_eq!((problem.status(), problem.field.as_deref()), (422, Some(field)), "{changes}");
            assert!(problem.detail.ends_with('.') && !problem.detail.contains('\0'), "{}", problem.detail);
        }
    }

    #[test]
    fn unknown_fields_are_refused() {
        let body = json!({"url": "https://a.example/", "events": ["*"], "secret": "mine"});
        let error = serde_json::from_value::<SubscriptionInput>(body).unwrap_err();
        assert!(error.to_string().starts_with("unknown field `secret`"), "{error}");
    }
}
