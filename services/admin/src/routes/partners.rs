//! Who owns keys and subscriptions.

use actix_web::web::Data;
use onering_ids::OwnerId;
use onering_problem::Problem;
use onering_store::partners::{self, Partner, PartnerChange};
use onering_web::{ApiResult, Cursor, Limit, OperatorRole, Page, StrictJson, StrictQuery, Viewer};
use onering_webhook_operations::{OperationError, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::acting::Acting;
use crate::fields::{Name, Notes, given, required};
use crate::json_answer::{created, ok};
use crate::operations::change_partner::{change_partner, disable_partner, enable_partner};
use crate::operations::create_partner::create_partner;
use crate::path_id::PathId;
use crate::routes::rows_for;
use crate::state::AdminState;

/// A partner.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Partner)]
pub(crate) struct PartnerView {
    /// The operator's own name for it.
    #[schema(value_type = String, example = "acme")]
    owner_id: OwnerId,
    /// For people.
    name: String,
    /// `active`, or `disabled`: its keys are refused and its deliveries held.
    #[schema(value_type = String, example = "active")]
    status: &'static str,
    /// Whether it is inside every rollout cohort.
    canary: bool,
    /// The operator's own notes.
    #[schema(value_type = Object)]
    metadata: Value,
    /// When it was first named.
    created_at: Timestamp,
    /// When it was last changed.
    updated_at: Timestamp,
}

impl From<Partner> for PartnerView {
    fn from(partner: Partner) -> Self {
        Self {
            owner_id: partner.owner_id,
            name: partner.name,
            status: partner.status.as_str(),
            canary: partner.canary,
            metadata: partner.metadata,
            created_at: partner.created_at.into(),
            updated_at: partner.updated_at.into(),
        }
    }
}

/// A partner to name.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CreatePartner)]
pub(crate) struct CreatePartnerBody {
    /// 1–64 characters of `A-Z a-z 0-9 _ . : @ -`, the first a letter or a digit.
    #[schema(value_type = String, example = "acme", pattern = "^[A-Za-z0-9][A-Za-z0-9_.:@-]{0,63}$")]
    owner_id: OwnerId,
    /// For people; the `owner_id` by default.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 200)]
    name: Option<Name>,
    /// Whether it is inside every rollout cohort.
    #[serde(default)]
    canary: Option<bool>,
    /// The operator's own notes: at most 4,096 bytes of JSON.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    metadata: Option<Notes>,
}

/// A change of a partner; what is left out stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ChangePartner)]
pub(crate) struct ChangePartnerBody {
    /// For people.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 200, nullable = false)]
    #[serde(default, deserialize_with = "given")]
    name: Option<Option<Name>>,
    /// Whether it is inside every rollout cohort.
    #[schema(value_type = Option<bool>, nullable = false)]
    #[serde(default, deserialize_with = "given")]
    canary: Option<Option<bool>>,
    /// The operator's own notes, in place of all there were: at most 4,096 bytes of JSON. Null: none.
    #[schema(value_type = Option<Object>)]
    #[serde(default, deserialize_with = "given")]
    metadata: Option<Option<Notes>>,
}

impl ChangePartnerBody {
    fn into_change(self) -> Result<PartnerChange, Problem> {
        Ok(PartnerChange {
            name: required("name", self.name)?.map(|Name(name)| name),
            canary: required("canary", self.canary)?,
            metadata: self.metadata.map(|notes| notes.unwrap_or_default().into()),
        })
    }
}

/// Which partners to list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct PartnerQuery {
    /// At most this many: 1–200, 50 by default.
    #[param(value_type = Option<u8>, minimum = 1, maximum = 200)]
    limit: Limit,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor<OwnerId>>,
}

/// Name a partner.
#[utoipa::path(
    post, path = "/v1/admin/partners", tag = "partners", request_body = CreatePartnerBody,
    responses(
        (status = 201, description = "The partner.", body = PartnerView),
    )
)]
pub(crate) async fn create(
    acting: Acting<OperatorRole, StrictJson<CreatePartnerBody>>,
    state: Data<AdminState>,
) -> ApiResult {
    let (stamp, body) = acting.split();
    let CreatePartnerBody { owner_id, name, canary, metadata } = body.into_inner();
    let wanted = PartnerChange { name: name.map(|Name(name)| name), canary, metadata: metadata.map(Value::from) };
    Ok(created(&PartnerView::from(create_partner(&state, &stamp, &owner_id, &wanted).await?)))
}

/// Partners by `owner_id`.
#[utoipa::path(
    get, path = "/v1/admin/partners", tag = "partners", params(PartnerQuery),
    responses((status = 200, description = "A page of partners.", body = Page<PartnerView>))
)]
pub(crate) async fn list(acting: Acting<Viewer, StrictQuery<PartnerQuery>>, state: Data<AdminState>) -> ApiResult {
    let (_stamp, query) = acting.split();
    let limit = query.limit;
    let after = query.into_inner().cursor.map(Cursor::into_key);
    let mut connection = state.connection().await?;
    let rows = partners::list(&mut connection, after.as_ref(), rows_for(limit)).await.map_err(OperationError::from)?;
    Ok(ok(&Page::from_rows(rows, limit, |partner| partner.owner_id.clone()).map(PartnerView::from)))
}

/// One partner.
#[utoipa::path(
    get, path = "/v1/admin/partners/{id}", tag = "partners", params(("id" = String, Path, description = "owner_id")),
    responses((status = 200, description = "The partner.", body = PartnerView))
)]
pub(crate) async fn get(acting: Acting<Viewer, PathId<OwnerId>>, state: Data<AdminState>) -> ApiResult {
    let (_stamp, PathId(id)) = acting.split();
    let mut connection = state.connection().await?;
    let found = partners::get(&mut connection, &id).await.map_err(OperationError::from)?;
    Ok(ok(&PartnerView::from(found.ok_or_else(|| OperationError::not_found("partner"))?)))
}

/// Change a partner; what is left out stays.
#[utoipa::path(
    patch, path = "/v1/admin/partners/{id}", tag = "partners", params(("id" = String, Path, description = "owner_id")),
    request_body = ChangePartnerBody, responses((status = 200, description = "The changed partner.", body = PartnerView))
)]
pub(crate) async fn change(
    acting: Acting<OperatorRole, (PathId<OwnerId>, StrictJson<ChangePartnerBody>)>,
    state: Data<AdminState>,
) -> ApiResult {
    let (stamp, (PathId(id), body)) = acting.split();
    let wanted = body.into_inner().into_change()?;
    Ok(ok(&PartnerView::from(change_partner(&state, &stamp, &id, &wanted).await?)))
}

/// Refuse the partner's keys and hold its deliveries.
#[utoipa::path(
    patch, path = "/v1/admin/partners/{id}/disable", tag = "partners",
    params(("id" = String, Path, description = "owner_id")),
    responses((status = 200, description = "The disabled partner.", body = PartnerView))
)]
pub(crate) async fn disable(acting: Acting<OperatorRole, PathId<OwnerId>>, state: Data<AdminState>) -> ApiResult {
    let (stamp, PathId(id)) = acting.split();
    Ok(ok(&PartnerView::from(disable_partner(&state, &stamp, &id).await?)))
}

/// Admit a disabled partner again; what was held goes out.
#[utoipa::path(
    patch, path = "/v1/admin/partners/{id}/enable", tag = "partners",
    params(("id" = String, Path, description = "owner_id")),
    responses((status = 200, description = "The enabled partner.", body = PartnerView))
)]
pub(crate) async fn enable(acting: Acting<OperatorRole, PathId<OwnerId>>, state: Data<AdminState>) -> ApiResult {
    let (stamp, PathId(id)) = acting.split();
    Ok(ok(&PartnerView::from(enable_partner(&state, &stamp, &id).await?)))
}
