//! `GET /v1/external/me`: what a caller's key is.

use actix_web::HttpResponse;
use onering_ids::{KeyId, OwnerId};
use onering_keys::{ScopeSet, Tier};
use onering_web::ApiResult;
use onering_webhook_operations::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::{AnyKey, Caller};

/// A key, as its holder sees it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct KeyView {
    /// The key.
    #[schema(value_type = String, example = "key_01h455vb4pex5vsknk084sn02q")]
    key_id: KeyId,
    /// The partner it belongs to.
    #[schema(value_type = String, example = "acme")]
    owner_id: OwnerId,
    /// The operator's name for it.
    name: String,
    /// What it may do.
    #[schema(value_type = Vec<String>)]
    scopes: ScopeSet,
    /// `free`, `pro` or `enterprise`.
    #[schema(value_type = String, example = "pro")]
    rate_limit_tier: Tier,
    /// Whether it is a canary key.
    canary_enabled: bool,
    /// Units of cost an hour.
    rate_limit_limit: u64,
    /// Units left in this hour, after this call.
    rate_limit_remaining: u64,
    /// When the next hour begins, in Unix seconds.
    rate_limit_reset: u64,
    /// From when on the key is refused; null for never.
    expires_at: Option<Timestamp>,
}

/// The key this call comes with
#[utoipa::path(
    get, path = "/v1/external/me", operation_id = "showKey", tag = "Key", security(("api_key" = [])),
    responses(
        (status = 200, description = "The key and its quota.", body = KeyView),
        (status = "default", description = "A refusal.", body = onering_web::ProblemSchema, content_type = "application/problem+json"),
    ),
)]
pub(super) async fn show(caller: Caller<AnyKey>) -> ApiResult {
    let quota = caller.decision.outcome.quota();
    let key = &caller.key;
    Ok(HttpResponse::Ok().json(KeyView {
        key_id: key.key_id,
        owner_id: key.owner_id.clone(),
        name: key.name.clone(),
        scopes: key.scopes.clone(),
        rate_limit_tier: key.tier,
        canary_enabled: key.canary,
        rate_limit_limit: quota.limit,
        rate_limit_remaining: quota.remaining,
        rate_limit_reset: quota.reset_unix_s,
        expires_at: key.expires_at.map(Timestamp::from),
    }))
}
