use onering_ids::KeyId;
use onering_store::api_keys::{self, ApiKey, KeyChange};
use onering_webhook_operations::{AuditStamp, OperationError};

use crate::operations::key_audit::{KeyStates, announce_keys, key_changed};
use crate::state::AdminState;

/// Changes what the change names.
pub(crate) async fn change_key(
    state: &AdminState,
    stamp: &AuditStamp,
    key_id: KeyId,
    change: &KeyChange,
) -> Result<ApiKey, OperationError> {
    let (key, digests) = state
        .change(stamp, async |connection| {
            let changed = api_keys::update(connection, key_id, change).await?;
            let changed = changed.ok_or_else(|| OperationError::not_found("key"))?;
            let states = KeyStates { before: Some(&changed.before), after: Some(&changed.after) };
            let audited = key_changed(state, "key.change", key_id, states)?;
            Ok(((changed.after, api_keys::digests_of(connection, &[key_id]).await?), audited))
        })
        .await?;
    announce_keys(state, digests).await;
    Ok(key)
}
