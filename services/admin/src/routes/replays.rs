//! Replays: jobs that send the deliveries of a range of time again.

mod start_body;
mod view;

use actix_web::web::Data;
use onering_delivery::ReplayState;
use onering_ids::ReplayId;
use onering_store::replays;
use onering_web::{ApiResult, Cursor, Limit, OperatorRole, Page, StrictJson, StrictQuery, Viewer};
use onering_webhook_operations::OperationError;
use serde::Deserialize;
use utoipa::IntoParams;

use self::start_body::StartReplayBody;
pub(crate) use self::view::{ReplayCountView, ReplayView};
use crate::acting::Acting;
use crate::json_answer::{created, ok};
use crate::operations::replay::{cancel_replay, count_replay, start_replay};
use crate::path_id::PathId;
use crate::routes::rows_for;
use crate::state::AdminState;

/// Which replays to list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct ReplayQuery {
    /// Only in this state: `RUNNING`, `DONE`, `CANCELLED` or `FAILED`.
    #[param(value_type = Option<String>, example = "RUNNING")]
    state: Option<ReplayState>,
    /// At most this many: 1–200, 50 by default.
    #[param(value_type = Option<u8>, minimum = 1, maximum = 200)]
    limit: Limit,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor<ReplayId>>,
}

/// Send deliveries again, or with `dry_run` count them.
#[utoipa::path(
    post, path = "/v1/admin/external/replays", tag = "replays", request_body = StartReplayBody,
    responses(
        (status = 200, description = "With `dry_run`: how many it would go over. Nothing is written.", body = ReplayCountView),
        (status = 201, description = "The replay. A worker takes it within a second.", body = ReplayView)
    )
)]
pub(crate) async fn start(
    acting: Acting<OperatorRole, StrictJson<StartReplayBody>>,
    state: Data<AdminState>,
) -> ApiResult {
    let (stamp, body) = acting.split();
    let scope = body.scope()?;
    if body.dry_run {
        return Ok(ok(&ReplayCountView::of(&count_replay(&state, scope).await?)));
    }
    Ok(created(&ReplayView::from(start_replay(&state, &stamp, scope, body.rate()).await?)))
}

/// Replays, newest first.
#[utoipa::path(
    get, path = "/v1/admin/external/replays", tag = "replays", params(ReplayQuery),
    responses((status = 200, description = "A page of replays.", body = Page<ReplayView>))
)]
pub(crate) async fn list(acting: Acting<Viewer, StrictQuery<ReplayQuery>>, state: Data<AdminState>) -> ApiResult {
    let (_stamp, query) = acting.split();
    let before = query.cursor.map(Cursor::into_key);
    let mut connection = state.connection().await?;
    let rows = replays::list(&mut connection, query.state, before, rows_for(query.limit))
        .await
        .map_err(OperationError::from)?;
    Ok(ok(&Page::from_rows(rows, query.limit, |job| job.replay_id).map(ReplayView::from)))
}

/// One replay and how far it is.
#[utoipa::path(
    get, path = "/v1/admin/external/replays/{id}", tag = "replays",
    params(("id" = String, Path, description = "rpl_…")),
    responses((status = 200, description = "The replay.", body = ReplayView))
)]
pub(crate) async fn get(acting: Acting<Viewer, PathId<ReplayId>>, state: Data<AdminState>) -> ApiResult {
    let (_stamp, PathId(id)) = acting.split();
    let mut connection = state.connection().await?;
    let job = replays::get(&mut connection, id).await.map_err(OperationError::from)?;
    Ok(ok(&ReplayView::from(job.ok_or_else(|| OperationError::not_found("replay"))?)))
}

/// Stop a running replay: it makes no delivery any more. What it made is delivered.
#[utoipa::path(
    post, path = "/v1/admin/external/replays/{id}/cancel", tag = "replays",
    params(("id" = String, Path, description = "rpl_…")),
    responses((status = 200, description = "The cancelled replay.", body = ReplayView))
)]
pub(crate) async fn cancel(acting: Acting<OperatorRole, PathId<ReplayId>>, state: Data<AdminState>) -> ApiResult {
    let (stamp, PathId(id)) = acting.split();
    Ok(ok(&ReplayView::from(cancel_replay(&state, &stamp, id).await?)))
}
