use chrono::{DateTime, Utc};
use onering_keys::{AdminToken, Role};
use onering_store::admin_keys::{self, AdminKey, NewAdminKey};
use onering_webhook_operations::{AuditStamp, AuditedChange, OperationError};
use serde_json::to_value;

use crate::routes::admin_keys::AdminKeyView;
use crate::state::AdminState;

/// Makes an operator's key.
pub(crate) async fn create_admin_key(
    state: &AdminState,
    stamp: &AuditStamp,
    name: String,
    role: Role,
    expires_at: Option<DateTime<Utc>>,
) -> Result<(AdminKey, AdminToken), OperationError> {
    let token = AdminToken::from_entropy(state.clock.entropy32());
    let new = NewAdminKey {
        admin_key_id: state.clock.fresh_id(),
        name,
        role,
        digest: token.digest(),
        expires_at,
        created_by: stamp.actor.clone(),
    };
    let key = state
        .change(stamp, async |connection| {
            let key = admin_keys::create(connection, new).await?;
            let audited = AuditedChange {
                action: "admin_key.create",
                target_type: "admin_key",
                target_id: key.admin_key_id.to_string(),
                before: None,
                after: Some(to_value(AdminKeyView::from(key.clone()))?),
            };
            Ok((key, audited))
        })
        .await?;
    Ok((key, token))
}
