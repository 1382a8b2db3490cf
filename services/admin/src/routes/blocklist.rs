//! Keys and addresses refused at once.

use actix_web::web::Data;
use chrono::{DateTime, TimeDelta, Utc};
use onering_ids::{BlockId, KeyId};
use onering_problem::Problem;
use onering_store::blocklist::{self, Block, BlockTarget};
use onering_web::{ApiResult, Cursor, Limit, OperatorRole, Page, StrictJson, StrictQuery, Viewer};
use onering_webhook_operations::{OperationError, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::acting::Acting;
use crate::fields::{Cidr, Reason, expiry};
use crate::json_answer::{created, gone, ok};
use crate::operations::block::{add_block, remove_block};
use crate::path_id::PathId;
use crate::routes::rows_for;
use crate::state::AdminState;

/// The longest time to block for, in seconds: ten years.
const LONGEST_BLOCK: i64 = 315_360_000;

/// An entry of the blocklist.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Block)]
pub(crate) struct BlockView {
    /// Which one.
    #[schema(value_type = String, example = "blk_01h455vb4pex5vsknk084sn02q")]
    id: BlockId,
    /// `key` or `cidr`.
    #[schema(value_type = String, example = "cidr")]
    kind: &'static str,
    /// The blocked key, answered with `KEY_DISABLED`.
    #[schema(value_type = Option<String>)]
    key_id: Option<KeyId>,
    /// The blocked addresses, answered with `ADDRESS_BLOCKED`.
    #[schema(example = "203.0.113.0/24")]
    cidr: Option<String>,
    /// For people.
    reason: String,
    /// When it stops counting; null: when it is removed.
    expires_at: Option<Timestamp>,
    /// Who added it.
    created_by: String,
    /// When it was added.
    created_at: Timestamp,
}

impl From<&Block> for BlockView {
    fn from(entry: &Block) -> Self {
        let block = &entry.block;
        let (key_id, cidr) = match block.target {
            BlockTarget::Key(key_id) => (Some(key_id), None),
            BlockTarget::Addresses(addresses) => (None, Some(addresses.to_string())),
        };
        Self {
            id: block.block_id,
            kind: block.target.kind(),
            key_id,
            cidr,
            reason: block.reason.clone(),
            expires_at: block.expires_at.map(Timestamp::from),
            created_by: block.created_by.clone(),
            created_at: entry.created_at.into(),
        }
    }
}

/// What to block: either `key_id` or `cidr`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CreateBlock)]
pub(crate) struct CreateBlockBody {
    /// A key.
    #[schema(value_type = Option<String>, pattern = "^key_[0-7][0-9a-hjkmnp-tv-z]{25}$")]
    key_id: Option<KeyId>,
    /// An address, or a block of addresses in CIDR notation.
    #[schema(value_type = Option<String>, example = "203.0.113.0/24")]
    cidr: Option<Cidr>,
    /// For people.
    #[schema(value_type = Option<String>, max_length = 500)]
    reason: Option<Reason>,
    /// When it stops counting; by default when it is removed.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<DateTime<Utc>>,
    /// Seconds from now, in place of `expires_at`.
    #[schema(minimum = 1, maximum = 315_360_000)]
    expires_in_seconds: Option<i64>,
}

impl CreateBlockBody {
    fn target(&self) -> Result<BlockTarget, Problem> {
        match (self.key_id, self.cidr) {
            (Some(key_id), None) => Ok(BlockTarget::Key(key_id)),
            (None, Some(Cidr(addresses))) => Ok(BlockTarget::Addresses(addresses)),
            (None, None) => Err(Problem::invalid("key_id", "Give a key_id or a cidr to block.")),
            (Some(_), Some(_)) => Err(Problem::invalid("cidr", "Give either key_id or cidr, not both.")),
        }
    }

    fn end(&self, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, Problem> {
        match (self.expires_at, self.expires_in_seconds) {
            (Some(_), Some(_)) => {
                Err(Problem::invalid("expires_in_seconds", "Give either expires_at or expires_in_seconds, not both."))
            }
            (None, Some(seconds)) if (1..=LONGEST_BLOCK).contains(&seconds) => {
                Ok(Some(now + TimeDelta::seconds(seconds)))
            }
            (None, Some(_)) => {
                let rule = format!("expires_in_seconds must be from 1 to {LONGEST_BLOCK}.");
                Err(Problem::invalid("expires_in_seconds", rule))
            }
            (at, None) => Ok(expiry(at.map(Some), None, now)?.flatten()),
        }
    }
}

/// Which entries to list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct BlockQuery {
    /// `true` lists those that have expired as well.
    include_expired: bool,
    /// At most this many: 1–200, 50 by default.
    #[param(value_type = Option<u8>, minimum = 1, maximum = 200)]
    limit: Limit,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor<BlockId>>,
}

/// Block a key or addresses.
#[utoipa::path(
    post, path = "/v1/admin/external/blocklist", tag = "blocklist", request_body = CreateBlockBody,
    responses((status = 201, description = "The entry.", body = BlockView))
)]
pub(crate) async fn create(
    acting: Acting<OperatorRole, StrictJson<CreateBlockBody>>,
    state: Data<AdminState>,
) -> ApiResult {
    let (stamp, body) = acting.split();
    let (target, end) = (body.target()?, body.end(state.clock.now())?);
    let Reason(reason) = body.into_inner().reason.unwrap_or_default();
    Ok(created(&BlockView::from(&add_block(&state, &stamp, target, reason, end).await?)))
}

/// Entries, newest first.
#[utoipa::path(
    get, path = "/v1/admin/external/blocklist", tag = "blocklist", params(BlockQuery),
    responses((status = 200, description = "A page of entries.", body = Page<BlockView>))
)]
pub(crate) async fn list(acting: Acting<Viewer, StrictQuery<BlockQuery>>, state: Data<AdminState>) -> ApiResult {
    let (_stamp, query) = acting.split();
    let before = query.cursor.map(Cursor::into_key);
    let mut connection = state.connection().await?;
    let rows = blocklist::list(&mut connection, query.include_expired, before, rows_for(query.limit))
        .await
        .map_err(OperationError::from)?;
    Ok(ok(&Page::from_rows(rows, query.limit, |entry| entry.block.block_id).map(|entry| BlockView::from(&entry))))
}

/// Remove an entry.
#[utoipa::path(
    delete, path = "/v1/admin/external/blocklist/{id}", tag = "blocklist",
    params(("id" = String, Path, description = "blk_…")), responses((status = 204, description = "It is removed."))
)]
pub(crate) async fn delete(acting: Acting<OperatorRole, PathId<BlockId>>, state: Data<AdminState>) -> ApiResult {
    let (stamp, PathId(id)) = acting.split();
    remove_block(&state, &stamp, id).await?;
    Ok(gone())
}
