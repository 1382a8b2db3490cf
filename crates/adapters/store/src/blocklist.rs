//! The blocklist: keys and addresses refused at once, for a time or until removed.
//!
//! Blocked keys come to the gateway with the key itself (`api_keys::find_by_digests`); blocked addresses it reads whole
//! ([`active_cidrs`]) and keeps in memory.

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Bool, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel::{OptionalExtension, Queryable};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use ipnet::IpNet;
use onering_ids::{BlockId, KeyId};
use uuid::Uuid;

use crate::statement::statement;
use crate::{Context, StoreError};

const TABLE: &str = "external_api_blocklist";

/// What an entry blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BlockTarget {
    /// A key, answered with `KEY_DISABLED`.
    Key(KeyId),
    /// Addresses, answered with `ADDRESS_BLOCKED`.
    Addresses(IpNet),
}

impl BlockTarget {
    /// The word for its kind in rows and answers.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Key(_) => "key",
            Self::Addresses(_) => "cidr",
        }
    }
}

/// An entry to add.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBlock {
    /// A fresh id.
    pub block_id: BlockId,
    /// What to block.
    pub target: BlockTarget,
    /// For people.
    pub reason: String,
    /// When it stops counting; `None`: when it is removed.
    pub expires_at: Option<DateTime<Utc>>,
    /// The operator who adds it.
    pub created_by: String,
}

/// An entry as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// What was added.
    pub block: NewBlock,
    /// When.
    pub created_at: DateTime<Utc>,
}

/// Blocked addresses, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockedAddresses {
    /// The addresses.
    pub addresses: IpNet,
    /// When they are free again; `None`: when somebody removes the entry.
    pub until: Option<DateTime<Utc>>,
}

macro_rules! columns {
    () => {
        "block_id, key_id, cidr, reason, expires_at, created_by, created_at"
    };
}
type Columns = (SqlUuid, Nullable<SqlUuid>, Nullable<Text>, Text, Nullable<Timestamptz>, Text, Timestamptz);

#[derive(Queryable)]
struct Row {
    block_id: Uuid,
    key_id: Option<Uuid>,
    cidr: Option<String>,
    reason: String,
    expires_at: Option<DateTime<Utc>>,
    created_by: String,
    created_at: DateTime<Utc>,
}

impl TryFrom<Row> for Block {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let target = match (row.key_id, row.cidr) {
            (Some(key), None) => BlockTarget::Key(KeyId::from_uuid(key)),
            (None, Some(cidr)) => BlockTarget::Addresses(addresses(&cidr)?),
            _ => return Err(StoreError::row(TABLE, "kind", "neither a key nor addresses")),
        };
        let block = NewBlock {
            block_id: BlockId::from_uuid(row.block_id),
            target,
            reason: row.reason,
            expires_at: row.expires_at,
            created_by: row.created_by,
        };
        Ok(Self { block, created_at: row.created_at })
    }
}

statement! {
    struct Add {
        block_id: Uuid => SqlUuid,
        kind: &'static str => Text,
        key_id: Option<Uuid> => Nullable<SqlUuid>,
        cidr: Option<String> => Nullable<Text>,
        reason: String => Text,
        expires_at: Option<DateTime<Utc>> => Nullable<Timestamptz>,
        created_by: String => Text,
    } -> Columns = concat!(
        "INSERT INTO external_api_blocklist (block_id, kind, key_id, cidr, reason, expires_at, created_by) ",
        "VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING ", columns!()
    );
}

statement! {
    struct List { with_expired: bool => Bool, before: Option<Uuid> => Nullable<SqlUuid>, limit: i64 => BigInt }
    -> Columns = concat!(
        "SELECT ", columns!(), " FROM external_api_blocklist ",
        "WHERE ($1 OR expires_at IS NULL OR expires_at > now()) ",
        "AND block_id < coalesce($2, 'ffffffff-ffff-ffff-ffff-ffffffffffff') ORDER BY block_id DESC LIMIT $3"
    );
}

statement! {
    struct Remove { block_id: Uuid => SqlUuid } -> Columns =
        concat!("DELETE FROM external_api_blocklist WHERE block_id = $1 RETURNING ", columns!());
}

statement! {
    struct ActiveCidrs {} -> (Text, Nullable<Timestamptz>) = "
        SELECT cidr, expires_at FROM external_api_blocklist
        WHERE cidr IS NOT NULL AND (expires_at IS NULL OR expires_at > now()) ORDER BY block_id";
}

/// Adds an entry. The caller announces the change: the blocklist, or the key's digests.
///
/// # Errors
/// [`StoreError::Conflict`] when there is no such key, [`StoreError::Query`] when Postgres fails.
pub async fn add(conn: &mut AsyncPgConnection, new: NewBlock) -> Result<Block, StoreError> {
    let (key_id, cidr) = match new.target {
        BlockTarget::Key(key) => (Some(key.uuid()), None),
        BlockTarget::Addresses(addresses) => (None, Some(addresses.to_string())),
    };
    let row: Row = Add {
        block_id: new.block_id.uuid(),
        kind: new.target.kind(),
        key_id,
        cidr,
        reason: new.reason,
        expires_at: new.expires_at,
        created_by: new.created_by,
    }
    .get_result(conn)
    .await
    .during("add to the blocklist")?;
    row.try_into()
}

/// Entries, newest first, from the one before `before`; those that have expired only on demand.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails.
pub async fn list(
    conn: &mut AsyncPgConnection,
    with_expired: bool,
    before: Option<BlockId>,
    limit: u32,
) -> Result<Vec<Block>, StoreError> {
    let rows: Vec<Row> = List { with_expired, before: before.map(BlockId::uuid), limit: limit.into() }
        .load(conn)
        .await
        .during("list the blocklist")?;
    rows.into_iter().map(Block::try_from).collect()
}

/// Removes an entry and answers what it was; `None` when there is no such entry. The caller announces as for [`add`].
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails.
pub async fn remove(conn: &mut AsyncPgConnection, block_id: BlockId) -> Result<Option<Block>, StoreError> {
    let row: Option<Row> =
        Remove { block_id: block_id.uuid() }.get_result(conn).await.optional().during("remove from the blocklist")?;
    row.map(Block::try_from).transpose()
}

/// All addresses blocked now. Entries carry their end, so that a gateway need not ask again to let them go.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails, [`StoreError::Row`] when an entry is no block of addresses.
pub async fn active_cidrs(conn: &mut AsyncPgConnection) -> Result<Vec<BlockedAddresses>, StoreError> {
    let rows: Vec<(String, Option<DateTime<Utc>>)> =
        ActiveCidrs {}.load(conn).await.during("read blocked addresses")?;
    rows.into_iter().map(|(cidr, until)| Ok(BlockedAddresses { addresses: addresses(&cidr)?, until })).collect()
}

fn addresses(cidr: &str) -> Result<IpNet, StoreError> {
    cidr.parse().map_err(|error| StoreError::row(TABLE, "cidr", error))
}

#[cfg(test)]
mod tests;
