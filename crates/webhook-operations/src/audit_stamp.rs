use onering_clock::Clock;
use onering_store::audit_log::{self, NewAuditEntry};
use onering_store::{AsyncPgConnection, StoreError};
use serde_json::Value;

/// Who acts, from where, in which request: what all audit rows of one call have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditStamp {
    /// Which admin key or token subject.
    pub actor: String,
    /// The role it acts with.
    pub role: String,
    /// Address the call came from.
    pub ip: String,
    /// `X-Request-Id` of the call.
    pub request_id: String,
}

/// One change as the audit log is to hold it. Nobody puts a token, a secret or a payload into `before` and `after`.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditedChange {
    /// What was done, such as `key.rotate`.
    pub action: &'static str,
    /// Kind of the thing changed, such as `key`.
    pub target_type: &'static str,
    /// Its id.
    pub target_id: String,
    /// Its state before; `None` when it was made.
    pub before: Option<Value>,
    /// Its state after; `None` when it was removed.
    pub after: Option<Value>,
}

impl AuditStamp {
    /// Writes the row. Call it in the transaction of the change.
    ///
    /// # Errors
    /// [`StoreError::Query`] when Postgres fails.
    pub async fn append(
        &self,
        connection: &mut AsyncPgConnection,
        clock: &Clock,
        change: AuditedChange,
    ) -> Result<(), StoreError> {
        let AuditedChange { action, target_type, target_id, before, after } = change;
        let entry = NewAuditEntry {
            audit_id: clock.fresh_id(),
            actor: self.actor.clone(),
            role: self.role.clone(),
            action: action.to_owned(),
            target_type: target_type.to_owned(),
            target_id,
            before,
            after,
            ip: Some(self.ip.clone()),
            request_id: Some(self.request_id.clone()),
        };
        audit_log::append(connection, entry).await
    }
}
