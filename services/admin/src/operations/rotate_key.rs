use chrono::{DateTime, Utc};
use ipnet::IpNet;
use onering_ids::KeyId;
use onering_keys::ApiToken;
use onering_keys::rotation::Grace;
use onering_store::AsyncPgConnection;
use onering_store::api_keys::{self, ApiKey, Rotated, Rotation, RotationOutcome, RotationTarget};
use onering_webhook_operations::{AuditStamp, OperationError};

use crate::operations::create_key::new_secret;
use crate::operations::key_audit::{KeyStates, announce_keys, key_changed};
use crate::state::AdminState;

/// A rotation as it is to be. `None` keeps what the key has.
pub(crate) struct RotationPlan {
    /// Whether the key keeps its id.
    pub(crate) same_key: bool,
    /// How long the old secret goes on working.
    pub(crate) grace: Grace,
    /// A new expiry.
    pub(crate) expires_at: Option<DateTime<Utc>>,
    /// A new allowlist.
    pub(crate) ip_allowlist: Option<Vec<IpNet>>,
}

/// A rotation that was made.
pub(crate) struct RotatedKey {
    /// The key that the new token opens.
    pub(crate) key: ApiKey,
    /// The new token.
    pub(crate) token: ApiToken,
    /// Until when the old secret works.
    pub(crate) old_works_until: DateTime<Utc>,
}

/// Gives a key a new secret.
pub(crate) async fn rotate_key(
    state: &AdminState,
    stamp: &AuditStamp,
    key_id: KeyId,
    plan: RotationPlan,
) -> Result<RotatedKey, OperationError> {
    let (token, secret) = new_secret(state);
    let target = if plan.same_key { RotationTarget::SameKey } else { RotationTarget::NewKey(state.clock.fresh_id()) };
    let rotation = Rotation {
        target,
        secret,
        grace: plan.grace,
        expires_at: plan.expires_at,
        ip_allowlist: plan.ip_allowlist,
        rotated_by: stamp.actor.clone(),
    };
    let rotated = state
        .change(stamp, async |connection| {
            let rotated = rotate(connection, key_id, &rotation).await?;
            let states = KeyStates { before: Some(&rotated.keys.before), after: Some(&rotated.keys.after) };
            let audited = key_changed(state, "key.rotate", key_id, states)?;
            Ok((rotated, audited))
        })
        .await?;
    announce_keys(state, rotated.stale).await;
    Ok(RotatedKey { key: rotated.keys.after, token, old_works_until: rotated.old_works_until })
}

async fn rotate(
    connection: &mut AsyncPgConnection,
    key_id: KeyId,
    rotation: &Rotation,
) -> Result<Rotated, OperationError> {
    match api_keys::rotate(connection, key_id, rotation).await? {
        RotationOutcome::Rotated(rotated) => Ok(*rotated),
        RotationOutcome::NotFound => Err(OperationError::not_found("key")),
        RotationOutcome::Revoked => {
            Err(OperationError::conflict("The key is revoked, which is for good. Make a new one."))
        }
    }
}
