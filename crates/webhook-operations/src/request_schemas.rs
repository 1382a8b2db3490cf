//! The bodies of `onering-webhooks` as OpenAPI describes them. For documentation only: requests are read into
//! `SubscriptionInput` and `SubscriptionPatch` themselves, and a test keeps the two from drifting apart.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// A subscription to make.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = SubscriptionInput)]
pub struct SubscriptionInputSchema {
    /// Where deliveries are POSTed: `https`, on a public address.
    #[schema(example = "https://a.example/hooks", max_length = 2048, pattern = "^https?://[^ ]+$")]
    pub url: String,
    /// 1 to 100 patterns of event types: a type, a prefix such as `ring.*`, or `*`.
    #[schema(example = json!(["ring.*"]), min_items = 1, max_items = 100)]
    pub events: Vec<String>,
    /// For people.
    #[schema(max_length = 500)]
    pub description: Option<String>,
    /// At most 10 request headers of its own.
    pub headers: Option<BTreeMap<String, String>>,
    /// How long one attempt may take, in seconds; 10 by default.
    #[schema(minimum = 1, maximum = 30)]
    pub timeout_seconds: Option<i64>,
    /// Attempts under way at once, at most, in each worker; 64 by default.
    #[schema(minimum = 1, maximum = 1024)]
    pub max_in_flight: Option<i64>,
    /// Attempts started a second, at most, in each worker.
    #[schema(minimum = 1, maximum = 10_000)]
    pub rate_limit_per_second: Option<i64>,
    /// Events older than this, in seconds, are not sent any more.
    #[schema(minimum = 1, maximum = 31_536_000)]
    pub max_event_age_seconds: Option<i64>,
    /// Any of `x-webhook`, `standard-webhooks` (these two by default), `standard-webhooks-v1a` and `timestamp-body`.
    #[schema(min_items = 1)]
    pub signature_schemes: Option<Vec<String>>,
    /// Whether to retry 4xx answers that otherwise end a delivery.
    pub retry_client_errors: Option<bool>,
    /// Conditions on the event's data: `{"kind": ["gold", {"prefix": "sil"}]}`.
    #[schema(value_type = Option<Object>)]
    pub filter: Option<Value>,
}

/// A change of a subscription. What is left out stays; null takes a setting that may be without a value back to none.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = SubscriptionPatch)]
pub struct SubscriptionPatchSchema {
    /// Where deliveries are POSTed.
    #[schema(max_length = 2048, pattern = "^https?://[^ ]+$", nullable = false)]
    pub url: Option<String>,
    /// Patterns of event types, in place of all there were.
    #[schema(min_items = 1, max_items = 100, nullable = false)]
    pub events: Option<Vec<String>>,
    /// For people. Null: empty.
    #[schema(max_length = 500)]
    pub description: Option<String>,
    /// Request headers of its own, in place of all there were. Null: none.
    pub headers: Option<BTreeMap<String, String>>,
    /// How long one attempt may take, in seconds.
    #[schema(minimum = 1, maximum = 30, nullable = false)]
    pub timeout_seconds: Option<i64>,
    /// Attempts under way at once, at most, in each worker.
    #[schema(minimum = 1, maximum = 1024, nullable = false)]
    pub max_in_flight: Option<i64>,
    /// Attempts started a second, at most. Null: no limit.
    #[schema(minimum = 1, maximum = 10_000)]
    pub rate_limit_per_second: Option<i64>,
    /// Events older than this are not sent any more. Null: any age.
    #[schema(minimum = 1, maximum = 31_536_000)]
    pub max_event_age_seconds: Option<i64>,
    /// Any of `x-webhook`, `standard-webhooks`, `standard-webhooks-v1a` and `timestamp-body`.
    #[schema(min_items = 1, nullable = false)]
    pub signature_schemes: Option<Vec<String>>,
    /// Whether to retry 4xx answers that otherwise end a delivery.
    #[schema(nullable = false)]
    pub retry_client_errors: Option<bool>,
    /// Conditions on the event's data. Null: none.
    #[schema(value_type = Option<Object>)]
    pub filter: Option<Value>,
    /// `active` switches it on again, `paused` holds its deliveries. Of a subscription that an operator disabled only an
    /// operator can set it: 409.
    #[schema(example = "paused", pattern = "^(active|paused)$", nullable = false)]
    pub status: Option<String>,
}

#[cfg(test)]
mod tests {
    use onering_webhooks::{SubscriptionInput, SubscriptionPatch};
    use serde_json::{json, to_value};

    use super::*;

    /// Both types refuse unknown fields, and say which ones they know.
    fn fields_of<T: serde::de::DeserializeOwned>() -> Vec<String> {
        let refused = serde_json::from_value::<T>(json!({ "no-such-field": 1 })).err().unwrap().to_string();
        let known = refused.split("expected one of ").nth(1).unwrap();
        let mut names: Vec<String> = known.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        names.sort();
        names
    }

    fn documented(schema: &Value) -> Vec<String> {
        schema.as_object().unwrap().keys().cloned().collect()
    }

    #[test]
    fn what_is_documented_is_what_is_read() {
        let sorted = |mut names: Vec<String>| {
            names.sort();
            names
        };
        let input = to_value(SubscriptionInputSchema::default()).unwrap();
        assert_eq!(sorted(documented(&input)), fields_of::<SubscriptionInput>());
        let patch = to_value(SubscriptionPatchSchema::default()).unwrap();
        assert_eq!(sorted(documented(&patch)), fields_of::<SubscriptionPatch>());
    }
}
