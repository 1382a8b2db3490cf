//! `GET /v1/monitoring/external/metrics`.

use actix_web::web;
use onering_web::{ApiResult, ProblemSchema};

use super::fresh;
use super::viewing::Viewing;
use crate::openapi::schemas;
use crate::operations;
use crate::sources::Sources;

/// What partners called, and what was refused
#[utoipa::path(
    get, path = "/v1/monitoring/external/metrics", operation_id = "showExternalMetrics", tag = "Partner API", security(("admin_key" = []), ("bearer" = [])),
    responses(
        (status = 200, description = "Counts of the last 24 hours; keys as of now.", body = schemas::ExternalMetrics),
        (status = "default", description = "A refusal, or a source that cannot be read (503).", body = ProblemSchema, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn show(_: Viewing, sources: web::Data<Sources>) -> ApiResult {
    Ok(fresh(operations::read_external_metrics(&sources).await?))
}
