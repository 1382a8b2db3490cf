//! Reading keys, for operators and announcements.

use diesel::OptionalExtension;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Nullable, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use onering_ids::{KeyId, OwnerId};
use onering_keys::{Tier, TokenDigest};
use uuid::Uuid;

use super::key::{ApiKey, KeyColumns, KeyRow, key_columns, with_its_secrets, with_secrets};
use crate::statement::statement;
use crate::{Context, StoreError};

/// Which keys to list; `None` means any.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyFilter {
    /// Of this partner.
    pub owner_id: Option<OwnerId>,
    /// Of this tier.
    pub tier: Option<Tier>,
    /// True: neither disabled, revoked nor expired. False: any of these.
    pub active: Option<bool>,
}

statement! {
    struct Get { key_id: Uuid => SqlUuid } -> KeyColumns =
        concat!("SELECT ", key_columns!(), " FROM external_api_keys AS k WHERE k.key_id = $1");
}

statement! {
    struct List {
        owner_id: Option<String> => Nullable<Text>,
        tier: Option<&'static str> => Nullable<Text>,
        active: Option<bool> => Nullable<Bool>,
        before: Option<Uuid> => Nullable<SqlUuid>,
        limit: i64 => BigInt,
    } -> KeyColumns = concat!(
        "SELECT ", key_columns!(), " FROM external_api_keys AS k ",
        "WHERE ($1 IS NULL OR k.owner_user_id = $1) AND ($2 IS NULL OR k.rate_limit_tier = $2) ",
        "AND ($3 IS NULL OR $3 = (k.is_active AND k.revoked_at IS NULL AND coalesce(k.expires_at > now(), true))) ",
        "AND k.key_id < coalesce($4, 'ffffffff-ffff-ffff-ffff-ffffffffffff') ORDER BY k.key_id DESC LIMIT $5"
    );
}

statement! {
    struct Digests { key_ids: Vec<Uuid> => Array<SqlUuid> } -> Binary =
        "SELECT digest FROM external_api_key_secrets WHERE key_id = ANY($1)";
}

statement! {
    struct DigestsOfOwner { owner_id: String => Text } -> Binary = "
        SELECT s.digest FROM external_api_keys AS k JOIN external_api_key_secrets AS s USING (key_id)
        WHERE k.owner_user_id = $1";
}

/// One key.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails.
pub async fn get(conn: &mut AsyncPgConnection, key_id: KeyId) -> Result<Option<ApiKey>, StoreError> {
    match row(conn, key_id).await? {
        Some(row) => with_its_secrets(conn, row).await.map(Some),
        None => Ok(None),
    }
}

pub(super) async fn row(conn: &mut AsyncPgConnection, key_id: KeyId) -> Result<Option<KeyRow>, StoreError> {
    Get { key_id: key_id.uuid() }.get_result(conn).await.optional().during("read a key")
}

/// Keys, newest first, from the one before `before`.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails.
pub async fn list(
    conn: &mut AsyncPgConnection,
    filter: &KeyFilter,
    before: Option<KeyId>,
    limit: u32,
) -> Result<Vec<ApiKey>, StoreError> {
    let rows: Vec<KeyRow> = List {
        owner_id: filter.owner_id.as_ref().map(ToString::to_string),
        tier: filter.tier.map(Tier::as_str),
        active: filter.active,
        before: before.map(KeyId::uuid),
        limit: limit.into(),
    }
    .load(conn)
    .await
    .during("list keys")?;
    with_secrets(conn, rows).await
}

/// The digests of all secrets of these keys: what gateways may remember them by.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails.
pub async fn digests_of(conn: &mut AsyncPgConnection, keys: &[KeyId]) -> Result<Vec<TokenDigest>, StoreError> {
    let key_ids = keys.iter().map(|key| key.uuid()).collect();
    let rows: Vec<Vec<u8>> = Digests { key_ids }.load(conn).await.during("read the digests of keys")?;
    rows.iter().map(|digest| parse_digest(digest)).collect()
}

/// The digests of all secrets of all keys of a partner.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails.
pub async fn digests_of_owner(
    conn: &mut AsyncPgConnection,
    owner_id: &OwnerId,
) -> Result<Vec<TokenDigest>, StoreError> {
    let rows: Vec<Vec<u8>> = DigestsOfOwner { owner_id: owner_id.to_string() }
        .load(conn)
        .await
        .during("read the digests of a partner's keys")?;
    rows.iter().map(|digest| parse_digest(digest)).collect()
}

pub(super) fn parse_digest(bytes: &[u8]) -> Result<TokenDigest, StoreError> {
    TokenDigest::try_from(bytes).map_err(|error| StoreError::row("external_api_key_secrets", "digest", error))
}
