//! `GET /v1/monitoring/webhooks/recent`.

use actix_web::web;
use onering_delivery::{HeldReason, Status};
use onering_ids::{OwnerId, SubscriptionId};
use onering_store::monitoring_reads::RecentFilter;
use onering_web::{ApiResult, Limit, ProblemSchema, StrictQuery};
use onering_webhooks::EventType;
use serde::Deserialize;
use utoipa::IntoParams;

use super::fresh;
use super::viewing::Viewing;
use crate::openapi::schemas;
use crate::operations;
use crate::sources::Sources;

/// Which deliveries; what is left out means any.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RecentQuery {
    /// In this state: PENDING, RETRYING, DELIVERED, DEAD, REPLAY_EXPIRED or CANCELLED.
    #[param(value_type = Option<schemas::DeliveryStatus>, inline)]
    status: Option<Status>,
    /// Held, whatever for (`true`), or not held (`false`).
    held: Option<bool>,
    /// Held for this reason.
    #[param(value_type = Option<schemas::HeldReason>, inline)]
    held_reason: Option<HeldReason>,
    /// Of events of this type.
    #[param(value_type = Option<String>, example = "ring.forged", max_length = 128, pattern = "^[A-Za-z0-9_-]+([./][A-Za-z0-9_-]+)*$")]
    event_type: Option<EventType>,
    /// To this subscription.
    #[param(value_type = Option<String>, pattern = "^wh_[0-7][0-9a-hjkmnp-tv-z]{25}$")]
    webhook_id: Option<SubscriptionId>,
    /// To this partner's subscriptions.
    #[param(value_type = Option<String>, example = "acme", pattern = "^[A-Za-z0-9][A-Za-z0-9_.:@-]{0,63}$")]
    owner_id: Option<OwnerId>,
    /// How many deliveries at most.
    #[serde(default)]
    #[param(value_type = Option<u8>, minimum = 1, maximum = 200, default = 50)]
    limit: Limit,
}

/// The newest deliveries
///
/// Final states other than DELIVERED are looked for among the last day's deliveries, DELIVERED among the newest 20,000 of the
/// owner or of all. Complete lists are the partner's and the operator's APIs.
#[utoipa::path(
    get, path = "/v1/monitoring/webhooks/recent", operation_id = "listRecentDeliveries", tag = "Webhooks",
    params(RecentQuery), security(("admin_key" = []), ("bearer" = [])),
    responses(
        (status = 200, description = "Newest first; never a payload.", body = schemas::RecentDeliveries),
        (status = "default", description = "A refusal, or a source that cannot be read (503).", body = ProblemSchema, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(asked: Viewing<StrictQuery<RecentQuery>>, sources: web::Data<Sources>) -> ApiResult {
    let RecentQuery { status, held, held_reason, event_type, webhook_id, owner_id, limit } = asked.input.into_inner();
    let event_type = event_type.map(|event_type| event_type.as_ref().to_owned());
    let filter = RecentFilter { status, held, held_reason, event_type, webhook_id, owner_id };
    Ok(fresh(operations::list_recent_deliveries(&sources, &filter, limit).await?))
}
