//! Operators' own keys.

use actix_web::web::Data;
use chrono::{DateTime, Utc};
use onering_ids::AdminKeyId;
use onering_keys::Role;
use onering_store::admin_keys::{self, AdminKey};
use onering_web::{Admin, ApiResult, Cursor, Limit, Page, StrictJson, StrictQuery};
use onering_webhook_operations::{OperationError, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::acting::Acting;
use crate::fields::{Days, Name, expiry, given};
use crate::json_answer::{created, gone, not_stored, ok};
use crate::operations::create_admin_key::create_admin_key;
use crate::operations::revoke_admin_key::revoke_admin_key;
use crate::path_id::PathId;
use crate::routes::rows_for;
use crate::state::AdminState;

/// An operator's key.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = AdminKey)]
pub(crate) struct AdminKeyView {
    /// Which one.
    #[schema(value_type = String, example = "adm_01h455vb4pex5vsknk084sn02q")]
    admin_key_id: AdminKeyId,
    /// Whose it is.
    name: String,
    /// `viewer` reads, `operator` acts, `admin` also manages admin keys.
    #[schema(value_type = String, example = "operator")]
    role: Role,
    /// When it is refused; null: never.
    expires_at: Option<Timestamp>,
    /// When it was revoked, for good.
    revoked_at: Option<Timestamp>,
    /// Its last use, to within a minute.
    last_used_at: Option<Timestamp>,
    /// Who made it.
    created_by: String,
    /// When it was made.
    created_at: Timestamp,
}

/// An operator's key with its token: the only answer that ever shows it.
#[derive(Serialize, ToSchema)]
#[schema(as = AdminKeyWithToken)]
pub(crate) struct AdminKeyWithTokenView<'a> {
    /// The key.
    #[serde(flatten)]
    key: AdminKeyView,
    /// The token. It is shown this once.
    #[schema(example = "oak_…")]
    admin_key: &'a str,
    /// The same as `admin_key`.
    secret: &'a str,
}

impl From<AdminKey> for AdminKeyView {
    fn from(key: AdminKey) -> Self {
        Self {
            admin_key_id: key.admin_key_id,
            name: key.name,
            role: key.role,
            expires_at: key.expires_at.map(Timestamp::from),
            revoked_at: key.revoked_at.map(Timestamp::from),
            last_used_at: key.last_used_at.map(Timestamp::from),
            created_by: key.created_by,
            created_at: key.created_at.into(),
        }
    }
}

/// An operator's key to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CreateAdminKey)]
pub(crate) struct CreateAdminKeyBody {
    /// Whose it is: 1–200 characters. Names it in the audit log.
    #[schema(value_type = String, example = "Ada", min_length = 1, max_length = 200)]
    name: Name,
    /// `viewer`, `operator` or `admin`.
    #[schema(value_type = String, example = "operator", pattern = "^(viewer|operator|admin)$")]
    role: Role,
    /// Days until it is refused; never by default.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u16>, minimum = 1, maximum = 3650)]
    expires_in_days: Option<Option<Days>>,
    /// When it is refused, in place of `expires_in_days`.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Option<DateTime<Utc>>>,
}

/// Which keys to list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct AdminKeyQuery {
    /// At most this many: 1–200, 50 by default.
    #[param(value_type = Option<u8>, minimum = 1, maximum = 200)]
    limit: Limit,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor<AdminKeyId>>,
}

/// Make an operator's key; its token is shown this once.
#[utoipa::path(
    post, path = "/v1/admin/admin-keys", tag = "admin-keys", request_body = CreateAdminKeyBody,
    responses((status = 201, description = "The key, with its token.", body = AdminKeyWithTokenView))
)]
pub(crate) async fn create(
    acting: Acting<Admin, StrictJson<CreateAdminKeyBody>>,
    state: Data<AdminState>,
) -> ApiResult {
    let (stamp, body) = acting.split();
    let CreateAdminKeyBody { name: Name(name), role, expires_in_days, expires_at } = body.into_inner();
    let end = expiry(expires_at, expires_in_days, state.clock.now())?.flatten();
    let (key, token) = create_admin_key(&state, &stamp, name, role, end).await?;
    let shown = token.expose();
    Ok(not_stored(created(&AdminKeyWithTokenView { key: key.into(), admin_key: shown, secret: shown })))
}

/// Operators' keys, newest first; revoked ones too.
#[utoipa::path(
    get, path = "/v1/admin/admin-keys", tag = "admin-keys", params(AdminKeyQuery),
    responses((status = 200, description = "A page of keys.", body = Page<AdminKeyView>))
)]
pub(crate) async fn list(acting: Acting<Admin, StrictQuery<AdminKeyQuery>>, state: Data<AdminState>) -> ApiResult {
    let (_stamp, query) = acting.split();
    let before = query.cursor.map(Cursor::into_key);
    let mut connection = state.connection().await?;
    let rows = admin_keys::list(&mut connection, before, rows_for(query.limit)).await.map_err(OperationError::from)?;
    Ok(ok(&Page::from_rows(rows, query.limit, |key| key.admin_key_id).map(AdminKeyView::from)))
}

/// Revoke an operator's key, for good.
#[utoipa::path(
    delete, path = "/v1/admin/admin-keys/{id}", tag = "admin-keys",
    params(("id" = String, Path, description = "adm_…")), responses((status = 204, description = "It is revoked."))
)]
pub(crate) async fn delete(acting: Acting<Admin, PathId<AdminKeyId>>, state: Data<AdminState>) -> ApiResult {
    let (stamp, PathId(id)) = acting.split();
    revoke_admin_key(&state, &stamp, id).await?;
    Ok(gone())
}
