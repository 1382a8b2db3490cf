//! `POST /v1/external/events/batch`: up to 1,000 events.

use actix_web::HttpResponse;
use chrono::{DateTime, Utc};
use onering_ids::EventId;
use onering_problem::{Code, Problem};
use onering_rate_limit::Cost;
use onering_web::{ApiResult, CappedBody};
use onering_webhook_operations::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::idempotency_header::NoSentKey;
use crate::access::{PublishEvents, Recognised};
use crate::operations::{BatchItems, ItemOutcome, publish_batch};
use crate::worker::OnWorker;

/// What became of a batch.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BatchAnswer {
    /// One result for each item, in their order.
    results: Vec<ItemResult>,
    /// How many were accepted.
    accepted: usize,
    /// How many were not.
    rejected: usize,
}

/// What became of one item.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ItemResult {
    /// Its place in the batch, from 0.
    index: usize,
    /// `accepted` or `rejected`.
    status: &'static str,
    /// Of an accepted one: its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    event_id: Option<EventId>,
    /// Of an accepted one: how many deliveries it led to.
    #[serde(skip_serializing_if = "Option::is_none")]
    queued: Option<u32>,
    /// Of an accepted one: when.
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<Timestamp>,
    /// `true` of one that had been accepted before, by its idempotency key.
    #[serde(skip_serializing_if = "Option::is_none")]
    replayed: Option<bool>,
    /// Of a rejected one: the code to branch on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    code: Option<Code>,
    /// Of a rejected one: what is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// Of a rejected one: where.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
}

// For documentation alone: items are read where they are published.
/// An event in a batch.
#[derive(ToSchema)]
#[schema(as = NewBatchEvent)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) struct NewBatchEventSchema {
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
    /// Your own name for this item: 1–255 visible ASCII characters. Sent again within a day, it is answered as the first time.
    #[schema(example = "ring-2", min_length = 1, max_length = 255, pattern = "^[!-~]+$")]
    idempotency_key: Option<String>,
}

/// A batch of events.
#[derive(ToSchema)]
#[schema(as = NewBatch, min_items = 1, max_items = 1000)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) struct NewBatchSchema(Vec<NewBatchEventSchema>);

/// Publish up to 1,000 events
///
/// A JSON array, or one JSON document a line. An item may also have an `idempotency_key`; the header `Idempotency-Key` is
/// refused here. Each item counts against the limit;
/// when too little is left, the whole batch is refused.
#[utoipa::path(
    post, path = "/v1/external/events/batch", operation_id = "publishEvents", tag = "Events", security(("api_key" = ["write:events"])),
    request_body(content(
        (NewBatchSchema = "application/json"),
        (String = "application/x-ndjson"),
    )),
    responses(
        (status = 202, description = "Each item is accepted or rejected by itself.", body = BatchAnswer),
        (status = "default", description = "A refusal of the whole batch.", body = onering_web::ProblemSchema, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn publish(
    caller: Recognised<PublishEvents, (NoSentKey, CappedBody)>,
    OnWorker(worker): OnWorker,
) -> ApiResult {
    let (NoSentKey, body) = &caller.input;
    let items = match BatchItems::split(&body.media_type, &body.bytes) {
        Ok(items) => items,
        Err(problem) => {
            caller.charge(Cost::ONE).await?;
            return Err(problem.into());
        }
    };
    caller.charge(items.cost()).await?;
    let outcomes = publish_batch(&worker, &caller.key, &items).await;
    if let Some(problem) = nothing_was_written(&outcomes) {
        return Err(problem.clone().into());
    }
    Ok(HttpResponse::Accepted().json(BatchAnswer::from(outcomes)))
}

/// When not one item could be written the whole call failed, and says so where every client looks.
fn nothing_was_written(outcomes: &[ItemOutcome]) -> Option<&Problem> {
    let unwritten = |outcome: &ItemOutcome| {
        outcome.as_ref().is_err_and(|problem| matches!(problem.code, Code::DependencyUnavailable | Code::Overloaded))
    };
    let first = outcomes.first()?.as_ref().err()?;
    outcomes.iter().all(unwritten).then_some(first)
}

impl From<Vec<ItemOutcome>> for BatchAnswer {
    fn from(outcomes: Vec<ItemOutcome>) -> Self {
        let accepted = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        let rejected = outcomes.len() - accepted;
        let results = outcomes.into_iter().enumerate().map(|(index, outcome)| ItemResult::of(index, outcome)).collect();
        Self { results, accepted, rejected }
    }
}

impl ItemResult {
    fn of(index: usize, outcome: ItemOutcome) -> Self {
        let nothing = Self {
            index,
            status: "rejected",
            event_id: None,
            queued: None,
            created_at: None,
            replayed: None,
            code: None,
            detail: None,
            field: None,
        };
        match outcome {
            Ok(receipt) => Self {
                status: "accepted",
                event_id: Some(receipt.event_id),
                queued: Some(receipt.queued),
                created_at: Some(receipt.created_at.into()),
                replayed: receipt.replayed.then_some(true),
                ..nothing
            },
            Err(problem) => {
                Self { code: Some(problem.code), detail: Some(problem.detail), field: problem.field, ..nothing }
            }
        }
    }
}
