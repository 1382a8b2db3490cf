//! `GET /v1/external/event-types`: the catalogue.

use actix_web::HttpResponse;
use onering_store::event_types::{self, CatalogueEntry};
use onering_web::{ApiError, ApiResult};
use onering_webhook_operations::Timestamp;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::access::{AnyKey, Caller};
use crate::worker::OnWorker;

/// An event type.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EventTypeView {
    /// What subscriptions name.
    #[schema(example = "ring.forged")]
    name: String,
    /// What happened when it is sent.
    description: String,
    /// JSON Schema (2020-12) of `data`.
    schema: Value,
    /// Whether to move away from it.
    deprecated: bool,
    /// When it entered the catalogue.
    created_at: Timestamp,
}

/// The whole catalogue.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EventTypeList {
    /// By name.
    items: Vec<EventTypeView>,
    /// Always null: the catalogue is one page.
    next_cursor: Option<String>,
}

impl From<CatalogueEntry> for EventTypeView {
    fn from(entry: CatalogueEntry) -> Self {
        let CatalogueEntry { name, description, schema, deprecated, created_at } = entry;
        Self { name, description, schema, deprecated, created_at: created_at.into() }
    }
}

/// The catalogue of event types
#[utoipa::path(
    get, path = "/v1/external/event-types", operation_id = "listEventTypes", tag = "Events", security(("api_key" = [])),
    responses(
        (status = 200, description = "The catalogue.", body = EventTypeList),
        (status = "default", description = "A refusal.", body = onering_web::ProblemSchema, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn list(_: Caller<AnyKey>, OnWorker(worker): OnWorker) -> ApiResult {
    let mut connection = worker.pool.get().await.map_err(ApiError::unavailable)?;
    let entries = event_types::list(&mut connection).await.map_err(ApiError::unavailable)?;
    let items = entries.into_iter().map(EventTypeView::from).collect();
    Ok(HttpResponse::Ok().json(EventTypeList { items, next_cursor: None }))
}
