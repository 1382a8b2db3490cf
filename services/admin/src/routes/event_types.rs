//! The catalogue of event types that partners read.

use actix_web::web::Data;
use onering_problem::Problem;
use onering_store::event_types::{self, CatalogueChange, CatalogueEntry};
use onering_web::{ApiResult, OperatorRole, Page, StrictJson, Viewer};
use onering_webhook_operations::{OperationError, Timestamp};
use onering_webhooks::EventType;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::acting::Acting;
use crate::fields::JsonObject;
use crate::json_answer::ok;
use crate::operations::write_event_type::write_event_type;
use crate::path_id::PathText;
use crate::state::AdminState;

/// The most characters of a description.
const LONGEST_DESCRIPTION: usize = 2000;

/// One entry of the catalogue.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventType)]
pub(crate) struct EventTypeView {
    /// The event type.
    #[schema(example = "ring.forged")]
    name: String,
    /// What happened when it is sent.
    description: String,
    /// JSON Schema of `data`.
    #[schema(value_type = Object)]
    schema: Value,
    /// Whether partners should move away from it.
    deprecated: bool,
    /// When it entered the catalogue.
    created_at: Timestamp,
}

impl From<CatalogueEntry> for EventTypeView {
    fn from(entry: CatalogueEntry) -> Self {
        let CatalogueEntry { name, description, schema, deprecated, created_at } = entry;
        Self { name, description, schema, deprecated, created_at: created_at.into() }
    }
}

/// What to write; what is left out stays, or is empty for a new entry.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WriteEventType)]
pub(crate) struct WriteEventTypeBody {
    /// What happened when it is sent; at most 2,000 characters.
    #[schema(max_length = 2000)]
    description: Option<String>,
    /// JSON Schema of `data`.
    #[schema(value_type = Option<Object>)]
    schema: Option<JsonObject>,
    /// Whether partners should move away from it.
    deprecated: Option<bool>,
}

/// The whole catalogue, by name.
#[utoipa::path(
    get, path = "/v1/admin/event-types", tag = "event-types",
    responses((status = 200, description = "The catalogue, on one page.", body = Page<EventTypeView>))
)]
pub(crate) async fn list(_acting: Acting<Viewer>, state: Data<AdminState>) -> ApiResult {
    let mut connection = state.connection().await?;
    let entries = event_types::list(&mut connection).await.map_err(OperationError::from)?;
    Ok(ok(&Page { items: entries.into_iter().map(EventTypeView::from).collect(), next_cursor: None }))
}

/// Create an entry, or change it.
#[utoipa::path(
    put, path = "/v1/admin/event-types/{name}", tag = "event-types",
    params(("name" = String, Path, description = "The event type, such as ring.forged")),
    request_body = WriteEventTypeBody, responses((status = 200, description = "The entry.", body = EventTypeView))
)]
pub(crate) async fn put(
    acting: Acting<OperatorRole, (PathText, StrictJson<WriteEventTypeBody>)>,
    state: Data<AdminState>,
) -> ApiResult {
    let (stamp, (PathText(name), body)) = acting.split();
    let change = catalogue_change(&name, body.into_inner())?;
    Ok(ok(&EventTypeView::from(write_event_type(&state, &stamp, change).await?)))
}

fn catalogue_change(name: &str, body: WriteEventTypeBody) -> Result<CatalogueChange, Problem> {
    let name: EventType = name.parse().map_err(|wrong| Problem::invalid("name", format!("{wrong}.")))?;
    if body.description.as_ref().is_some_and(|text| text.chars().count() > LONGEST_DESCRIPTION) {
        let rule = format!("description has at most {LONGEST_DESCRIPTION} characters.");
        return Err(Problem::invalid("description", rule));
    }
    Ok(CatalogueChange {
        name: name.as_str().to_owned(),
        description: body.description,
        schema: body.schema.map(|JsonObject(schema)| Value::Object(schema)),
        deprecated: body.deprecated,
    })
}
