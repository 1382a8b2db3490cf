//! Adding to the blocklist and removing from it.

use chrono::{DateTime, Utc};
use onering_ids::BlockId;
use onering_problem::Problem;
use onering_queue::Announcement;
use onering_store::blocklist::{self, Block, BlockTarget, NewBlock};
use onering_store::{AsyncPgConnection, StoreError, api_keys};
use onering_webhook_operations::{AuditStamp, AuditedChange, OperationError};
use serde_json::to_value;

use crate::routes::blocklist::BlockView;
use crate::state::AdminState;

/// Refuses a key or addresses at once, for a time or until the entry is removed.
pub(crate) async fn add_block(
    state: &AdminState,
    stamp: &AuditStamp,
    target: BlockTarget,
    reason: String,
    expires_at: Option<DateTime<Utc>>,
) -> Result<Block, OperationError> {
    let block_id: BlockId = state.clock.fresh_id();
    let new = NewBlock { block_id, target, reason, expires_at, created_by: stamp.actor.clone() };
    let (block, told) = state
        .change(stamp, async |connection| {
            let block = match blocklist::add(connection, new).await {
                // The only constraint a checked entry can break is that its key exists.
                Err(StoreError::Conflict { .. }) => {
                    return Err(Problem::invalid("key_id", "There is no such key.").into());
                }
                added => added?,
            };
            let after = Some(to_value(BlockView::from(&block))?);
            let told = announcements(connection, target).await?;
            Ok(((block, told), audited("blocklist.add", block_id, None, after)))
        })
        .await?;
    state.announce(told).await;
    Ok(block)
}

/// Removes an entry.
pub(crate) async fn remove_block(
    state: &AdminState,
    stamp: &AuditStamp,
    block_id: BlockId,
) -> Result<(), OperationError> {
    let told = state
        .change(stamp, async |connection| {
            let removed = blocklist::remove(connection, block_id).await?;
            let removed = removed.ok_or_else(|| OperationError::not_found("blocklist entry"))?;
            let before = Some(to_value(BlockView::from(&removed))?);
            let told = announcements(connection, removed.block.target).await?;
            Ok((told, audited("blocklist.remove", block_id, before, None)))
        })
        .await?;
    state.announce(told).await;
    Ok(())
}

/// A blocked key is a matter of the key's own record, addresses of the list.
async fn announcements(
    connection: &mut AsyncPgConnection,
    target: BlockTarget,
) -> Result<Vec<Announcement>, OperationError> {
    Ok(match target {
        BlockTarget::Key(key_id) => {
            let digests = api_keys::digests_of(connection, &[key_id]).await?;
            digests.into_iter().map(Announcement::Key).collect()
        }
        BlockTarget::Addresses(_) => vec![Announcement::Blocklist],
    })
}

fn audited(
    action: &'static str,
    block_id: BlockId,
    before: Option<serde_json::Value>,
    after: Option<serde_json::Value>,
) -> AuditedChange {
    AuditedChange { action, target_type: "blocklist", target_id: block_id.to_string(), before, after }
}
