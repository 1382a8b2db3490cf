//! The audit log: every change an operator made, appended only.
//!
//! [`append`] runs on the connection of the change itself, inside the same transaction, so that there is no change
//! without its row and no row without its change. The table refuses updates, deletes and TRUNCATE by trigger. Callers never put a
//! token, a secret or a payload in `before` or `after`.

use chrono::{DateTime, Utc};
use diesel::{ExpressionMethods, Insertable, QueryDsl, Queryable, Selectable, SelectableHelper};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use onering_ids::AuditId;
use serde_json::Value;
use uuid::Uuid;

use crate::schema::admin_audit_log;
use crate::{Context, StoreError};

/// What a change replaced and what it left, as the audit log wants them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed<T> {
    /// As it was.
    pub before: T,
    /// As it is now.
    pub after: T,
}

/// What a create-or-change did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upserted<T> {
    /// As it was; `None` when it was created.
    pub before: Option<T>,
    /// As it is now.
    pub after: T,
}

/// One entry to append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAuditEntry {
    /// A fresh id: its time orders the log.
    pub audit_id: AuditId,
    /// Which admin key or token subject.
    pub actor: String,
    /// The role it acted with.
    pub role: String,
    /// What was done, such as `key.rotate`.
    pub action: String,
    /// Kind of the thing changed, such as `key`.
    pub target_type: String,
    /// Its id.
    pub target_id: String,
    /// Its state before; `None` when it was made.
    pub before: Option<Value>,
    /// Its state after; `None` when it was removed.
    pub after: Option<Value>,
    /// Address the call came from.
    pub ip: Option<String>,
    /// `X-Request-Id` of the call.
    pub request_id: Option<String>,
}

/// One entry as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// When, by the database's clock.
    pub at: DateTime<Utc>,
    /// What was appended.
    pub entry: NewAuditEntry,
}

/// Which entries to list; `None` means any.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AuditFilter {
    /// By this actor.
    pub actor: Option<String>,
    /// Of this action.
    pub action: Option<String>,
    /// On things of this kind.
    pub target_type: Option<String>,
    /// On the thing of this id.
    pub target_id: Option<String>,
    /// Not before this instant.
    pub from: Option<DateTime<Utc>>,
    /// Before this instant.
    pub to: Option<DateTime<Utc>>,
}

#[derive(Insertable, Queryable, Selectable)]
#[diesel(table_name = admin_audit_log, check_for_backend(diesel::pg::Pg))]
struct Row {
    audit_id: Uuid,
    actor: String,
    role: String,
    action: String,
    target_type: String,
    target_id: String,
    before: Option<Value>,
    after: Option<Value>,
    ip: Option<String>,
    request_id: Option<String>,
}

impl From<NewAuditEntry> for Row {
    fn from(entry: NewAuditEntry) -> Self {
        let NewAuditEntry { audit_id, actor, role, action, target_type, target_id, before, after, ip, request_id } =
            entry;
        Self { audit_id: audit_id.uuid(), actor, role, action, target_type, target_id, before, after, ip, request_id }
    }
}

impl From<Row> for NewAuditEntry {
    fn from(row: Row) -> Self {
        let Row { audit_id, actor, role, action, target_type, target_id, before, after, ip, request_id } = row;
        let audit_id = AuditId::from_uuid(audit_id);
        Self { audit_id, actor, role, action, target_type, target_id, before, after, ip, request_id }
    }
}

/// Appends one entry, stamped with the database's time. Call it in the transaction of the change.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails.
pub async fn append(conn: &mut AsyncPgConnection, entry: NewAuditEntry) -> Result<(), StoreError> {
    diesel::insert_into(admin_audit_log::table)
        .values(Row::from(entry))
        .execute(conn)
        .await
        .during("append to the audit log")?;
    Ok(())
}

/// Entries, newest first, from the one before `before`.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails.
pub async fn list(
    conn: &mut AsyncPgConnection,
    filter: &AuditFilter,
    before: Option<AuditId>,
    limit: u32,
) -> Result<Vec<AuditEntry>, StoreError> {
    use admin_audit_log as log;
    let mut query =
        log::table.select((log::at, Row::as_select())).order(log::audit_id.desc()).limit(limit.into()).into_boxed();
    if let Some(actor) = &filter.actor {
        query = query.filter(log::actor.eq(actor));
    }
    if let Some(action) = &filter.action {
        query = query.filter(log::action.eq(action));
    }
    if let Some(target_type) = &filter.target_type {
        query = query.filter(log::target_type.eq(target_type));
    }
    if let Some(target_id) = &filter.target_id {
        query = query.filter(log::target_id.eq(target_id));
    }
    if let Some(from) = filter.from {
        query = query.filter(log::audit_id.ge(floor(from)));
    }
    if let Some(to) = filter.to {
        query = query.filter(log::audit_id.lt(floor(to)));
    }
    if let Some(before) = before {
        query = query.filter(log::audit_id.lt(before.uuid()));
    }
    let rows: Vec<(DateTime<Utc>, Row)> = query.load(conn).await.during("list the audit log")?;
    Ok(rows.into_iter().map(|(at, row)| AuditEntry { at, entry: row.into() }).collect())
}

/// The id carries the time, so that a range of time is a range of the primary key.
fn floor(at: DateTime<Utc>) -> Uuid {
    AuditId::floor(u64::try_from(at.timestamp_millis()).unwrap_or(0)).uuid()
}

#[cfg(test)]
mod tests;
