//! A key as operators see it, and how it comes from its rows.

use chrono::{DateTime, Utc};
use diesel::Queryable;
use diesel::sql_types::{Array, BigInt, Bool, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use ipnet::IpNet;
use onering_ids::{KeyId, OwnerId, SecretId};
use onering_keys::{ScopeSet, Tier, parse_cidr};
use onering_rate_limit::Limit;
use serde_json::Value;
use uuid::Uuid;

use crate::columns::word;
use crate::statement::statement;
use crate::{Context, StoreError};

pub(super) const TABLE: &str = "external_api_keys";

/// A key as stored, with its live secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Which key.
    pub key_id: KeyId,
    /// The partner it belongs to.
    pub owner_id: OwnerId,
    /// For people.
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
    /// False while an operator has disabled it.
    pub is_active: bool,
    /// Whether it stands on the blocklist.
    pub blocked: bool,
    /// Blocks of addresses it may be used from; empty for anywhere.
    pub ip_allowlist: Vec<IpNet>,
    /// From when on it is refused.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was revoked, which is for good.
    pub revoked_at: Option<DateTime<Utc>>,
    /// The last admitted call, to within the gateways' reporting interval.
    pub last_used_at: Option<DateTime<Utc>>,
    /// When its newest secret was made by a rotation.
    pub rotated_at: Option<DateTime<Utc>>,
    /// The operator's own notes, a JSON object.
    pub metadata: Value,
    /// The operator or command that made it.
    pub created_by: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When an operator last changed it.
    pub updated_at: DateTime<Utc>,
    /// Its secrets that work now: the current one first, then the one in its grace.
    pub secrets: Vec<KeySecret>,
}

/// What people may know of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySecret {
    /// Which.
    pub secret_id: SecretId,
    /// The token's first characters.
    pub hint: String,
    /// End of its grace; `None` for the current one.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// The columns of a key in a statement that calls the table `k`.
macro_rules! key_columns {
    () => {
        "k.key_id, k.owner_user_id, k.name, k.scopes, k.rate_limit_tier, k.rate_limit_override, k.burst_per_second, \
         k.canary_enabled, k.is_active, EXISTS (SELECT FROM external_api_blocklist AS b WHERE b.key_id = k.key_id \
         AND (b.expires_at IS NULL OR b.expires_at > now())), k.ip_allowlist, k.expires_at, k.revoked_at, \
         k.last_used_at, k.rotated_at, k.metadata, k.created_by, k.created_at, k.updated_at"
    };
}
pub(super) use key_columns;

/// Their types.
pub(super) type KeyColumns = (
    SqlUuid,
    Text,
    Text,
    Array<Text>,
    Text,
    Nullable<BigInt>,
    Nullable<BigInt>,
    Bool,
    Bool,
    Bool,
    Array<Text>,
    Nullable<Timestamptz>,
    Nullable<Timestamptz>,
    Nullable<Timestamptz>,
    Nullable<Timestamptz>,
    Jsonb,
    Text,
    Timestamptz,
    Timestamptz,
);

#[derive(Queryable)]
pub(super) struct KeyRow {
    pub(super) key_id: Uuid,
    owner_user_id: String,
    name: String,
    scopes: Vec<String>,
    rate_limit_tier: String,
    rate_limit_override: Option<i64>,
    burst_per_second: Option<i64>,
    canary_enabled: bool,
    is_active: bool,
    blocked: bool,
    ip_allowlist: Vec<String>,
    expires_at: Option<DateTime<Utc>>,
    revoked_at: Option<DateTime<Utc>>,
    last_used_at: Option<DateTime<Utc>>,
    rotated_at: Option<DateTime<Utc>>,
    metadata: Value,
    created_by: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl KeyRow {
    fn into_key(self, secrets: Vec<KeySecret>) -> Result<ApiKey, StoreError> {
        Ok(ApiKey {
            key_id: KeyId::from_uuid(self.key_id),
            owner_id: owner(&self.owner_user_id)?,
            name: self.name,
            scopes: scopes(&self.scopes)?,
            tier: tier(&self.rate_limit_tier)?,
            rate_limit_override: self.rate_limit_override.map(limit).transpose()?,
            burst_per_second: self.burst_per_second.map(i64::unsigned_abs),
            canary: self.canary_enabled,
            is_active: self.is_active,
            blocked: self.blocked,
            ip_allowlist: allowlist(&self.ip_allowlist)?,
            expires_at: self.expires_at,
            revoked_at: self.revoked_at,
            last_used_at: self.last_used_at,
            rotated_at: self.rotated_at,
            metadata: self.metadata,
            created_by: self.created_by,
            created_at: self.created_at,
            updated_at: self.updated_at,
            secrets,
        })
    }
}

statement! {
    struct LiveSecrets { key_ids: Vec<Uuid> => Array<SqlUuid> }
    -> (SqlUuid, SqlUuid, Text, Nullable<Timestamptz>, Timestamptz) = "
        SELECT key_id, secret_id, hint, expires_at, created_at FROM external_api_key_secrets
        WHERE key_id = ANY($1) AND (expires_at IS NULL OR expires_at > now())
        ORDER BY key_id, expires_at DESC NULLS FIRST";
}

#[derive(Queryable)]
struct SecretRow {
    key_id: Uuid,
    secret_id: Uuid,
    hint: String,
    expires_at: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
}

/// Completes rows of keys with their live secrets, in one statement for all of them.
pub(super) async fn with_secrets(conn: &mut AsyncPgConnection, rows: Vec<KeyRow>) -> Result<Vec<ApiKey>, StoreError> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let key_ids = rows.iter().map(|row| row.key_id).collect();
    let mut secrets: Vec<SecretRow> = LiveSecrets { key_ids }.load(conn).await.during("read the secrets of keys")?;
    rows.into_iter()
        .map(|row| {
            let of_key = secrets.extract_if(.., |secret| secret.key_id == row.key_id);
            let secrets = of_key
                .map(|secret| KeySecret {
                    secret_id: SecretId::from_uuid(secret.secret_id),
                    hint: secret.hint,
                    expires_at: secret.expires_at,
                    created_at: secret.created_at,
                })
                .collect();
            row.into_key(secrets)
        })
        .collect()
}

/// [`with_secrets`] for one row.
pub(super) async fn with_its_secrets(conn: &mut AsyncPgConnection, row: KeyRow) -> Result<ApiKey, StoreError> {
    with_secrets(conn, vec![row]).await?.pop().ok_or(StoreError::NotFound { what: "key" })
}

pub(super) fn owner(text: &str) -> Result<OwnerId, StoreError> {
    word(TABLE, "owner_user_id", text)
}

pub(super) fn scopes(texts: &[String]) -> Result<ScopeSet, StoreError> {
    ScopeSet::parse(texts).map_err(|error| StoreError::row(TABLE, "scopes", error))
}

pub(super) fn tier(text: &str) -> Result<Tier, StoreError> {
    word(TABLE, "rate_limit_tier", text)
}

pub(super) fn limit(per_hour: i64) -> Result<Limit, StoreError> {
    Limit::new(per_hour.unsigned_abs()).map_err(|error| StoreError::row(TABLE, "rate_limit_override", error))
}

/// An entry that is not understood is an error: left out, it could make the list empty, which means anywhere.
pub(super) fn allowlist(texts: &[String]) -> Result<Vec<IpNet>, StoreError> {
    texts.iter().map(|text| parse_cidr(text).map_err(|error| StoreError::row(TABLE, "ip_allowlist", error))).collect()
}
