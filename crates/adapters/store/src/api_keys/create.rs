//! Making a key.

use chrono::{DateTime, Utc};
use diesel::sql_types::{Array, BigInt, Binary, Bool, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use ipnet::IpNet;
use onering_ids::{KeyId, OwnerId, SecretId};
use onering_keys::{ScopeSet, Tier, TokenDigest};
use onering_rate_limit::Limit;
use serde_json::Value;
use uuid::Uuid;

use super::key::{ApiKey, KeyColumns, KeyRow, key_columns, with_its_secrets};
use crate::statement::statement;
use crate::usage::saturating;
use crate::{Context, StoreError, partners};

/// A key to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// A fresh id.
    pub key_id: KeyId,
    /// The partner it belongs to; made if it does not exist.
    pub owner_id: OwnerId,
    /// For people: 1–200 characters.
    pub name: String,
    /// What it may do.
    pub scopes: ScopeSet,
    /// How much it may call.
    pub tier: Tier,
    /// An hourly limit of its own in place of its tier's.
    pub rate_limit_override: Option<Limit>,
    /// Calls a second, at most.
    pub burst_per_second: Option<u64>,
    /// Whether it is a canary key.
    pub canary: bool,
    /// Blocks of addresses it may be used from; empty for anywhere.
    pub ip_allowlist: Vec<IpNet>,
    /// From when on it is refused.
    pub expires_at: Option<DateTime<Utc>>,
    /// The operator's own notes, a JSON object.
    pub metadata: Value,
    /// The operator or command that makes it.
    pub created_by: String,
}

/// A secret to give a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSecret {
    /// A fresh id.
    pub secret_id: SecretId,
    /// Digest of the token.
    pub digest: TokenDigest,
    /// The token's first characters: at most 12.
    pub hint: String,
}

statement! {
    struct InsertKey {
        key_id: Uuid => SqlUuid,
        owner_id: String => Text,
        name: String => Text,
        scopes: Vec<String> => Array<Text>,
        tier: &'static str => Text,
        rate_limit_override: Option<i64> => Nullable<BigInt>,
        burst_per_second: Option<i64> => Nullable<BigInt>,
        canary: bool => Bool,
        ip_allowlist: Vec<String> => Array<Text>,
        expires_at: Option<DateTime<Utc>> => Nullable<Timestamptz>,
        metadata: Value => Jsonb,
        created_by: String => Text,
    } -> KeyColumns = concat!(
        "INSERT INTO external_api_keys AS k (key_id, owner_user_id, name, scopes, rate_limit_tier, ",
        "rate_limit_override, ",
        "burst_per_second, canary_enabled, ip_allowlist, expires_at, metadata, created_by) ",
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING ", key_columns!()
    );
}

statement! {
    struct InsertSecret {
        secret_id: Uuid => SqlUuid,
        key_id: Uuid => SqlUuid,
        digest: Vec<u8> => Binary,
        hint: String => Text,
    } -> () = "INSERT INTO external_api_key_secrets (secret_id, key_id, digest, hint) VALUES ($1, $2, $3, $4)";
}

/// Makes a key with its first secret, and its partner if that is new.
///
/// # Errors
/// [`StoreError::Conflict`] when the digest or an id is taken or a value breaks a rule of the table,
/// [`StoreError::Query`] when Postgres fails. Nothing is left behind then.
pub async fn create(conn: &mut AsyncPgConnection, new: &NewKey, secret: &NewSecret) -> Result<ApiKey, StoreError> {
    conn.transaction(async |conn| {
        partners::ensure(conn, &new.owner_id).await?;
        let row: KeyRow = InsertKey {
            key_id: new.key_id.uuid(),
            owner_id: new.owner_id.to_string(),
            name: new.name.clone(),
            scopes: new.scopes.to_texts(),
            tier: new.tier.as_str(),
            rate_limit_override: new.rate_limit_override.map(|limit| saturating(limit.per_hour())),
            burst_per_second: new.burst_per_second.map(saturating),
            canary: new.canary,
            ip_allowlist: texts(&new.ip_allowlist),
            expires_at: new.expires_at,
            metadata: new.metadata.clone(),
            created_by: new.created_by.clone(),
        }
        .get_result(conn)
        .await
        .during("create a key")?;
        insert_secret(conn, new.key_id, secret).await?;
        with_its_secrets(conn, row).await
    })
    .await
}

/// Gives a key its current secret; it must have none.
pub(super) async fn insert_secret(
    conn: &mut AsyncPgConnection,
    key_id: KeyId,
    secret: &NewSecret,
) -> Result<(), StoreError> {
    InsertSecret {
        secret_id: secret.secret_id.uuid(),
        key_id: key_id.uuid(),
        digest: secret.digest.as_bytes().to_vec(),
        hint: secret.hint.clone(),
    }
    .execute(conn)
    .await
    .during("create a key's secret")?;
    Ok(())
}

pub(super) fn texts(blocks: &[IpNet]) -> Vec<String> {
    blocks.iter().map(ToString::to_string).collect()
}
