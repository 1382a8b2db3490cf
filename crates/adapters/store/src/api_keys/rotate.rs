//! Giving a key a new secret, with a grace for the old one.
//!
//! Everything a rotation is not told to change stays: scopes, limits, allowlist, expiry. One transaction: either the
//! new secret works and the old one has its end, or nothing happened.

use chrono::{DateTime, Utc};
use diesel::Queryable;
use diesel::sql_types::{Array, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use ipnet::IpNet;
use onering_ids::{KeyId, SecretId};
use onering_keys::TokenDigest;
use onering_keys::rotation::{self, Fate, Grace, LiveSecret};
use uuid::Uuid;

use super::change::lock;
use super::create::{NewSecret, insert_secret, texts};
use super::key::{ApiKey, KeyColumns, KeyRow, key_columns, with_its_secrets};
use super::read::digests_of;
use crate::audit_log::Changed;
use crate::statement::statement;
use crate::{Context, StoreError};

/// Which key the new secret opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RotationTarget {
    /// The same: one identity, one quota, two secrets during the grace.
    SameKey,
    /// A new key that is the same in everything but its id (so it has a quota of its own); the old key expires after
    /// the grace.
    NewKey(KeyId),
}

/// A rotation to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// Which key the new secret opens.
    pub target: RotationTarget,
    /// The new secret.
    pub secret: NewSecret,
    /// How long the old one goes on working.
    pub grace: Grace,
    /// A new expiry of the key; `None` keeps the one it has.
    pub expires_at: Option<DateTime<Utc>>,
    /// A new allowlist; `None` keeps the one it has.
    pub ip_allowlist: Option<Vec<IpNet>>,
    /// Who rotates: the maker of a new key.
    pub rotated_by: String,
}

/// A rotation that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotated {
    /// The old key before; after it, the key that the new secret opens.
    pub keys: Changed<ApiKey>,
    /// Until when the old secret works.
    pub old_works_until: DateTime<Utc>,
    /// Digests of the old key's secrets, to announce.
    pub stale: Vec<TokenDigest>,
}

/// What came of a rotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RotationOutcome {
    /// It was made.
    Rotated(Box<Rotated>),
    /// There is no such key.
    NotFound,
    /// The key was revoked, which is for good: a new secret would not work.
    Revoked,
}

statement! {
    struct Secrets { key_id: Uuid => SqlUuid } -> (SqlUuid, Nullable<Timestamptz>, Timestamptz) =
        "SELECT secret_id, expires_at, now() FROM external_api_key_secrets WHERE key_id = $1";
}

statement! {
    struct EndSecrets {
        ended: Vec<Uuid> => Array<SqlUuid>,
        until: Vec<DateTime<Utc>> => Array<Timestamptz>,
        outlived: Vec<Uuid> => Array<SqlUuid>,
    } -> () = "
        WITH ended AS (DELETE FROM external_api_key_secrets WHERE secret_id = ANY($1))
        UPDATE external_api_key_secrets AS s SET expires_at = t.until
        FROM unnest($2, $3) AS t (until, secret_id) WHERE s.secret_id = t.secret_id";
}

statement! {
    struct Renew {
        expires_at: Option<DateTime<Utc>> => Nullable<Timestamptz>,
        ip_allowlist: Option<Vec<String>> => Nullable<Array<Text>>,
        key_id: Uuid => SqlUuid,
    } -> KeyColumns = concat!(
        "UPDATE external_api_keys AS k SET rotated_at = now(), updated_at = now(), ",
        "expires_at = coalesce($1, k.expires_at), ip_allowlist = coalesce($2, k.ip_allowlist) ",
        "WHERE k.key_id = $3 RETURNING ", key_columns!()
    );
}

statement! {
    struct CopyKey {
        key_id: Uuid => SqlUuid,
        ip_allowlist: Option<Vec<String>> => Nullable<Array<Text>>,
        expires_at: Option<DateTime<Utc>> => Nullable<Timestamptz>,
        created_by: String => Text,
        old: Uuid => SqlUuid,
    } -> KeyColumns = concat!(
        "INSERT INTO external_api_keys AS k (key_id, owner_user_id, name, scopes, rate_limit_tier, ",
        "rate_limit_override, ",
        "burst_per_second, canary_enabled, is_active, ip_allowlist, expires_at, rotated_at, metadata, created_by) ",
        "SELECT $1, o.owner_user_id, o.name, o.scopes, o.rate_limit_tier, o.rate_limit_override, o.burst_per_second, ",
        "o.canary_enabled, o.is_active, coalesce($2, o.ip_allowlist), coalesce($3, o.expires_at), now(), ",
        "o.metadata, $4 ",
        "FROM external_api_keys AS o WHERE o.key_id = $5 RETURNING ", key_columns!()
    );
}

// A blocked key must not come free by being rotated.
statement! {
    struct CopyBlocks { key_id: Uuid => SqlUuid, old: Uuid => SqlUuid } -> () = "
        INSERT INTO external_api_blocklist (block_id, kind, key_id, reason, expires_at, created_by)
        SELECT onering.uuid_v7(), 'key', $1, b.reason, b.expires_at, b.created_by
        FROM external_api_blocklist AS b WHERE b.key_id = $2 AND (b.expires_at IS NULL OR b.expires_at > now())";
}

statement! {
    struct ExpireKey { grace_seconds: i32 => Integer, key_id: Uuid => SqlUuid } -> Timestamptz = "
        UPDATE external_api_keys
        SET expires_at = least(coalesce(expires_at, 'infinity'), now() + make_interval(secs => $1)), updated_at = now()
        WHERE key_id = $2 RETURNING expires_at";
}

#[derive(Queryable)]
struct SecretRow {
    secret_id: Uuid,
    expires_at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
}

/// Rotates a key.
///
/// # Errors
/// [`StoreError::Conflict`] when the digest or an id is taken, [`StoreError::Query`] when Postgres fails. Nothing has
/// changed then.
pub async fn rotate(
    conn: &mut AsyncPgConnection,
    key_id: KeyId,
    rotation: &Rotation,
) -> Result<RotationOutcome, StoreError> {
    conn.transaction(async |conn| {
        let Some(before) = lock(conn, key_id).await? else { return Ok(RotationOutcome::NotFound) };
        if before.revoked_at.is_some() {
            return Ok(RotationOutcome::Revoked);
        }
        let stale = digests_of(conn, &[key_id]).await?;
        let (row, old_works_until) = match rotation.target {
            RotationTarget::SameKey => renew(conn, key_id, rotation).await?,
            RotationTarget::NewKey(new_id) => replace(conn, key_id, new_id, rotation).await?,
        };
        let after = with_its_secrets(conn, row).await?;
        Ok(RotationOutcome::Rotated(Box::new(Rotated { keys: Changed { before, after }, old_works_until, stale })))
    })
    .await
}

async fn renew(
    conn: &mut AsyncPgConnection,
    key_id: KeyId,
    rotation: &Rotation,
) -> Result<(KeyRow, DateTime<Utc>), StoreError> {
    let secrets: Vec<SecretRow> = Secrets { key_id: key_id.uuid() }.load(conn).await.during("read a key's secrets")?;
    let live: Vec<LiveSecret> = secrets
        .iter()
        .map(|row| LiveSecret { secret_id: SecretId::from_uuid(row.secret_id), expires_at: row.expires_at })
        .collect();
    let now =
        secrets.as_slice().first().map(|row| row.now).ok_or(StoreError::NotFound { what: "secret of the key" })?;
    let (mut ended, mut until, mut outlived) = (Vec::new(), Vec::new(), Vec::new());
    for (secret_id, fate) in rotation::rotate(&live, rotation.grace, now) {
        match fate {
            Fate::Ends => ended.push(secret_id.uuid()),
            Fate::WorksUntil(at) => {
                until.push(at);
                outlived.push(secret_id.uuid());
            }
        }
    }
    let old_works_until = until.iter().copied().max().unwrap_or(now);
    EndSecrets { ended, until, outlived }.execute(conn).await.during("end a key's old secrets")?;
    insert_secret(conn, key_id, &rotation.secret).await?;
    let row = Renew {
        expires_at: rotation.expires_at,
        ip_allowlist: rotation.ip_allowlist.as_deref().map(texts),
        key_id: key_id.uuid(),
    }
    .get_result(conn)
    .await
    .during("rotate a key")?;
    Ok((row, old_works_until))
}

async fn replace(
    conn: &mut AsyncPgConnection,
    old: KeyId,
    new: KeyId,
    rotation: &Rotation,
) -> Result<(KeyRow, DateTime<Utc>), StoreError> {
    CopyKey {
        key_id: new.uuid(),
        ip_allowlist: rotation.ip_allowlist.as_deref().map(texts),
        expires_at: rotation.expires_at,
        created_by: rotation.rotated_by.clone(),
        old: old.uuid(),
    }
    .get_result::<KeyRow>(conn)
    .await
    .during("replace a key")?;
    insert_secret(conn, new, &rotation.secret).await?;
    CopyBlocks { key_id: new.uuid(), old: old.uuid() }.execute(conn).await.during("keep a key blocked")?;
    let grace_seconds = i32::try_from(rotation.grace.seconds()).unwrap_or(i32::MAX);
    let until = ExpireKey { grace_seconds, key_id: old.uuid() }.get_result(conn).await.during("end a replaced key")?;
    // Read again: what the INSERT returned was from before its blocklist entries.
    let row = super::read::row(conn, new).await?.ok_or(StoreError::NotFound { what: "key" })?;
    Ok((row, until))
}
