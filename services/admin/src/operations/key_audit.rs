//! What all changes of keys leave behind: a row of the audit log, and gateways that read the key again.

use onering_ids::KeyId;
use onering_keys::TokenDigest;
use onering_queue::Announcement;
use onering_store::api_keys::ApiKey;
use onering_webhook_operations::{AuditedChange, OperationError};

use crate::routes::keys::KeyView;
use crate::state::AdminState;

/// A key before and after.
#[derive(Clone, Copy)]
pub(super) struct KeyStates<'a> {
    pub(super) before: Option<&'a ApiKey>,
    pub(super) after: Option<&'a ApiKey>,
}

pub(super) fn key_changed(
    state: &AdminState,
    action: &'static str,
    key_id: KeyId,
    states: KeyStates<'_>,
) -> Result<AuditedChange, OperationError> {
    let now = state.clock.now();
    Ok(AuditedChange {
        action,
        target_type: "key",
        target_id: key_id.to_string(),
        before: states.before.map(|key| KeyView::audited(key, now)).transpose()?,
        after: states.after.map(|key| KeyView::audited(key, now)).transpose()?,
    })
}

pub(super) async fn announce_keys(state: &AdminState, digests: Vec<TokenDigest>) {
    state.announce(digests.into_iter().map(Announcement::Key)).await;
}
