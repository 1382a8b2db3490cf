use onering_ids::OwnerId;
use onering_queue::Announcement;
use onering_store::partners::{self, Partner, PartnerChange};
use onering_webhook_operations::{AuditStamp, AuditedChange, OperationError};
use serde_json::to_value;

use crate::routes::partners::PartnerView;
use crate::state::AdminState;

/// Names a partner that does not exist yet.
pub(crate) async fn create_partner(
    state: &AdminState,
    stamp: &AuditStamp,
    owner_id: &OwnerId,
    wanted: &PartnerChange,
) -> Result<Partner, OperationError> {
    let partner = state
        .change(stamp, async |connection| {
            let made = partners::upsert(connection, owner_id, wanted).await?;
            if made.before.is_some() {
                return Err(OperationError::conflict("There is a partner of this owner_id already; change that one."));
            }
            let audited = AuditedChange {
                action: "partner.create",
                target_type: "partner",
                target_id: owner_id.to_string(),
                before: None,
                after: Some(to_value(PartnerView::from(made.after.clone()))?),
            };
            Ok((made.after, audited))
        })
        .await?;
    state.announce([Announcement::Keys, Announcement::Subscriptions]).await;
    Ok(partner)
}
