//! Changing and ending a key.

use chrono::{DateTime, Utc};
use diesel::OptionalExtension;
use diesel::sql_types::{Array, BigInt, Bool, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use ipnet::IpNet;
use onering_ids::KeyId;
use onering_keys::{ScopeSet, Tier};
use onering_rate_limit::Limit;
use serde_json::Value;
use uuid::Uuid;

use super::create::texts;
use super::key::{ApiKey, KeyColumns, KeyRow, key_columns, with_its_secrets};
use crate::audit_log::Changed;
use crate::statement::statement;
use crate::usage::saturating;
use crate::{Context, StoreError};

/// What to set on a key; `None` keeps what is there. `Some(None)` takes a value away.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyChange {
    /// For people: 1–200 characters.
    pub name: Option<String>,
    /// What it may do.
    pub scopes: Option<ScopeSet>,
    /// How much it may call.
    pub tier: Option<Tier>,
    /// An hourly limit of its own.
    pub rate_limit_override: Option<Option<Limit>>,
    /// Calls a second, at most.
    pub burst_per_second: Option<Option<u64>>,
    /// Whether it is a canary key.
    pub canary: Option<bool>,
    /// Blocks of addresses it may be used from; empty for anywhere.
    pub ip_allowlist: Option<Vec<IpNet>>,
    /// From when on it is refused.
    pub expires_at: Option<Option<DateTime<Utc>>>,
    /// The operator's own notes, a JSON object, replaced as a whole.
    pub metadata: Option<Value>,
}

statement! {
    struct Lock { key_id: Uuid => SqlUuid } -> KeyColumns =
        concat!("SELECT ", key_columns!(), " FROM external_api_keys AS k WHERE k.key_id = $1 FOR UPDATE OF k");
}

statement! {
    struct Update {
        name: Option<String> => Nullable<Text>,
        scopes: Option<Vec<String>> => Nullable<Array<Text>>,
        tier: Option<&'static str> => Nullable<Text>,
        with_override: bool => Bool,
        rate_limit_override: Option<i64> => Nullable<BigInt>,
        with_burst: bool => Bool,
        burst_per_second: Option<i64> => Nullable<BigInt>,
        canary: Option<bool> => Nullable<Bool>,
        ip_allowlist: Option<Vec<String>> => Nullable<Array<Text>>,
        with_expiry: bool => Bool,
        expires_at: Option<DateTime<Utc>> => Nullable<Timestamptz>,
        metadata: Option<Value> => Nullable<Jsonb>,
        key_id: Uuid => SqlUuid,
    } -> KeyColumns = concat!(
        "UPDATE external_api_keys AS k SET updated_at = now(), ",
        "name = coalesce($1, k.name), scopes = coalesce($2, k.scopes), rate_limit_tier = coalesce($3, ",
        "k.rate_limit_tier), ",
        "rate_limit_override = CASE WHEN $4 THEN $5 ELSE k.rate_limit_override END, ",
        "burst_per_second = CASE WHEN $6 THEN $7 ELSE k.burst_per_second END, ",
        "canary_enabled = coalesce($8, k.canary_enabled), ip_allowlist = coalesce($9, k.ip_allowlist), ",
        "expires_at = CASE WHEN $10 THEN $11 ELSE k.expires_at END, metadata = coalesce($12, k.metadata) ",
        "WHERE k.key_id = $13 RETURNING ", key_columns!()
    );
}

statement! {
    struct SetActive { active: bool => Bool, key_id: Uuid => SqlUuid } -> KeyColumns = concat!(
        "UPDATE external_api_keys AS k SET is_active = $1, updated_at = now() WHERE k.key_id = $2 RETURNING ",
        key_columns!()
    );
}

statement! {
    struct Revoke { key_id: Uuid => SqlUuid } -> KeyColumns = concat!(
        "UPDATE external_api_keys AS k SET revoked_at = coalesce(k.revoked_at, now()), updated_at = now() ",
        "WHERE k.key_id = $1 RETURNING ", key_columns!()
    );
}

statement! {
    struct Delete { key_id: Uuid => SqlUuid } -> () = "DELETE FROM external_api_keys WHERE key_id = $1";
}

/// Changes a key; `None` when there is no such key.
///
/// # Errors
/// [`StoreError::Conflict`] when a value breaks a rule of the table, [`StoreError::Query`] when Postgres fails.
pub async fn update(
    conn: &mut AsyncPgConnection,
    key_id: KeyId,
    change: &KeyChange,
) -> Result<Option<Changed<ApiKey>>, StoreError> {
    let update = Update {
        key_id: key_id.uuid(),
        name: change.name.clone(),
        scopes: change.scopes.as_ref().map(ScopeSet::to_texts),
        tier: change.tier.map(Tier::as_str),
        with_override: change.rate_limit_override.is_some(),
        rate_limit_override: change.rate_limit_override.flatten().map(|limit| saturating(limit.per_hour())),
        with_burst: change.burst_per_second.is_some(),
        burst_per_second: change.burst_per_second.flatten().map(saturating),
        canary: change.canary,
        ip_allowlist: change.ip_allowlist.as_deref().map(texts),
        with_expiry: change.expires_at.is_some(),
        expires_at: change.expires_at.flatten(),
        metadata: change.metadata.clone(),
    };
    conn.transaction(async |conn| {
        let Some(before) = lock(conn, key_id).await? else { return Ok(None) };
        let row = update.get_result(conn).await.during("change a key")?;
        changed(conn, before, row).await
    })
    .await
}

/// Refuses the key until [`enable`]; `None` when there is no such key.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails.
pub async fn disable(conn: &mut AsyncPgConnection, key_id: KeyId) -> Result<Option<Changed<ApiKey>>, StoreError> {
    set_active(conn, key_id, false).await
}

/// Undoes [`disable`]; a revoked key stays revoked.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails.
pub async fn enable(conn: &mut AsyncPgConnection, key_id: KeyId) -> Result<Option<Changed<ApiKey>>, StoreError> {
    set_active(conn, key_id, true).await
}

/// Refuses the key for good, as if it were unknown; `None` when there is no such key. Again changes nothing.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails.
pub async fn revoke(conn: &mut AsyncPgConnection, key_id: KeyId) -> Result<Option<Changed<ApiKey>>, StoreError> {
    let revoke = Revoke { key_id: key_id.uuid() };
    conn.transaction(async |conn| {
        let Some(before) = lock(conn, key_id).await? else { return Ok(None) };
        let row = revoke.get_result(conn).await.during("revoke a key")?;
        changed(conn, before, row).await
    })
    .await
}

/// Removes the key, its secrets and its blocklist entries, and answers what it was; `None` when there is no such key.
/// Read its digests before. Usage is kept.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails.
pub async fn delete(conn: &mut AsyncPgConnection, key_id: KeyId) -> Result<Option<ApiKey>, StoreError> {
    conn.transaction(async |conn| {
        let Some(key) = lock(conn, key_id).await? else { return Ok(None) };
        Delete { key_id: key_id.uuid() }.execute(conn).await.during("delete a key")?;
        Ok(Some(key))
    })
    .await
}

async fn set_active(
    conn: &mut AsyncPgConnection,
    key_id: KeyId,
    active: bool,
) -> Result<Option<Changed<ApiKey>>, StoreError> {
    let set = SetActive { active, key_id: key_id.uuid() };
    conn.transaction(async |conn| {
        let Some(before) = lock(conn, key_id).await? else { return Ok(None) };
        let row = set.get_result(conn).await.during("disable or enable a key")?;
        changed(conn, before, row).await
    })
    .await
}

/// Must run in the transaction that locked `before`, so that this is what the change really replaced.
async fn changed(
    conn: &mut AsyncPgConnection,
    before: ApiKey,
    after: KeyRow,
) -> Result<Option<Changed<ApiKey>>, StoreError> {
    let after = with_its_secrets(conn, after).await?;
    Ok(Some(Changed { before, after }))
}

/// The key, locked until the end of the transaction.
pub(super) async fn lock(conn: &mut AsyncPgConnection, key_id: KeyId) -> Result<Option<ApiKey>, StoreError> {
    let row: Option<KeyRow> = Lock { key_id: key_id.uuid() }.get_result(conn).await.optional().during("lock a key")?;
    match row {
        Some(row) => with_its_secrets(conn, row).await.map(Some),
        None => Ok(None),
    }
}
