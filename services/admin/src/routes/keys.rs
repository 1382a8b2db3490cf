//! Partners' API keys.

mod change_body;
mod create_body;
mod list_query;
mod rotate_body;
mod view;

use actix_web::web::Data;
use onering_ids::KeyId;
use onering_store::api_keys::{self, ApiKey};
use onering_web::{ApiResult, Cursor, OperatorRole, OptionalJson, Page, StrictJson, StrictQuery, Viewer};
use onering_webhook_operations::OperationError;

pub(crate) use self::change_body::ChangeKeyBody;
pub(crate) use self::create_body::CreateKeyBody;
pub(crate) use self::list_query::KeyQuery;
pub(crate) use self::rotate_body::RotateKeyBody;
pub(crate) use self::view::{KeyView, KeyWithTokenView};
use crate::acting::Acting;
use crate::json_answer::{created, gone, not_stored, ok};
use crate::operations::{change_key, create_key, delete_key, rotate_key, switch_key};
use crate::path_id::PathId;
use crate::routes::rows_for;
use crate::state::AdminState;

/// Make a key; its token is shown this once.
#[utoipa::path(
    post, path = "/v1/admin/external/keys", tag = "keys", request_body = CreateKeyBody,
    responses((status = 201, description = "The key, with its token.", body = KeyWithTokenView))
)]
pub(crate) async fn create(
    acting: Acting<OperatorRole, StrictJson<CreateKeyBody>>,
    state: Data<AdminState>,
) -> ApiResult {
    let (stamp, body) = acting.split();
    let plan = body.into_inner().into_plan(state.clock.now())?;
    let (key, token) = create_key::create_key(&state, &stamp, plan).await?;
    Ok(not_stored(created(&KeyWithTokenView::made(view(&state, key), &token))))
}

/// Keys, newest first.
#[utoipa::path(
    get, path = "/v1/admin/external/keys", tag = "keys", params(KeyQuery),
    responses((status = 200, description = "A page of keys.", body = Page<KeyView>))
)]
pub(crate) async fn list(acting: Acting<Viewer, StrictQuery<KeyQuery>>, state: Data<AdminState>) -> ApiResult {
    let (_stamp, query) = acting.split();
    let (filter, before) = (query.filter()?, query.cursor.map(Cursor::into_key));
    let mut connection = state.connection().await?;
    let rows =
        api_keys::list(&mut connection, &filter, before, rows_for(query.limit)).await.map_err(OperationError::from)?;
    Ok(ok(&Page::from_rows(rows, query.limit, |key| key.key_id).map(|key| view(&state, key))))
}

/// One key.
#[utoipa::path(
    get, path = "/v1/admin/external/keys/{id}", tag = "keys", params(("id" = String, Path, description = "key_…")),
    responses((status = 200, description = "The key.", body = KeyView))
)]
pub(crate) async fn get(acting: Acting<Viewer, PathId<KeyId>>, state: Data<AdminState>) -> ApiResult {
    let (_stamp, PathId(id)) = acting.split();
    let mut connection = state.connection().await?;
    let found = api_keys::get(&mut connection, id).await.map_err(OperationError::from)?;
    Ok(ok(&view(&state, found.ok_or_else(|| OperationError::not_found("key"))?)))
}

/// Change a key; what is left out stays.
#[utoipa::path(
    patch, path = "/v1/admin/external/keys/{id}", tag = "keys", params(("id" = String, Path, description = "key_…")),
    request_body = ChangeKeyBody, responses((status = 200, description = "The changed key.", body = KeyView))
)]
pub(crate) async fn change(
    acting: Acting<OperatorRole, (PathId<KeyId>, StrictJson<ChangeKeyBody>)>,
    state: Data<AdminState>,
) -> ApiResult {
    let (stamp, (PathId(id), body)) = acting.split();
    let change = body.into_inner().into_change(state.clock.now())?;
    Ok(ok(&view(&state, change_key::change_key(&state, &stamp, id, &change).await?)))
}

/// Delete a key with its secrets. Its usage is kept.
#[utoipa::path(
    delete, path = "/v1/admin/external/keys/{id}", tag = "keys", params(("id" = String, Path, description = "key_…")),
    responses((status = 204, description = "It is deleted."))
)]
pub(crate) async fn delete(acting: Acting<OperatorRole, PathId<KeyId>>, state: Data<AdminState>) -> ApiResult {
    let (stamp, PathId(id)) = acting.split();
    delete_key::delete_key(&state, &stamp, id).await?;
    Ok(gone())
}

/// Refuse a key until it is enabled again.
#[utoipa::path(
    patch, path = "/v1/admin/external/keys/{id}/disable", tag = "keys",
    params(("id" = String, Path, description = "key_…")),
    responses((status = 200, description = "The disabled key.", body = KeyView))
)]
pub(crate) async fn disable(acting: Acting<OperatorRole, PathId<KeyId>>, state: Data<AdminState>) -> ApiResult {
    let (stamp, PathId(id)) = acting.split();
    Ok(ok(&view(&state, switch_key::disable_key(&state, &stamp, id).await?)))
}

/// Admit a disabled key again.
#[utoipa::path(
    patch, path = "/v1/admin/external/keys/{id}/enable", tag = "keys",
    params(("id" = String, Path, description = "key_…")),
    responses((status = 200, description = "The enabled key.", body = KeyView))
)]
pub(crate) async fn enable(acting: Acting<OperatorRole, PathId<KeyId>>, state: Data<AdminState>) -> ApiResult {
    let (stamp, PathId(id)) = acting.split();
    Ok(ok(&view(&state, switch_key::enable_key(&state, &stamp, id).await?)))
}

/// Refuse a key for good.
#[utoipa::path(
    post, path = "/v1/admin/external/keys/{id}/revoke", tag = "keys",
    params(("id" = String, Path, description = "key_…")),
    responses((status = 200, description = "The revoked key.", body = KeyView))
)]
pub(crate) async fn revoke(acting: Acting<OperatorRole, PathId<KeyId>>, state: Data<AdminState>) -> ApiResult {
    let (stamp, PathId(id)) = acting.split();
    Ok(ok(&view(&state, switch_key::revoke_key(&state, &stamp, id).await?)))
}

/// Give a key a new secret; the old one goes on working for a grace. The new token is shown this once.
#[utoipa::path(
    post, path = "/v1/admin/external/keys/{id}/rotate", tag = "keys",
    params(("id" = String, Path, description = "key_…")), request_body = Option<RotateKeyBody>,
    responses((status = 200, description = "The key, with its new token.", body = KeyWithTokenView))
)]
pub(crate) async fn rotate(
    acting: Acting<OperatorRole, (PathId<KeyId>, OptionalJson<RotateKeyBody>)>,
    state: Data<AdminState>,
) -> ApiResult {
    let (stamp, (PathId(id), body)) = acting.split();
    let plan = body.into_inner().into_plan(state.clock.now())?;
    let rotated = rotate_key::rotate_key(&state, &stamp, id, plan).await?;
    let key = view(&state, rotated.key);
    Ok(not_stored(ok(&KeyWithTokenView::rotated(key, &rotated.token, id, rotated.old_works_until))))
}

fn view(state: &AdminState, key: ApiKey) -> KeyView {
    KeyView::new(key, state.clock.now())
}
