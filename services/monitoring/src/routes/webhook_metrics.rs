//! `GET /v1/monitoring/webhooks/metrics`.

use actix_web::web;
use onering_web::{ApiResult, ProblemSchema};

use super::fresh;
use super::viewing::Viewing;
use crate::openapi::schemas;
use crate::operations;
use crate::sources::Sources;

/// What was delivered, and what waits
#[utoipa::path(
    get, path = "/v1/monitoring/webhooks/metrics", operation_id = "showWebhookMetrics", tag = "Webhooks", security(("admin_key" = []), ("bearer" = [])),
    responses(
        (status = 200, description = "Counts of the last 24 hours; pending, retrying and held as of now.", body = schemas::WebhookMetrics),
        (status = "default", description = "A refusal, or a source that cannot be read (503).", body = ProblemSchema, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn show(_: Viewing, sources: web::Data<Sources>) -> ApiResult {
    Ok(fresh(operations::read_webhook_metrics(&sources).await?))
}
