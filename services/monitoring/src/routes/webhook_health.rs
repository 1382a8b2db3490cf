//! `GET /v1/monitoring/webhooks/{id}/health`.

use actix_web::web;
use onering_ids::SubscriptionId;
use onering_problem::Problem;
use onering_web::{ApiResult, ProblemSchema};

use super::fresh;
use super::viewing::Viewing;
use crate::openapi::schemas;
use crate::operations;
use crate::sources::Sources;

const WHAT: &str = "webhook";

/// How one subscription is doing
#[utoipa::path(
    get, path = "/v1/monitoring/webhooks/{id}/health", operation_id = "showWebhookHealth", tag = "Webhooks",
    params(("id" = String, Path, description = "The subscription: `wh_…`.")),
    security(("admin_key" = []), ("bearer" = [])),
    responses(
        (status = 200, description = "Counts of the last 24 hours; pending, retrying and held as of now.", body = schemas::WebhookHealth),
        (status = "default", description = "A refusal, no such subscription (404), or a source that cannot be read (503).", body = ProblemSchema, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn show(asked: Viewing<web::Path<String>>, sources: web::Data<Sources>) -> ApiResult {
    // What is no id names no subscription.
    let webhook_id: SubscriptionId = asked.input.parse().map_err(|_| Problem::not_found(WHAT))?;
    let health = operations::read_webhook_health(&sources, webhook_id).await?;
    Ok(fresh(health.ok_or_else(|| Problem::not_found(WHAT))?))
}
