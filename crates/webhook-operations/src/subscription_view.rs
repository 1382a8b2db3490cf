use std::collections::BTreeMap;

use onering_ids::{OwnerId, SubscriptionId};
use onering_signing::Scheme;
use onering_store::monitoring_reads::Waiting;
use onering_webhooks::{DisabledBy, Filter, Subscription, SubscriptionStatus};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::masking::{audited_headers, audited_url, shown_headers};
use crate::rotation_view::RotationView;
use crate::timestamp::Timestamp;

/// A webhook subscription as answers show it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Subscription)]
pub struct SubscriptionView {
    /// Which one.
    #[schema(value_type = String, example = "wh_01h455vb4pex5vsknk084sn02q")]
    pub id: SubscriptionId,
    /// Whose events are delivered.
    #[schema(value_type = String, example = "acme")]
    pub owner_id: OwnerId,
    /// Where deliveries are POSTed.
    #[schema(example = "https://a.example/hooks")]
    pub url: String,
    /// Patterns of event types: a type, a prefix such as `ring.*`, or `*`.
    #[schema(example = json!(["ring.*"]))]
    pub events: Vec<String>,
    /// For people.
    pub description: String,
    /// Extra request headers. The values of those that look like credentials are masked.
    pub headers: BTreeMap<String, String>,
    /// How long one attempt may take, in seconds.
    #[schema(example = 10)]
    pub timeout_seconds: u64,
    /// Attempts under way at once, at most, in each worker.
    #[schema(example = 64)]
    pub max_in_flight: u16,
    /// Attempts started a second, at most, in each worker; null: no limit.
    pub rate_limit_per_second: Option<u32>,
    /// Events older than this, in seconds, are not sent any more; null: any age.
    pub max_event_age_seconds: Option<u64>,
    /// How requests are signed.
    #[schema(value_type = Vec<String>, example = json!(["x-webhook", "standard-webhooks"]))]
    pub signature_schemes: Vec<Scheme>,
    /// Whether 4xx answers are retried that otherwise end a delivery.
    pub retry_client_errors: bool,
    /// Conditions on the event's data; null: none.
    #[schema(value_type = Option<Object>)]
    pub filter: Option<Value>,
    /// `active`, `paused` or `disabled`. Unless active, deliveries are held.
    #[schema(value_type = String, example = "active")]
    pub status: SubscriptionStatus,
    /// Who disabled it: `platform`, because the receiver answered 410 or failed for days, which its owner may undo by setting `status`, or
    /// `operator`, which only an operator may; null unless it is disabled.
    #[schema(value_type = Option<String>, example = json!(null))]
    pub disabled_by: Option<DisabledBy>,
    /// Why it is disabled; null unless it is.
    pub disabled_reason: Option<String>,
    /// The first failure since the last success; null while it succeeds.
    pub failing_since: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// What waits for it now; only where one subscription is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting: Option<WaitingView>,
    /// Only where one subscription is asked for: how far its receiver has come with a new secret; null unless the overlap of
    /// a rotation is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Option<RotationView>>,
}

/// Deliveries that are not over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = WaitingDeliveries)]
pub struct WaitingView {
    /// Waiting for a first attempt, the held ones included; those not held are counted among the partner's 20,000 newest deliveries.
    pub pending: u64,
    /// Waiting for another attempt.
    pub retrying: u64,
    /// Those of the pending that are held; the list of deliveries with `held=true` names them.
    pub held: u64,
}

impl From<Waiting> for WaitingView {
    fn from(waiting: Waiting) -> Self {
        Self { pending: waiting.pending, retrying: waiting.retrying, held: waiting.held_total() }
    }
}

/// A subscription with a new signing secret: the only answers that ever show it.
#[derive(Clone, Serialize, ToSchema)]
pub struct SubscriptionWithSecret {
    /// The subscription.
    #[serde(flatten)]
    pub subscription: SubscriptionView,
    /// The secret that signs from now on.
    #[schema(example = "whsec_…")]
    pub secret: NewSecretText,
    /// With `standard-webhooks-v1a`: the public key that requests are verified with from now on. It can be asked for again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "whpk_…")]
    pub public_key: Option<String>,
    /// After a rotation: until when the previous secret signs as well; null when it does not any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_secret_expires_at: Option<Option<Timestamp>>,
}

/// A secret on its way into the one answer that shows it. `Debug` does not; its memory is wiped.
#[derive(Clone, ToSchema)]
#[schema(value_type = String)]
pub struct NewSecretText(zeroize::Zeroizing<String>);

impl NewSecretText {
    pub(crate) fn new(text: &str) -> Self {
        Self(zeroize::Zeroizing::new(text.to_owned()))
    }

    /// The secret itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Serialize for NewSecretText {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl std::fmt::Debug for SubscriptionWithSecret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SubscriptionWithSecret").field("id", &self.subscription.id).finish_non_exhaustive()
    }
}

impl From<&Subscription> for SubscriptionView {
    fn from(subscription: &Subscription) -> Self {
        let (settings, disablement) = (&subscription.settings, subscription.state.disablement());
        Self {
            id: subscription.webhook_id,
            owner_id: subscription.owner_id.clone(),
            url: settings.url.as_str().to_owned(),
            events: settings.events.iter().map(|pattern| pattern.as_str().to_owned()).collect(),
            description: settings.description.clone(),
            headers: shown_headers(&settings.headers),
            timeout_seconds: settings.timeout.as_secs(),
            max_in_flight: settings.max_in_flight,
            rate_limit_per_second: settings.rate_limit_per_second,
            max_event_age_seconds: settings.max_event_age.map(|age| age.as_secs()),
            signature_schemes: settings.signature_schemes.iter().collect(),
            retry_client_errors: settings.retry_client_errors,
            filter: settings.filter.as_ref().map(Filter::to_json),
            status: subscription.state.status(),
            disabled_by: disablement.map(|disablement| disablement.by),
            disabled_reason: disablement.map(|disablement| disablement.reason.clone()),
            failing_since: subscription.failing_since.map(Timestamp::from),
            created_at: subscription.created_at.into(),
            updated_at: subscription.updated_at.into(),
            waiting: None,
            rotation: None,
        }
    }
}

/// A subscription as the audit log keeps it: without anything that may be the receiver's credential.
pub(crate) fn audited(subscription: &Subscription) -> Result<Value, serde_json::Error> {
    let settings = &subscription.settings;
    let (url, headers) = (audited_url(&settings.url), audited_headers(&settings.headers));
    serde_json::to_value(SubscriptionView { url, headers, ..subscription.into() })
}
