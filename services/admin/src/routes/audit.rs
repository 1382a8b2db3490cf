//! What operators changed.

use actix_web::web::Data;
use chrono::{DateTime, Utc};
use onering_ids::AuditId;
use onering_store::audit_log::{self, AuditEntry, AuditFilter};
use onering_web::{ApiResult, Cursor, Limit, Page, StrictQuery, Viewer};
use onering_webhook_operations::{OperationError, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::acting::Acting;
use crate::json_answer::ok;
use crate::routes::rows_for;
use crate::state::AdminState;

/// One change.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub(crate) struct AuditView {
    /// Which one.
    #[schema(value_type = String, example = "aud_01h455vb4pex5vsknk084sn02q")]
    id: AuditId,
    /// When.
    at: Timestamp,
    /// Which admin key or token subject.
    actor: String,
    /// The role it acted with.
    role: String,
    /// What was done.
    #[schema(example = "key.rotate")]
    action: String,
    /// Kind of the thing changed.
    #[schema(example = "key")]
    target_type: String,
    /// Its id.
    target_id: String,
    /// Its state before; null when it was made.
    #[schema(value_type = Option<Object>)]
    before: Option<Value>,
    /// Its state after; null when it was removed.
    #[schema(value_type = Option<Object>)]
    after: Option<Value>,
    /// Address the call came from.
    ip: Option<String>,
    /// `X-Request-Id` of the call.
    request_id: Option<String>,
}

impl From<AuditEntry> for AuditView {
    fn from(row: AuditEntry) -> Self {
        let entry = row.entry;
        Self {
            id: entry.audit_id,
            at: row.at.into(),
            actor: entry.actor,
            role: entry.role,
            action: entry.action,
            target_type: entry.target_type,
            target_id: entry.target_id,
            before: entry.before,
            after: entry.after,
            ip: entry.ip,
            request_id: entry.request_id,
        }
    }
}

/// Which changes to list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct AuditQuery {
    /// Only by this actor, such as `Ada (adm_…)`.
    actor: Option<String>,
    /// Only of this action, such as `key.rotate`.
    action: Option<String>,
    /// Only on things of this kind, such as `key`.
    target_type: Option<String>,
    /// Only on the thing of this id.
    target_id: Option<String>,
    /// Only those at this instant or later, RFC 3339.
    from: Option<DateTime<Utc>>,
    /// Only those before this instant, RFC 3339.
    to: Option<DateTime<Utc>>,
    /// At most this many: 1–200, 50 by default.
    #[param(value_type = Option<u8>, minimum = 1, maximum = 200)]
    limit: Limit,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<Cursor<AuditId>>,
}

/// Changes, newest first.
#[utoipa::path(
    get, path = "/v1/admin/audit", tag = "audit", params(AuditQuery),
    responses((status = 200, description = "A page of changes.", body = Page<AuditView>))
)]
pub(crate) async fn list(acting: Acting<Viewer, StrictQuery<AuditQuery>>, state: Data<AdminState>) -> ApiResult {
    let (_stamp, query) = acting.split();
    let AuditQuery { actor, action, target_type, target_id, from, to, limit, cursor } = query.into_inner();
    let filter = AuditFilter { actor, action, target_type, target_id, from, to };
    let before = cursor.map(Cursor::into_key);
    let mut connection = state.connection().await?;
    let rows =
        audit_log::list(&mut connection, &filter, before, rows_for(limit)).await.map_err(OperationError::from)?;
    Ok(ok(&Page::from_rows(rows, limit, |row| row.entry.audit_id).map(AuditView::from)))
}
