//! `GET /v1/monitoring/external/api-keys`.

use actix_web::web;
use onering_ids::KeyId;
use onering_web::{ApiResult, Cursor, Limit, ProblemSchema, StrictQuery};
use serde::Deserialize;
use utoipa::IntoParams;

use super::fresh;
use super::viewing::Viewing;
use crate::openapi::schemas;
use crate::operations;
use crate::sources::Sources;

/// Which page.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// How many keys at most.
    #[serde(default)]
    #[param(value_type = Option<u8>, minimum = 1, maximum = 200, default = 50)]
    limit: Limit,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor<KeyId>>,
}

/// Every key and its use, newest first
#[utoipa::path(
    get, path = "/v1/monitoring/external/api-keys", operation_id = "listApiKeyMetrics", tag = "Partner API",
    params(PageQuery), security(("admin_key" = []), ("bearer" = [])),
    responses(
        (status = 200, description = "Use is of this clock hour and the 23 before it.", body = schemas::ApiKeysReport),
        (status = "default", description = "A refusal, or a source that cannot be read (503).", body = ProblemSchema, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(asked: Viewing<StrictQuery<PageQuery>>, sources: web::Data<Sources>) -> ApiResult {
    let PageQuery { limit, cursor } = asked.input.into_inner();
    Ok(fresh(operations::list_api_keys(&sources, cursor.map(Cursor::into_key), limit).await?))
}
