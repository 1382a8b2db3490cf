use onering_ids::SubscriptionId;
use onering_web::{Cursor, Limit};
use onering_webhooks::SubscriptionStatus;
use serde::Deserialize;
use utoipa::IntoParams;

/// Which subscriptions to list.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct SubscriptionQuery {
    /// Only those that are `active`, `paused` or `disabled`.
    #[param(value_type = Option<String>, pattern = "^(active|paused|disabled)$")]
    pub status: Option<SubscriptionStatus>,
    /// At most this many: 1–200, 50 by default.
    #[param(value_type = Option<u8>, minimum = 1, maximum = 200)]
    pub limit: Limit,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    pub cursor: Option<Cursor<SubscriptionId>>,
}
