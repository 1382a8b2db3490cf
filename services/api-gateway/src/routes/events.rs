//! `POST /v1/external/events`: one event.

use actix_web::HttpResponse;
use actix_web::http::header::{HeaderName, HeaderValue};
use chrono::{DateTime, Utc};
use onering_ids::EventId;
use onering_problem::Problem;
use onering_web::{ApiResult, StrictJson};
use onering_webhook_operations::Timestamp;
use onering_webhooks::{EventInput, EventType};
use serde::Serialize;
use utoipa::ToSchema;

use super::idempotency_header::SentKey;
use crate::access::{Caller, PublishEvents};
use crate::operations::prepare_event;
use crate::worker::OnWorker;

const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

// For documentation alone: requests are read into the domain's type.
/// An event to publish.
#[derive(ToSchema)]
#[schema(as = NewEvent)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) struct NewEventSchema {
    /// What happened: words joined by dots.
    #[schema(example = "ring.forged", max_length = 128, pattern = "^[A-Za-z0-9_-]+([./][A-Za-z0-9_-]+)*$")]
    event_type: String,
    /// Particulars: any JSON. Delivered byte for byte as sent.
    #[schema(value_type = Value)]
    data: (),
    /// When it happened; the time of acceptance when left out.
    #[schema(example = "2026-11-22T00:00:00Z")]
    occurred_at: Option<DateTime<Utc>>,
    /// Whose event it is, or `*` for every partner's; your own when left out. Another's needs the scope `publish:any`.
    #[schema(pattern = "^([*]|[A-Za-z0-9][A-Za-z0-9_.:@-]{0,63})$")]
    owner_id: Option<String>,
}

/// An accepted event.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AcceptedEvent {
    /// Its id; what deliveries carry.
    #[schema(value_type = String, example = "evt_01h455vb4pex5vsknk084sn02q")]
    event_id: EventId,
    /// What happened.
    #[schema(value_type = String)]
    event_type: EventType,
    /// How many deliveries it led to.
    queued: u32,
    /// When it was accepted.
    created_at: Timestamp,
}

/// Publish an event
///
/// Answered once the event is stored durably. With an `Idempotency-Key`, sending it again within a day is answered as the
/// first time.
#[utoipa::path(
    post, path = "/v1/external/events", operation_id = "publishEvent", tag = "Events", security(("api_key" = ["write:events"])),
    params(("Idempotency-Key" = Option<String>, Header, description = "Your own name for this request: 1–255 visible ASCII characters.", min_length = 1, max_length = 255, pattern = "^[!-~]+$")),
    request_body = NewEventSchema,
    responses(
        (status = 202, description = "Accepted. `Idempotent-Replayed: true` says that it had been before.", body = AcceptedEvent),
        (status = "default", description = "A refusal.", body = onering_web::ProblemSchema, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn publish(
    caller: Caller<PublishEvents, (SentKey, StrictJson<EventInput>)>,
    OnWorker(worker): OnWorker,
) -> ApiResult {
    let (SentKey(idempotency_key), StrictJson(input)) = caller.input;
    let event = prepare_event(&worker.clock, &caller.key, input, idempotency_key)?;
    let event_type = event.event_type.clone();
    let receipt = worker.publisher.publish(event).await.map_err(Problem::from)?;
    let mut answer = HttpResponse::Accepted();
    if receipt.replayed {
        answer.insert_header((REPLAYED, HeaderValue::from_static("true")));
    }
    let (event_id, queued, created_at) = (receipt.event_id, receipt.queued, receipt.created_at.into());
    Ok(answer.json(AcceptedEvent { event_id, event_type, queued, created_at }))
}
