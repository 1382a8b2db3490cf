//! Operators' keys for the admin and monitoring services.

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Binary, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel::{OptionalExtension, Queryable};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use onering_ids::AdminKeyId;
use onering_keys::{Role, TokenDigest};
use uuid::Uuid;

use crate::columns::word;
use crate::statement::statement;
use crate::{Context, StoreError};

/// An operator's key to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAdminKey {
    /// A fresh id.
    pub admin_key_id: AdminKeyId,
    /// Whose it is: 1–200 characters; the actor in the audit log.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// Digest of the token.
    pub digest: TokenDigest,
    /// From when on it is refused.
    pub expires_at: Option<DateTime<Utc>>,
    /// Who makes it.
    pub created_by: String,
}

/// An operator's key as stored. Without its digest, as nobody needs to see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminKey {
    /// Which.
    pub admin_key_id: AdminKeyId,
    /// Whose it is.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// From when on it is refused.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was revoked, which is for good.
    pub revoked_at: Option<DateTime<Utc>>,
    /// Last use, to within a minute.
    pub last_used_at: Option<DateTime<Utc>>,
    /// Who made it.
    pub created_by: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

impl AdminKey {
    /// Whether it opens anything at this instant.
    #[must_use]
    pub fn is_live(&self, now: DateTime<Utc>) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

macro_rules! columns {
    () => {
        "admin_key_id, name, role, expires_at, revoked_at, last_used_at, created_by, created_at"
    };
}
type Columns =
    (SqlUuid, Text, Text, Nullable<Timestamptz>, Nullable<Timestamptz>, Nullable<Timestamptz>, Text, Timestamptz);

#[derive(Queryable)]
struct Row {
    admin_key_id: Uuid,
    name: String,
    role: String,
    expires_at: Option<DateTime<Utc>>,
    revoked_at: Option<DateTime<Utc>>,
    last_used_at: Option<DateTime<Utc>>,
    created_by: String,
    created_at: DateTime<Utc>,
}

impl TryFrom<Row> for AdminKey {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            admin_key_id: AdminKeyId::from_uuid(row.admin_key_id),
            name: row.name,
            role: word("admin_keys", "role", &row.role)?,
            expires_at: row.expires_at,
            revoked_at: row.revoked_at,
            last_used_at: row.last_used_at,
            created_by: row.created_by,
            created_at: row.created_at,
        })
    }
}

statement! {
    struct Create {
        admin_key_id: Uuid => SqlUuid,
        name: String => Text,
        role: &'static str => Text,
        digest: Vec<u8> => Binary,
        expires_at: Option<DateTime<Utc>> => Nullable<Timestamptz>,
        created_by: String => Text,
    } -> Columns = concat!(
        "INSERT INTO admin_keys (admin_key_id, name, role, digest, expires_at, created_by) ",
        "VALUES ($1, $2, $3, $4, $5, $6) RETURNING ", columns!()
    );
}

statement! {
    struct FindByDigest { digest: Vec<u8> => Binary } -> Columns =
        concat!("SELECT ", columns!(), " FROM admin_keys WHERE digest = $1");
}

statement! {
    struct Get { admin_key_id: Uuid => SqlUuid } -> Columns =
        concat!("SELECT ", columns!(), " FROM admin_keys WHERE admin_key_id = $1");
}

statement! {
    struct List { before: Option<Uuid> => Nullable<SqlUuid>, limit: i64 => BigInt } -> Columns = concat!(
        "SELECT ", columns!(), " FROM admin_keys ",
        "WHERE admin_key_id < coalesce($1, 'ffffffff-ffff-ffff-ffff-ffffffffffff') ORDER BY admin_key_id DESC LIMIT $2"
    );
}

statement! {
    struct Revoke { admin_key_id: Uuid => SqlUuid } -> Columns = concat!(
        "UPDATE admin_keys SET revoked_at = coalesce(revoked_at, now()) WHERE admin_key_id = $1 RETURNING ", columns!()
    );
}

// Once a minute is enough to see that a key is in use, and spares a write per call.
statement! {
    struct Touch { admin_key_id: Uuid => SqlUuid } -> () = "
        UPDATE admin_keys SET last_used_at = now()
        WHERE admin_key_id = $1 AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')";
}

/// Makes an operator's key.
///
/// # Errors
/// [`StoreError::Conflict`] when the digest is taken or the name breaks the table's rule, [`StoreError::Query`] when
/// Postgres fails.
pub async fn create(conn: &mut AsyncPgConnection, new: NewAdminKey) -> Result<AdminKey, StoreError> {
    let row: Row = Create {
        admin_key_id: new.admin_key_id.uuid(),
        name: new.name,
        role: new.role.as_str(),
        digest: new.digest.as_bytes().to_vec(),
        expires_at: new.expires_at,
        created_by: new.created_by,
    }
    .get_result(conn)
    .await
    .during("create an admin key")?;
    row.try_into()
}

/// The key that a token opens, be it live or not ([`AdminKey::is_live`]).
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails.
pub async fn find_by_digest(
    conn: &mut AsyncPgConnection,
    digest: &TokenDigest,
) -> Result<Option<AdminKey>, StoreError> {
    let row: Option<Row> = FindByDigest { digest: digest.as_bytes().to_vec() }
        .get_result(conn)
        .await
        .optional()
        .during("look up an admin key")?;
    row.map(AdminKey::try_from).transpose()
}

/// One key, be it live or not.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails.
pub async fn get(conn: &mut AsyncPgConnection, admin_key_id: AdminKeyId) -> Result<Option<AdminKey>, StoreError> {
    let row: Option<Row> =
        Get { admin_key_id: admin_key_id.uuid() }.get_result(conn).await.optional().during("read an admin key")?;
    row.map(AdminKey::try_from).transpose()
}

/// Keys, newest first, from the one before `before`; revoked ones too.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails.
pub async fn list(
    conn: &mut AsyncPgConnection,
    before: Option<AdminKeyId>,
    limit: u32,
) -> Result<Vec<AdminKey>, StoreError> {
    let rows: Vec<Row> = List { before: before.map(AdminKeyId::uuid), limit: limit.into() }
        .load(conn)
        .await
        .during("list admin keys")?;
    rows.into_iter().map(AdminKey::try_from).collect()
}

/// Refuses the key for good; `None` when there is no such key. Again changes nothing.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails.
pub async fn revoke(conn: &mut AsyncPgConnection, admin_key_id: AdminKeyId) -> Result<Option<AdminKey>, StoreError> {
    let row: Option<Row> =
        Revoke { admin_key_id: admin_key_id.uuid() }.get_result(conn).await.optional().during("revoke an admin key")?;
    row.map(AdminKey::try_from).transpose()
}

/// Notes that the key was used; writes at most once a minute.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails.
pub async fn touch(conn: &mut AsyncPgConnection, admin_key_id: AdminKeyId) -> Result<(), StoreError> {
    Touch { admin_key_id: admin_key_id.uuid() }.execute(conn).await.during("note the use of an admin key")?;
    Ok(())
}

#[cfg(test)]
mod tests;
