//! Subscriptions of any owner.

mod create_body;
mod list_query;

use actix_web::web::Data;
use onering_ids::SubscriptionId;
use onering_web::{ApiResult, OperatorRole, OptionalJson, Page, StrictJson, StrictQuery, Viewer};
use onering_webhook_operations::{
    PublicKeysView, RotateSecretInput, Scope, SubscriptionPatchSchema, SubscriptionView, SubscriptionWithSecret,
    TestInput, TestResultView,
};
use onering_webhooks::SubscriptionPatch;
use serde::Deserialize;
use utoipa::ToSchema;

pub(crate) use self::create_body::CreateSubscriptionBody;
pub(crate) use self::list_query::OperatorSubscriptionQuery;
use crate::acting::Acting;
use crate::json_answer::{created, gone, not_stored, ok};
use crate::path_id::PathId;
use crate::state::AdminState;

/// What an owner reads when nothing else is said.
const DISABLED_BY_OPERATOR: &str = "disabled by an operator";

/// Why a subscription is disabled. May be left out altogether.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DisableSubscription)]
pub(crate) struct DisableBody {
    /// For its owner: 1–500 characters.
    reason: Option<String>,
}

/// Make a subscription for a partner; its secret is shown this once.
#[utoipa::path(
    post, path = "/v1/admin/external/webhooks", tag = "webhooks", request_body = CreateSubscriptionBody,
    responses((status = 201, description = "The subscription, with its secret.", body = SubscriptionWithSecret))
)]
pub(crate) async fn create(
    acting: Acting<OperatorRole, StrictJson<CreateSubscriptionBody>>,
    state: Data<AdminState>,
) -> ApiResult {
    let (stamp, body) = acting.split();
    let (owner, input) = body.into_inner().into_parts();
    Ok(not_stored(created(&state.webhooks.create_subscription(Scope::AnyOwner(&stamp), &owner, input).await?)))
}

/// Subscriptions, newest first.
#[utoipa::path(
    get, path = "/v1/admin/external/webhooks", tag = "webhooks", params(OperatorSubscriptionQuery),
    responses((status = 200, description = "A page of subscriptions.", body = Page<SubscriptionView>))
)]
pub(crate) async fn list(
    acting: Acting<Viewer, StrictQuery<OperatorSubscriptionQuery>>,
    state: Data<AdminState>,
) -> ApiResult {
    let (stamp, query) = acting.split();
    let (owner, query) = query.into_inner().into_parts();
    let scope = owner.as_ref().map_or(Scope::AnyOwner(&stamp), Scope::Owner);
    Ok(ok(&state.webhooks.list_subscriptions(scope, query).await?))
}

/// One subscription.
#[utoipa::path(
    get, path = "/v1/admin/external/webhooks/{id}", tag = "webhooks",
    params(("id" = String, Path, description = "wh_…")),
    responses((status = 200, description = "The subscription.", body = SubscriptionView))
)]
pub(crate) async fn get(acting: Acting<Viewer, PathId<SubscriptionId>>, state: Data<AdminState>) -> ApiResult {
    let (stamp, PathId(id)) = acting.split();
    Ok(ok(&state.webhooks.get_subscription(Scope::AnyOwner(&stamp), id).await?))
}

/// Change a subscription; what is left out stays.
#[utoipa::path(
    patch, path = "/v1/admin/external/webhooks/{id}", tag = "webhooks",
    params(("id" = String, Path, description = "wh_…")), request_body = SubscriptionPatchSchema,
    responses((status = 200, description = "The changed subscription.", body = SubscriptionView))
)]
pub(crate) async fn change(
    acting: Acting<OperatorRole, (PathId<SubscriptionId>, StrictJson<SubscriptionPatch>)>,
    state: Data<AdminState>,
) -> ApiResult {
    let (stamp, (PathId(id), body)) = acting.split();
    Ok(ok(&state.webhooks.change_subscription(Scope::AnyOwner(&stamp), id, body.into_inner()).await?))
}

/// Delete a subscription with its secrets; what waits for it is cancelled.
#[utoipa::path(
    delete, path = "/v1/admin/external/webhooks/{id}", tag = "webhooks",
    params(("id" = String, Path, description = "wh_…")), responses((status = 204, description = "It is deleted."))
)]
pub(crate) async fn delete(acting: Acting<OperatorRole, PathId<SubscriptionId>>, state: Data<AdminState>) -> ApiResult {
    let (stamp, PathId(id)) = acting.split();
    state.webhooks.delete_subscription(Scope::AnyOwner(&stamp), id).await?;
    Ok(gone())
}

/// Disable a subscription: its deliveries are held.
#[utoipa::path(
    patch, path = "/v1/admin/external/webhooks/{id}/disable", tag = "webhooks",
    params(("id" = String, Path, description = "wh_…")), request_body = Option<DisableBody>,
    responses((status = 200, description = "The disabled subscription.", body = SubscriptionView))
)]
pub(crate) async fn disable(
    acting: Acting<OperatorRole, (PathId<SubscriptionId>, OptionalJson<DisableBody>)>,
    state: Data<AdminState>,
) -> ApiResult {
    let (stamp, (PathId(id), body)) = acting.split();
    let reason = body.reason.as_deref().unwrap_or(DISABLED_BY_OPERATOR);
    Ok(ok(&state.webhooks.disable_subscription(Scope::AnyOwner(&stamp), id, reason).await?))
}

/// Make a paused or disabled subscription active again; what was held goes out.
#[utoipa::path(
    patch, path = "/v1/admin/external/webhooks/{id}/enable", tag = "webhooks",
    params(("id" = String, Path, description = "wh_…")),
    responses((status = 200, description = "The active subscription.", body = SubscriptionView))
)]
pub(crate) async fn enable(acting: Acting<OperatorRole, PathId<SubscriptionId>>, state: Data<AdminState>) -> ApiResult {
    let (stamp, PathId(id)) = acting.split();
    Ok(ok(&state.webhooks.enable_subscription(Scope::AnyOwner(&stamp), id).await?))
}

/// Pause an active subscription: its deliveries are held.
#[utoipa::path(
    patch, path = "/v1/admin/external/webhooks/{id}/pause", tag = "webhooks",
    params(("id" = String, Path, description = "wh_…")),
    responses((status = 200, description = "The subscription.", body = SubscriptionView))
)]
pub(crate) async fn pause(acting: Acting<OperatorRole, PathId<SubscriptionId>>, state: Data<AdminState>) -> ApiResult {
    let (stamp, PathId(id)) = acting.split();
    Ok(ok(&state.webhooks.pause_subscription(Scope::AnyOwner(&stamp), id).await?))
}

/// Give a subscription a new secret; the previous one signs beside it for a while. The new one is shown this once.
#[utoipa::path(
    post, path = "/v1/admin/external/webhooks/{id}/rotate-secret", tag = "webhooks",
    params(("id" = String, Path, description = "wh_…")), request_body = Option<RotateSecretInput>,
    responses((status = 200, description = "The subscription, with its new secret.", body = SubscriptionWithSecret))
)]
pub(crate) async fn rotate_secret(
    acting: Acting<OperatorRole, (PathId<SubscriptionId>, OptionalJson<RotateSecretInput>)>,
    state: Data<AdminState>,
) -> ApiResult {
    let (stamp, (PathId(id), body)) = acting.split();
    Ok(not_stored(ok(&state.webhooks.rotate_secret(Scope::AnyOwner(&stamp), id, &body).await?)))
}

/// The public keys that requests signed with `standard-webhooks-v1a` are verified with.
#[utoipa::path(
    get, path = "/v1/admin/external/webhooks/{id}/public-key", tag = "webhooks",
    params(("id" = String, Path, description = "wh_…")),
    responses((status = 200, description = "The current key and, while a rotation overlaps, the previous one.", body = PublicKeysView))
)]
pub(crate) async fn public_key(acting: Acting<Viewer, PathId<SubscriptionId>>, state: Data<AdminState>) -> ApiResult {
    let (stamp, PathId(id)) = acting.split();
    Ok(ok(&state.webhooks.public_keys(Scope::AnyOwner(&stamp), id).await?))
}

/// Send a `webhook.test` event to this subscription and wait for its first attempt.
#[utoipa::path(
    post, path = "/v1/admin/external/webhooks/{id}/test", tag = "webhooks",
    params(("id" = String, Path, description = "wh_…")), request_body = Option<TestInput>,
    responses((status = 200, description = "What came of it.", body = TestResultView))
)]
pub(crate) async fn test(
    acting: Acting<OperatorRole, (PathId<SubscriptionId>, OptionalJson<TestInput>)>,
    state: Data<AdminState>,
) -> ApiResult {
    let (stamp, (PathId(id), OptionalJson(input))) = acting.split();
    Ok(ok(&state.webhooks.test_subscription(Scope::AnyOwner(&stamp), id, input).await?))
}
