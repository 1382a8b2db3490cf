//! Deliveries of any owner.

use actix_web::web::Data;
use chrono::{DateTime, Utc};
use onering_delivery::{HeldReason, Status};
use onering_ids::{DeliveryId, EventId, OwnerId, SubscriptionId};
use onering_web::{ApiResult, Cursor, Limit, OperatorRole, Page, StrictQuery, Viewer};
use onering_webhook_operations::{DeliveryQuery, DeliveryView, Scope};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::acting::Acting;
use crate::json_answer::{accepted, ok};
use crate::path_id::PathId;
use crate::state::AdminState;

/// Which deliveries to list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct OperatorDeliveryQuery {
    /// Only of this partner.
    #[param(value_type = Option<String>, pattern = "^[A-Za-z0-9][A-Za-z0-9_.:@-]{0,63}$")]
    owner_id: Option<OwnerId>,
    /// Only in this status.
    #[param(value_type = Option<String>, example = "DEAD", pattern = "^(PENDING|RETRYING|DELIVERED|DEAD|REPLAY_EXPIRED|CANCELLED)$")]
    status: Option<Status>,
    /// Only those that are held, whatever for (`true`), or those that are not (`false`).
    held: Option<bool>,
    /// Only those held for this reason: `DELIVERY_OFF`, `OUTSIDE_COHORT`, `SUBSCRIPTION_PAUSED`, `SUBSCRIPTION_DISABLED`,
    /// `PARTNER_DISABLED` or `BREAKER_OPEN`.
    #[param(value_type = Option<String>, example = "SUBSCRIPTION_DISABLED")]
    held_reason: Option<HeldReason>,
    /// Only of this event type.
    event_type: Option<String>,
    /// Only of this subscription.
    #[param(value_type = Option<String>, pattern = "^wh_[0-7][0-9a-hjkmnp-tv-z]{25}$")]
    webhook_id: Option<SubscriptionId>,
    /// Only of this event, repeats included.
    #[param(value_type = Option<String>, pattern = "^evt_[0-7][0-9a-hjkmnp-tv-z]{25}$")]
    event_id: Option<EventId>,
    /// Only those made at this instant or later, RFC 3339.
    from: Option<DateTime<Utc>>,
    /// Only those made before this instant, RFC 3339.
    to: Option<DateTime<Utc>>,
    /// At most this many: 1–200, 50 by default.
    #[param(value_type = Option<u8>, minimum = 1, maximum = 200)]
    limit: Limit,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor<DeliveryId>>,
}

impl OperatorDeliveryQuery {
    fn into_parts(self) -> (Option<OwnerId>, DeliveryQuery) {
        let Self { owner_id, status, held, held_reason, event_type, webhook_id, event_id, from, to, limit, cursor } =
            self;
        let query =
            DeliveryQuery { status, held, held_reason, event_type, webhook_id, event_id, from, to, limit, cursor };
        (owner_id, query)
    }
}

/// Deliveries, newest first.
#[utoipa::path(
    get, path = "/v1/admin/external/deliveries", tag = "deliveries", params(OperatorDeliveryQuery),
    responses((status = 200, description = "A page of deliveries.", body = Page<DeliveryView>))
)]
pub(crate) async fn list(
    acting: Acting<Viewer, StrictQuery<OperatorDeliveryQuery>>,
    state: Data<AdminState>,
) -> ApiResult {
    let (stamp, query) = acting.split();
    let (owner, query) = query.into_inner().into_parts();
    let scope = owner.as_ref().map_or(Scope::AnyOwner(&stamp), Scope::Owner);
    Ok(ok(&state.webhooks.list_deliveries(scope, query).await?))
}

/// One delivery with every attempt.
#[utoipa::path(
    get, path = "/v1/admin/external/deliveries/{id}", tag = "deliveries",
    params(("id" = String, Path, description = "dlv_…")),
    responses((status = 200, description = "The delivery.", body = DeliveryView))
)]
pub(crate) async fn get(acting: Acting<Viewer, PathId<DeliveryId>>, state: Data<AdminState>) -> ApiResult {
    let (stamp, PathId(id)) = acting.split();
    Ok(ok(&state.webhooks.get_delivery(Scope::AnyOwner(&stamp), id).await?))
}

/// Deliver a final delivery's event once more, as a new delivery.
#[utoipa::path(
    post, path = "/v1/admin/external/deliveries/{id}/resend", tag = "deliveries",
    params(("id" = String, Path, description = "dlv_…")),
    responses((status = 202, description = "The new delivery; it is still to be sent.", body = DeliveryView))
)]
pub(crate) async fn resend(acting: Acting<OperatorRole, PathId<DeliveryId>>, state: Data<AdminState>) -> ApiResult {
    let (stamp, PathId(id)) = acting.split();
    Ok(accepted(&state.webhooks.resend_delivery(Scope::AnyOwner(&stamp), id).await?))
}
