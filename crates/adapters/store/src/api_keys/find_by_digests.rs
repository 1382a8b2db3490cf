//! The gateway's question: whose are these tokens?

use chrono::{DateTime, Utc};
use diesel::Queryable;
use diesel::sql_types::{Array, BigInt, Binary, Bool, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use onering_ids::KeyId;
use onering_keys::{KeyRecord, TokenDigest};
use uuid::Uuid;

use super::key::{allowlist, limit, owner, scopes, tier};
use super::read::parse_digest;
use crate::statement::statement;
use crate::{Context, StoreError};

/// A token that is known.
#[derive(Debug)]
pub struct FoundKey {
    /// Which of the digests asked for.
    pub digest: TokenDigest,
    /// What the access decision needs, or why the rows are not understood: a key that something else spoilt must not
    /// take those down that were asked for with it.
    pub record: Result<KeyRecord, StoreError>,
}

// Its plan must not depend on how many digests there are: otherwise Postgres plans it anew each time, which takes longer than the
// look-up itself. So it does not see them; each is looked up on its own, which is its index' work once the tables were analysed with
// more than a few rows. A digest that is given twice is answered twice.
statement! {
    pub(super) struct FindByDigests { digests: Vec<Vec<u8>> => Array<Binary> } -> (
        Binary, SqlUuid, Text, Text, Array<Text>, Text, Bool, Bool, Bool, Bool, Nullable<Timestamptz>,
        Nullable<Timestamptz>, Array<Text>, Nullable<BigInt>, Nullable<BigInt>, Bool, Bool,
    ) = "
        SELECT s.digest, k.key_id, k.owner_user_id, k.name, k.scopes, k.rate_limit_tier, k.canary_enabled, k.is_active,
               (SELECT true FROM external_api_blocklist AS b
                WHERE b.key_id = k.key_id AND (b.expires_at IS NULL OR b.expires_at > now()) LIMIT 1) IS NOT NULL,
               k.revoked_at IS NOT NULL, k.expires_at, s.expires_at, k.ip_allowlist, k.rate_limit_override,
               k.burst_per_second, p.status = 'active', p.canary
        FROM unnest((SELECT $1)) AS asked (digest)
        CROSS JOIN LATERAL (SELECT * FROM external_api_key_secrets WHERE digest = asked.digest LIMIT 1) AS s
        JOIN external_api_keys AS k ON k.key_id = s.key_id
        JOIN partners AS p ON p.owner_id = k.owner_user_id";
}

#[derive(Queryable)]
struct Row {
    digest: Vec<u8>,
    key_id: Uuid,
    owner_user_id: String,
    name: String,
    scopes: Vec<String>,
    rate_limit_tier: String,
    canary: bool,
    is_active: bool,
    blocked: bool,
    revoked: bool,
    expires_at: Option<DateTime<Utc>>,
    secret_expires_at: Option<DateTime<Utc>>,
    ip_allowlist: Vec<String>,
    rate_limit_override: Option<i64>,
    burst_per_second: Option<i64>,
    partner_active: bool,
    partner_canary: bool,
}

impl TryFrom<Row> for KeyRecord {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            key_id: KeyId::from_uuid(row.key_id),
            owner_id: owner(&row.owner_user_id)?,
            name: row.name,
            scopes: scopes(&row.scopes)?,
            tier: tier(&row.rate_limit_tier)?,
            canary: row.canary,
            is_active: row.is_active,
            blocked: row.blocked,
            revoked: row.revoked,
            expires_at: row.expires_at,
            secret_expires_at: row.secret_expires_at,
            ip_allowlist: allowlist(&row.ip_allowlist)?,
            rate_limit_override: row.rate_limit_override.map(limit).transpose()?,
            burst_per_second: row.burst_per_second.map(i64::unsigned_abs),
            partner_active: row.partner_active,
            partner_canary: row.partner_canary,
        })
    }
}

/// The keys these digests open, in one statement for all of them; unknown ones are absent. Disabled, revoked and
/// expired keys and secrets past their grace are answered too: what they mean is for the access decision to say.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails.
pub async fn find_by_digests(
    conn: &mut AsyncPgConnection,
    digests: &[TokenDigest],
) -> Result<Vec<FoundKey>, StoreError> {
    let digests = digests.iter().map(|digest| digest.as_bytes().to_vec()).collect();
    let rows: Vec<Row> = FindByDigests { digests }.load(conn).await.during("look up keys")?;
    rows.into_iter().map(|row| Ok(FoundKey { digest: parse_digest(&row.digest)?, record: row.try_into() })).collect()
}
