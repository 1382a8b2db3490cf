use onering_ids::{OwnerId, SubscriptionId};
use onering_web::{Cursor, Limit};
use onering_webhook_operations::SubscriptionQuery;
use onering_webhooks::SubscriptionStatus;
use serde::Deserialize;
use utoipa::IntoParams;

/// Which subscriptions to list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct OperatorSubscriptionQuery {
    /// Only of this partner.
    #[param(value_type = Option<String>, pattern = "^[A-Za-z0-9][A-Za-z0-9_.:@-]{0,63}$")]
    owner_id: Option<OwnerId>,
    /// Only those that are `active`, `paused` or `disabled`.
    #[param(value_type = Option<String>, pattern = "^(active|paused|disabled)$")]
    status: Option<SubscriptionStatus>,
    /// At most this many: 1–200, 50 by default.
    #[param(value_type = Option<u8>, minimum = 1, maximum = 200)]
    limit: Limit,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor<SubscriptionId>>,
}

impl OperatorSubscriptionQuery {
    pub(super) fn into_parts(self) -> (Option<OwnerId>, SubscriptionQuery) {
        let Self { owner_id, status, limit, cursor } = self;
        (owner_id, SubscriptionQuery { status, limit, cursor })
    }
}
