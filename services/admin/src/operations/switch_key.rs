//! Disabling, enabling and revoking a key.

use onering_ids::KeyId;
use onering_store::AsyncPgConnection;
use onering_store::api_keys::{self, ApiKey};
use onering_store::audit_log::Changed;
use onering_webhook_operations::{AuditStamp, OperationError};

use crate::operations::key_audit::{KeyStates, announce_keys, key_changed};
use crate::state::AdminState;

type Switched = Result<Option<Changed<ApiKey>>, OperationError>;

/// Refuses a key until it is enabled.
pub(crate) async fn disable_key(
    state: &AdminState,
    stamp: &AuditStamp,
    key_id: KeyId,
) -> Result<ApiKey, OperationError> {
    switch(state, stamp, key_id, "key.disable", async |connection| Ok(api_keys::disable(connection, key_id).await?))
        .await
}

/// Admits a disabled key again. A revoked one stays revoked, and the caller is told so.
pub(crate) async fn enable_key(
    state: &AdminState,
    stamp: &AuditStamp,
    key_id: KeyId,
) -> Result<ApiKey, OperationError> {
    switch(state, stamp, key_id, "key.enable", async |connection| {
        let changed = api_keys::enable(connection, key_id).await?;
        if changed.as_ref().is_some_and(|changed| changed.before.revoked_at.is_some()) {
            return Err(OperationError::conflict("The key is revoked, which is for good. Make a new one."));
        }
        Ok(changed)
    })
    .await
}

/// Refuses a key for good.
pub(crate) async fn revoke_key(
    state: &AdminState,
    stamp: &AuditStamp,
    key_id: KeyId,
) -> Result<ApiKey, OperationError> {
    switch(state, stamp, key_id, "key.revoke", async |connection| Ok(api_keys::revoke(connection, key_id).await?)).await
}

async fn switch(
    state: &AdminState,
    stamp: &AuditStamp,
    key_id: KeyId,
    action: &'static str,
    switch: impl AsyncFnOnce(&mut AsyncPgConnection) -> Switched,
) -> Result<ApiKey, OperationError> {
    let (key, digests) = state
        .change(stamp, async |connection| {
            let changed = switch(connection).await?.ok_or_else(|| OperationError::not_found("key"))?;
            let states = KeyStates { before: Some(&changed.before), after: Some(&changed.after) };
            let audited = key_changed(state, action, key_id, states)?;
            Ok(((changed.after, api_keys::digests_of(connection, &[key_id]).await?), audited))
        })
        .await?;
    announce_keys(state, digests).await;
    Ok(key)
}
