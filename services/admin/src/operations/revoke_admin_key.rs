use onering_ids::AdminKeyId;
use onering_store::admin_keys;
use onering_webhook_operations::{AuditStamp, AuditedChange, OperationError};
use serde_json::to_value;

use crate::routes::admin_keys::AdminKeyView;
use crate::state::AdminState;

/// Refuses an operator's key for good, from its next call on. Its row stays: the audit log names it.
pub(crate) async fn revoke_admin_key(
    state: &AdminState,
    stamp: &AuditStamp,
    admin_key_id: AdminKeyId,
) -> Result<(), OperationError> {
    state
        .change(stamp, async |connection| {
            let missing = || OperationError::not_found("admin key");
            let before = admin_keys::get(connection, admin_key_id).await?.ok_or_else(missing)?;
            let after = admin_keys::revoke(connection, admin_key_id).await?.ok_or_else(missing)?;
            let audited = AuditedChange {
                action: "admin_key.revoke",
                target_type: "admin_key",
                target_id: admin_key_id.to_string(),
                before: Some(to_value(AdminKeyView::from(before))?),
                after: Some(to_value(AdminKeyView::from(after))?),
            };
            Ok(((), audited))
        })
        .await
}
