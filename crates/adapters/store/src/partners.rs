//! Partners: who owns keys and subscriptions.
//!
//! A partner appears when an operator names it, or by itself with its first key or subscription ([`ensure`]). It is
//! disabled, never deleted: its deliveries and its usage point at it.

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Bool, Jsonb, Nullable, Text, Timestamptz};
use diesel::{OptionalExtension, Queryable};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use onering_ids::OwnerId;
use serde_json::Value;

use crate::audit_log::{Changed, Upserted};
use crate::columns::word;
use crate::statement::statement;
use crate::{Context, StoreError};

/// A partner as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partner {
    /// The operator's own name for it.
    pub owner_id: OwnerId,
    /// For people.
    pub name: String,
    /// Whether it may use the platform.
    pub status: PartnerStatus,
    /// Canary partners are inside every rollout cohort.
    pub canary: bool,
    /// The operator's own notes, a JSON object.
    pub metadata: Value,
    /// When it was first named.
    pub created_at: DateTime<Utc>,
    /// When an operator last changed it.
    pub updated_at: DateTime<Utc>,
}

/// Whether a partner may use the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PartnerStatus {
    /// It may.
    Active,
    /// Its keys are refused and its deliveries held.
    Disabled,
}

impl PartnerStatus {
    /// The text that rows and answers hold.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Active, Self::Disabled].into_iter().find(|status| status.as_str() == text)
    }
}

/// What to set on a partner; `None` keeps what is there, or takes the default for a new one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PartnerChange {
    /// For people: 1–200 characters. Default: the owner id.
    pub name: Option<String>,
    /// Whether it is inside every cohort. Default: no.
    pub canary: Option<bool>,
    /// A JSON object. Default: `{}`.
    pub metadata: Option<Value>,
}

macro_rules! columns {
    () => {
        "owner_id, name, status, canary, metadata, created_at, updated_at"
    };
}
type Columns = (Text, Text, Text, Bool, Jsonb, Timestamptz, Timestamptz);

#[derive(Queryable)]
struct Row {
    owner_id: String,
    name: String,
    status: String,
    canary: bool,
    metadata: Value,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl TryFrom<Row> for Partner {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            status: PartnerStatus::parse(&row.status)
                .ok_or_else(|| StoreError::row("partners", "status", "not a status"))?,
            owner_id: word("partners", "owner_id", &row.owner_id)?,
            name: row.name,
            canary: row.canary,
            metadata: row.metadata,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

statement! {
    /// Names a partner unless it is known.
    struct Ensure { owner_id: String => Text } -> () =
        "INSERT INTO partners (owner_id, name) VALUES ($1, $1) ON CONFLICT DO NOTHING";
}

statement! {
    struct Get { owner_id: String => Text } -> Columns =
        concat!("SELECT ", columns!(), " FROM partners WHERE owner_id = $1");
}

statement! {
    struct Lock { owner_id: String => Text } -> Columns =
        concat!("SELECT ", columns!(), " FROM partners WHERE owner_id = $1 FOR UPDATE");
}

statement! {
    struct List { after: Option<String> => Nullable<Text>, limit: i64 => BigInt } -> Columns = concat!(
        "SELECT ", columns!(), " FROM partners WHERE owner_id > coalesce($1, '') ORDER BY owner_id LIMIT $2"
    );
}

statement! {
    struct Update {
        name: Option<String> => Nullable<Text>,
        canary: Option<bool> => Nullable<Bool>,
        metadata: Option<Value> => Nullable<Jsonb>,
        status: Option<&'static str> => Nullable<Text>,
        owner_id: String => Text,
    } -> Columns = concat!(
        "UPDATE partners SET updated_at = now(), ",
        "name = coalesce($1, name), canary = coalesce($2, canary), metadata = coalesce($3, metadata), ",
        "status = coalesce($4, status) WHERE owner_id = $5 RETURNING ", columns!()
    );
}

/// Makes sure that the partner exists, named by its own id if it is new. Answers whether it was new.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails.
pub async fn ensure(conn: &mut AsyncPgConnection, owner_id: &OwnerId) -> Result<bool, StoreError> {
    let made = Ensure { owner_id: owner_id.to_string() }.execute(conn).await.during("name a partner")?;
    Ok(made > 0)
}

/// Creates the partner or changes it.
///
/// # Errors
/// [`StoreError::Conflict`] when a value breaks a rule of the table, [`StoreError::Query`] when Postgres fails.
pub async fn upsert(
    conn: &mut AsyncPgConnection,
    owner_id: &OwnerId,
    change: &PartnerChange,
) -> Result<Upserted<Partner>, StoreError> {
    conn.transaction(async |conn| {
        let new = ensure(conn, owner_id).await?;
        let changed = save(conn, owner_id, change, None).await?.ok_or(StoreError::NotFound { what: "partner" })?;
        Ok(Upserted { before: (!new).then_some(changed.before), after: changed.after })
    })
    .await
}

/// One partner.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails.
pub async fn get(conn: &mut AsyncPgConnection, owner_id: &OwnerId) -> Result<Option<Partner>, StoreError> {
    let row: Option<Row> =
        Get { owner_id: owner_id.to_string() }.get_result(conn).await.optional().during("read a partner")?;
    row.map(Partner::try_from).transpose()
}

/// Partners by name, from the one after `after`.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails.
pub async fn list(
    conn: &mut AsyncPgConnection,
    after: Option<&OwnerId>,
    limit: u32,
) -> Result<Vec<Partner>, StoreError> {
    let rows: Vec<Row> =
        List { after: after.map(ToString::to_string), limit: limit.into() }.load(conn).await.during("list partners")?;
    rows.into_iter().map(Partner::try_from).collect()
}

/// Changes a partner; `None` when there is no such partner.
///
/// # Errors
/// [`StoreError::Conflict`] when a value breaks a rule of the table, [`StoreError::Query`] when Postgres fails.
pub async fn update(
    conn: &mut AsyncPgConnection,
    owner_id: &OwnerId,
    change: &PartnerChange,
) -> Result<Option<Changed<Partner>>, StoreError> {
    conn.transaction(async |conn| save(conn, owner_id, change, None).await).await
}

/// Refuses the partner's keys and holds its deliveries from now on; `None` when there is no such partner. The caller
/// announces that all cached keys are stale.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails.
pub async fn disable(conn: &mut AsyncPgConnection, owner_id: &OwnerId) -> Result<Option<Changed<Partner>>, StoreError> {
    set_status(conn, owner_id, PartnerStatus::Disabled).await
}

/// Undoes [`disable`].
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails.
pub async fn enable(conn: &mut AsyncPgConnection, owner_id: &OwnerId) -> Result<Option<Changed<Partner>>, StoreError> {
    set_status(conn, owner_id, PartnerStatus::Active).await
}

async fn set_status(
    conn: &mut AsyncPgConnection,
    owner_id: &OwnerId,
    status: PartnerStatus,
) -> Result<Option<Changed<Partner>>, StoreError> {
    conn.transaction(async |conn| save(conn, owner_id, &PartnerChange::default(), Some(status)).await).await
}

/// Must run in a transaction, so that `before` is what the update really replaced.
async fn save(
    conn: &mut AsyncPgConnection,
    owner_id: &OwnerId,
    change: &PartnerChange,
    status: Option<PartnerStatus>,
) -> Result<Option<Changed<Partner>>, StoreError> {
    let locked: Option<Row> =
        Lock { owner_id: owner_id.to_string() }.get_result(conn).await.optional().during("lock a partner")?;
    let Some(before) = locked.map(Partner::try_from).transpose()? else { return Ok(None) };
    let after: Row = Update {
        owner_id: owner_id.to_string(),
        name: change.name.clone(),
        canary: change.canary,
        metadata: change.metadata.clone(),
        status: status.map(PartnerStatus::as_str),
    }
    .get_result(conn)
    .await
    .during("change a partner")?;
    Ok(Some(Changed { before, after: after.try_into()? }))
}

#[cfg(test)]
mod tests;
