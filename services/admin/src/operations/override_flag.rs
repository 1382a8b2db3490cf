//! Narrowing a switch at run time, and taking that back.

use onering_queue::Announcement;
use onering_rollout::{Switch, Value};
use onering_store::flags::{self, NewOverride, Override};
use onering_webhook_operations::{AuditStamp, AuditedChange, OperationError};
use serde_json::to_value;

use crate::routes::flags::OverrideView;
use crate::state::AdminState;

/// Narrows a switch, in place of an earlier override. `value` is one that can narrow.
pub(crate) async fn set_override(
    state: &AdminState,
    stamp: &AuditStamp,
    switch: Switch,
    value: Value,
    reason: String,
) -> Result<Override, OperationError> {
    let new = NewOverride { switch, value, reason, set_by: stamp.actor.clone() };
    let set = state
        .change(stamp, async |connection| {
            let set = flags::set_override(connection, &new).await?;
            let audited = AuditedChange {
                action: "flag.set",
                target_type: "flag",
                target_id: switch.to_string(),
                before: set.before.as_ref().map(OverrideView::from).map(to_value).transpose()?,
                after: Some(to_value(OverrideView::from(&set.after))?),
            };
            Ok((set.after, audited))
        })
        .await?;
    state.announce([Announcement::Flags]).await;
    Ok(set)
}

/// Takes an override away: the switch is as its environment and file say.
pub(crate) async fn clear_override(
    state: &AdminState,
    stamp: &AuditStamp,
    switch: Switch,
) -> Result<(), OperationError> {
    state
        .change(stamp, async |connection| {
            let cleared = flags::clear_override(connection, switch).await?;
            let cleared = cleared.ok_or_else(|| OperationError::not_found("override"))?;
            let audited = AuditedChange {
                action: "flag.clear",
                target_type: "flag",
                target_id: switch.to_string(),
                before: Some(to_value(OverrideView::from(&cleared))?),
                after: None,
            };
            Ok(((), audited))
        })
        .await?;
    state.announce([Announcement::Flags]).await;
    Ok(())
}
