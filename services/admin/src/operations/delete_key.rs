use onering_ids::KeyId;
use onering_store::api_keys;
use onering_webhook_operations::{AuditStamp, OperationError};

use crate::operations::key_audit::{KeyStates, announce_keys, key_changed};
use crate::state::AdminState;

/// Deletes a key with its secrets.
pub(crate) async fn delete_key(state: &AdminState, stamp: &AuditStamp, key_id: KeyId) -> Result<(), OperationError> {
    let digests = state
        .change(stamp, async |connection| {
            // Read before: with the key its digests are gone.
            let digests = api_keys::digests_of(connection, &[key_id]).await?;
            let deleted =
                api_keys::delete(connection, key_id).await?.ok_or_else(|| OperationError::not_found("key"))?;
            let states = KeyStates { before: Some(&deleted), after: None };
            let audited = key_changed(state, "key.delete", key_id, states)?;
            Ok((digests, audited))
        })
        .await?;
    announce_keys(state, digests).await;
    Ok(())
}
