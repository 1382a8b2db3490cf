//! `GET /v1/monitoring/alerts`.

use actix_web::web;
use onering_web::{ApiResult, ProblemSchema};

use super::fresh;
use super::viewing::Viewing;
use crate::openapi::schemas;
use crate::operations;
use crate::sources::Sources;

/// What is above its threshold
#[utoipa::path(
    get, path = "/v1/monitoring/alerts", operation_id = "listAlerts", tag = "Alerts", security(("admin_key" = []), ("bearer" = [])),
    responses(
        (status = 200, description = "Every alert, firing or not.", body = schemas::AlertsReport),
        (status = "default", description = "A refusal, or a source that cannot be read (503).", body = ProblemSchema, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn show(_: Viewing, sources: web::Data<Sources>) -> ApiResult {
    Ok(fresh(operations::read_alerts(&sources).await?))
}
