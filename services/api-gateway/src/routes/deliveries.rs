//! `/v1/external/deliveries`: what became of a partner's deliveries.

use actix_web::HttpResponse;
use onering_ids::DeliveryId;
use onering_web::{ApiResult, Page, StrictQuery};
use onering_webhook_operations::{DeliveryQuery, DeliveryView, Scope};

use super::path_id::PathId;
use crate::access::{Caller, ChangeWebhooks, SeeWebhooks};
use crate::worker::OnWorker;

/// Your deliveries, newest first
#[utoipa::path(
    get, path = "/v1/external/deliveries", operation_id = "listDeliveries", tag = "Deliveries", security(("api_key" = ["read:webhooks"])),
    params(DeliveryQuery),
    responses(
        (status = 200, description = "A page of them.", body = Page<DeliveryView>),
        (status = "default", description = "A refusal.", body = onering_web::ProblemSchema, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn list(
    caller: Caller<SeeWebhooks, StrictQuery<DeliveryQuery>>,
    OnWorker(worker): OnWorker,
) -> ApiResult {
    let query = caller.input.into_inner();
    let page = worker.webhooks.list_deliveries(Scope::Owner(&caller.key.owner_id), query).await?;
    Ok(HttpResponse::Ok().json(page))
}

/// One delivery, with every attempt
#[utoipa::path(
    get, path = "/v1/external/deliveries/{id}", operation_id = "showDelivery", tag = "Deliveries", security(("api_key" = ["read:webhooks"])),
    params(("id" = String, Path, description = "`dlv_…`")),
    responses(
        (status = 200, description = "The delivery.", body = DeliveryView),
        (status = "default", description = "A refusal.", body = onering_web::ProblemSchema, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn show(caller: Caller<SeeWebhooks, PathId<DeliveryId>>, OnWorker(worker): OnWorker) -> ApiResult {
    let PathId(id) = caller.input;
    let shown = worker.webhooks.get_delivery(Scope::Owner(&caller.key.owner_id), id).await?;
    Ok(HttpResponse::Ok().json(shown))
}

/// Send a delivery again
///
/// Makes a new delivery of the same event, which points at the original. Only what is over can be sent again.
#[utoipa::path(
    post, path = "/v1/external/deliveries/{id}/resend", operation_id = "resendDelivery", tag = "Deliveries", security(("api_key" = ["write:webhooks"])),
    params(("id" = String, Path, description = "`dlv_…`")),
    responses(
        (status = 202, description = "The new delivery.", body = DeliveryView),
        (status = "default", description = "A refusal.", body = onering_web::ProblemSchema, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn resend(
    caller: Caller<ChangeWebhooks, PathId<DeliveryId>>,
    OnWorker(worker): OnWorker,
) -> ApiResult {
    let PathId(id) = caller.input;
    let made = worker.webhooks.resend_delivery(Scope::Owner(&caller.key.owner_id), id).await?;
    Ok(HttpResponse::Accepted().json(made))
}
