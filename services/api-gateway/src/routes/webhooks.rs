//! `/v1/external/webhooks`: a partner's subscriptions.

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, HeaderValue, LOCATION};
use onering_ids::SubscriptionId;
use onering_web::{ApiResult, OptionalJson, Page, StrictJson, StrictQuery};
use onering_webhook_operations::{
    PublicKeysView, RotateSecretInput, Scope, SubscriptionInputSchema, SubscriptionPatchSchema, SubscriptionQuery,
    SubscriptionView, SubscriptionWithSecret, TestInput, TestResultView,
};
use onering_webhooks::{SubscriptionInput, SubscriptionPatch};

use super::path_id::PathId;
use crate::access::{Caller, ChangeWebhooks, SeeWebhooks};
use crate::worker::OnWorker;

/// For answers with a secret in them: nobody on the way may keep one.
const NO_STORE: (actix_web::http::header::HeaderName, HeaderValue) =
    (CACHE_CONTROL, HeaderValue::from_static("no-store"));

/// Your subscriptions, newest first
#[utoipa::path(
    get, path = "/v1/external/webhooks", operation_id = "listWebhooks", tag = "Webhooks", security(("api_key" = ["read:webhooks"])),
    params(SubscriptionQuery),
    responses(
        (status = 200, description = "A page of them.", body = Page<SubscriptionView>),
        (status = "default", description = "A refusal.", body = onering_web::ProblemSchema, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn list(
    caller: Caller<SeeWebhooks, StrictQuery<SubscriptionQuery>>,
    OnWorker(worker): OnWorker,
) -> ApiResult {
    let query = caller.input.into_inner();
    let page = worker.webhooks.list_subscriptions(Scope::Owner(&caller.key.owner_id), query).await?;
    Ok(HttpResponse::Ok().json(page))
}

/// Subscribe
///
/// The answer shows the signing secret, once.
#[utoipa::path(
    post, path = "/v1/external/webhooks", operation_id = "createWebhook", tag = "Webhooks", security(("api_key" = ["write:webhooks"])),
    request_body = SubscriptionInputSchema,
    responses(
        (status = 201, description = "The subscription with its secret.", body = SubscriptionWithSecret),
        (status = "default", description = "A refusal.", body = onering_web::ProblemSchema, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn create(
    caller: Caller<ChangeWebhooks, StrictJson<SubscriptionInput>>,
    OnWorker(worker): OnWorker,
) -> ApiResult {
    let (owner, input) = (&caller.key.owner_id, caller.input.into_inner());
    let made = worker.webhooks.create_subscription(Scope::Owner(owner), owner, input).await?;
    let location = format!("/v1/external/webhooks/{}", made.subscription.id);
    Ok(HttpResponse::Created().insert_header(NO_STORE).insert_header((LOCATION, location)).json(made))
}

/// One subscription
#[utoipa::path(
    get, path = "/v1/external/webhooks/{id}", operation_id = "showWebhook", tag = "Webhooks", security(("api_key" = ["read:webhooks"])),
    params(("id" = String, Path, description = "`wh_…`")),
    responses(
        (status = 200, description = "The subscription.", body = SubscriptionView),
        (status = "default", description = "A refusal.", body = onering_web::ProblemSchema, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn show(caller: Caller<SeeWebhooks, PathId<SubscriptionId>>, OnWorker(worker): OnWorker) -> ApiResult {
    let PathId(id) = caller.input;
    let shown = worker.webhooks.get_subscription(Scope::Owner(&caller.key.owner_id), id).await?;
    Ok(HttpResponse::Ok().json(shown))
}

/// Change a subscription
///
/// What is left out stays as it is. `status` may be `active` or `paused`.
#[utoipa::path(
    patch, path = "/v1/external/webhooks/{id}", operation_id = "changeWebhook", tag = "Webhooks", security(("api_key" = ["write:webhooks"])),
    params(("id" = String, Path, description = "`wh_…`")), request_body = SubscriptionPatchSchema,
    responses(
        (status = 200, description = "The changed subscription.", body = SubscriptionView),
        (status = "default", description = "A refusal.", body = onering_web::ProblemSchema, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn change(
    caller: Caller<ChangeWebhooks, (PathId<SubscriptionId>, StrictJson<SubscriptionPatch>)>,
    OnWorker(worker): OnWorker,
) -> ApiResult {
    let (PathId(id), StrictJson(patch)) = caller.input;
    let scope = Scope::Owner(&caller.key.owner_id);
    let changed = worker.webhooks.change_subscription(scope, id, patch).await?;
    Ok(HttpResponse::Ok().json(changed))
}

/// Delete a subscription
///
/// What still waits for it is cancelled.
#[utoipa::path(
    delete, path = "/v1/external/webhooks/{id}", operation_id = "deleteWebhook", tag = "Webhooks", security(("api_key" = ["write:webhooks"])),
    params(("id" = String, Path, description = "`wh_…`")),
    responses(
        (status = 204, description = "It is gone."),
        (status = "default", description = "A refusal.", body = onering_web::ProblemSchema, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn delete(
    caller: Caller<ChangeWebhooks, PathId<SubscriptionId>>,
    OnWorker(worker): OnWorker,
) -> ApiResult {
    let PathId(id) = caller.input;
    worker.webhooks.delete_subscription(Scope::Owner(&caller.key.owner_id), id).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Give a subscription a new signing secret
///
/// Both secrets sign until the overlap ends. The answer shows the new one, once.
#[utoipa::path(
    post, path = "/v1/external/webhooks/{id}/rotate-secret", operation_id = "rotateWebhookSecret", tag = "Webhooks",
    security(("api_key" = ["write:webhooks"])), params(("id" = String, Path, description = "`wh_…`")),
    request_body = Option<RotateSecretInput>,
    responses(
        (status = 200, description = "The subscription with its new secret.", body = SubscriptionWithSecret),
        (status = "default", description = "A refusal.", body = onering_web::ProblemSchema, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn rotate_secret(
    caller: Caller<ChangeWebhooks, (PathId<SubscriptionId>, OptionalJson<RotateSecretInput>)>,
    OnWorker(worker): OnWorker,
) -> ApiResult {
    let (PathId(id), OptionalJson(input)) = caller.input;
    let rotated = worker.webhooks.rotate_secret(Scope::Owner(&caller.key.owner_id), id, &input).await?;
    Ok(HttpResponse::Ok().insert_header(NO_STORE).json(rotated))
}

/// The public keys of a subscription
///
/// What requests signed with `standard-webhooks-v1a` are verified with. 409 when the subscription has not chosen that scheme.
#[utoipa::path(
    get, path = "/v1/external/webhooks/{id}/public-key", operation_id = "showWebhookPublicKey", tag = "Webhooks",
    security(("api_key" = ["read:webhooks"])), params(("id" = String, Path, description = "`wh_…`")),
    responses(
        (status = 200, description = "The current key and, while a rotation overlaps, the previous one.", body = PublicKeysView),
        (status = "default", description = "A refusal.", body = onering_web::ProblemSchema, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn public_key(
    caller: Caller<SeeWebhooks, PathId<SubscriptionId>>,
    OnWorker(worker): OnWorker,
) -> ApiResult {
    let PathId(id) = caller.input;
    let keys = worker.webhooks.public_keys(Scope::Owner(&caller.key.owner_id), id).await?;
    Ok(HttpResponse::Ok().json(keys))
}

/// Send a test
///
/// Sends an event `webhook.test` to this subscription now, and answers with what became of it.
#[utoipa::path(
    post, path = "/v1/external/webhooks/{id}/test", operation_id = "testWebhook", tag = "Webhooks", security(("api_key" = ["write:webhooks"])),
    params(("id" = String, Path, description = "`wh_…`")), request_body = Option<TestInput>,
    responses(
        (status = 200, description = "The attempt.", body = TestResultView),
        (status = "default", description = "A refusal.", body = onering_web::ProblemSchema, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn test(
    caller: Caller<ChangeWebhooks, (PathId<SubscriptionId>, OptionalJson<TestInput>)>,
    OnWorker(worker): OnWorker,
) -> ApiResult {
    let (PathId(id), OptionalJson(input)) = caller.input;
    let result = worker.webhooks.test_subscription(Scope::Owner(&caller.key.owner_id), id, input).await?;
    Ok(HttpResponse::Ok().json(result))
}
