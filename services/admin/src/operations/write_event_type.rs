use onering_store::event_types::{self, CatalogueChange, CatalogueEntry};
use onering_webhook_operations::{AuditStamp, AuditedChange, OperationError};
use serde_json::to_value;

use crate::routes::event_types::EventTypeView;
use crate::state::AdminState;

/// Creates an entry of the catalogue, or changes it.
pub(crate) async fn write_event_type(
    state: &AdminState,
    stamp: &AuditStamp,
    change: CatalogueChange,
) -> Result<CatalogueEntry, OperationError> {
    state
        .change(stamp, async |connection| {
            let written = event_types::upsert(connection, change).await?;
            let audited = AuditedChange {
                action: "event_type.write",
                target_type: "event_type",
                target_id: written.after.name.clone(),
                before: written.before.map(EventTypeView::from).map(to_value).transpose()?,
                after: Some(to_value(EventTypeView::from(written.after.clone()))?),
            };
            Ok((written.after, audited))
        })
        .await
}
