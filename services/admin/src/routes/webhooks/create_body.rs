use std::collections::BTreeMap;
use std::fmt;

use onering_ids::OwnerId;
use onering_webhooks::SubscriptionInput;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

/// A subscription to make for a partner: as a partner makes its own, with `owner_id`.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CreateSubscription)]
pub(crate) struct CreateSubscriptionBody {
    /// Whose events are delivered; `default` by default. A new partner is made.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "acme", pattern = "^[A-Za-z0-9][A-Za-z0-9_.:@-]{0,63}$")]
    owner_id: Option<OwnerId>,
    /// Where deliveries are POSTed: `https`, on a public address.
    #[schema(example = "https://a.example/hooks", max_length = 2048, pattern = "^https?://[^ ]+$")]
    url: String,
    /// 1 to 100 patterns of event types: a type, a prefix such as `ring.*`, or `*`.
    #[schema(example = json!(["ring.*"]), min_items = 1, max_items = 100)]
    events: Vec<String>,
    /// For people.
    #[serde(default)]
    #[schema(max_length = 500)]
    description: Option<String>,
    /// At most 10 request headers of its own.
    #[serde(default)]
    headers: Option<BTreeMap<String, String>>,
    /// How long one attempt may take, in seconds; 10 by default.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 30)]
    timeout_seconds: Option<i64>,
    /// Attempts under way at once, at most, in each worker; 64 by default.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 1024)]
    max_in_flight: Option<i64>,
    /// Attempts started a second, at most, in each worker.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 10_000)]
    rate_limit_per_second: Option<i64>,
    /// Events older than this, in seconds, are not sent any more.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 31_536_000)]
    max_event_age_seconds: Option<i64>,
    /// Any of `x-webhook`, `standard-webhooks` (these two by default) and `timestamp-body`.
    #[serde(default)]
    #[schema(min_items = 1)]
    signature_schemes: Option<Vec<String>>,
    /// Whether to retry 4xx answers that otherwise end a delivery.
    #[serde(default)]
    retry_client_errors: Option<bool>,
    /// Conditions on the event's data.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    filter: Option<Value>,
}

impl CreateSubscriptionBody {
    pub(super) fn into_parts(self) -> (OwnerId, SubscriptionInput) {
        let input = SubscriptionInput {
            url: self.url,
            events: self.events,
            description: self.description,
            headers: self.headers,
            timeout_seconds: self.timeout_seconds,
            max_in_flight: self.max_in_flight,
            rate_limit_per_second: self.rate_limit_per_second,
            max_event_age_seconds: self.max_event_age_seconds,
            signature_schemes: self.signature_schemes,
            retry_client_errors: self.retry_client_errors,
            filter: self.filter,
        };
        (self.owner_id.unwrap_or_default(), input)
    }
}

/// Its URL and headers may hold credentials of the receiver's.
impl fmt::Debug for CreateSubscriptionBody {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("CreateSubscriptionBody").field("owner_id", &self.owner_id).finish_non_exhaustive()
    }
}
