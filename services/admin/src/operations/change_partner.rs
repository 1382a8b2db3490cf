//! Changing, disabling and enabling a partner.

use onering_ids::OwnerId;
use onering_queue::Announcement;
use onering_store::audit_log::Changed;
use onering_store::partners::{self, Partner, PartnerChange};
use onering_store::{AsyncPgConnection, StoreError};
use onering_webhook_operations::{AuditStamp, AuditedChange, OperationError};
use serde_json::to_value;

use crate::routes::partners::PartnerView;
use crate::state::AdminState;

type Change = Result<Option<Changed<Partner>>, StoreError>;

/// Changes what the change names.
pub(crate) async fn change_partner(
    state: &AdminState,
    stamp: &AuditStamp,
    owner_id: &OwnerId,
    wanted: &PartnerChange,
) -> Result<Partner, OperationError> {
    change(state, stamp, owner_id, "partner.change", async |connection| {
        partners::update(connection, owner_id, wanted).await
    })
    .await
}

/// Refuses the partner's keys and holds its deliveries.
pub(crate) async fn disable_partner(
    state: &AdminState,
    stamp: &AuditStamp,
    owner_id: &OwnerId,
) -> Result<Partner, OperationError> {
    change(state, stamp, owner_id, "partner.disable", async |connection| partners::disable(connection, owner_id).await)
        .await
}

/// Admits a disabled partner again; what was held goes out.
pub(crate) async fn enable_partner(
    state: &AdminState,
    stamp: &AuditStamp,
    owner_id: &OwnerId,
) -> Result<Partner, OperationError> {
    change(state, stamp, owner_id, "partner.enable", async |connection| partners::enable(connection, owner_id).await)
        .await
}

/// Keys and subscriptions both carry their partner's standing, so whoever remembers any of them is told.
async fn change(
    state: &AdminState,
    stamp: &AuditStamp,
    owner_id: &OwnerId,
    action: &'static str,
    change: impl AsyncFnOnce(&mut AsyncPgConnection) -> Change,
) -> Result<Partner, OperationError> {
    let partner = state
        .change(stamp, async |connection| {
            let changed = change(connection).await?.ok_or_else(|| OperationError::not_found("partner"))?;
            let audited = AuditedChange {
                action,
                target_type: "partner",
                target_id: owner_id.to_string(),
                before: Some(to_value(PartnerView::from(changed.before))?),
                after: Some(to_value(PartnerView::from(changed.after.clone()))?),
            };
            Ok((changed.after, audited))
        })
        .await?;
    state.announce([Announcement::Keys, Announcement::Subscriptions]).await;
    Ok(partner)
}
