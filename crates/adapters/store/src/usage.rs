//! Calls per key and clock hour, added up by the gateways.
//!
//! A gateway gathers for a moment and then adds many counts in one statement ([`add`]). The counts inform people and
//! bills; the limits themselves are Redis'.

use chrono::{DateTime, Utc};
use diesel::Queryable;
use diesel::sql_types::{Array, BigInt, Nullable, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use onering_ids::KeyId;
use uuid::Uuid;

use crate::statement::statement;
use crate::{Context, StoreError};

/// What one gateway counted for one key in one hour since it last reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsageDelta {
    /// The key.
    pub key_id: KeyId,
    /// Start of the UTC hour.
    pub hour: DateTime<Utc>,
    /// Units of quota taken.
    pub admitted: u64,
    /// Calls refused for the limit.
    pub refused: u64,
    /// The last admitted call among them.
    pub last_used_at: Option<DateTime<Utc>>,
}

/// A key's total over a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyUsage {
    /// The key.
    pub key_id: KeyId,
    /// Units of quota taken.
    pub admitted: u64,
    /// Calls refused for the limit.
    pub refused: u64,
}

// Rows are locked in the order of their keys, here and in every gateway, so that two reports never wait for each other.
statement! {
    struct Add {
        key_ids: Vec<Uuid> => Array<SqlUuid>,
        hours: Vec<DateTime<Utc>> => Array<Timestamptz>,
        admitted: Vec<i64> => Array<BigInt>,
        refused: Vec<i64> => Array<BigInt>,
        last_used: Vec<Option<DateTime<Utc>>> => Array<Nullable<Timestamptz>>,
    } -> () = "
        WITH input AS MATERIALIZED (
            SELECT key_id, date_trunc('hour', hour, 'UTC') AS hour, sum(admitted)::bigint AS admitted,
                   sum(refused)::bigint AS refused, max(last_used_at) AS last_used_at
            FROM unnest($1, $2, $3, $4, $5) AS t (key_id, hour, admitted, refused, last_used_at)
            GROUP BY 1, 2
        ), counted AS (
            INSERT INTO external_api_usage AS u (key_id, hour, admitted, refused)
            SELECT i.key_id, i.hour, i.admitted, i.refused FROM input AS i ORDER BY i.key_id, i.hour
            ON CONFLICT (key_id, hour) DO UPDATE
            SET admitted = u.admitted + excluded.admitted, refused = u.refused + excluded.refused
        ), used AS MATERIALIZED (
            SELECT k.key_id, i.last_used_at
            FROM external_api_keys AS k
            JOIN (SELECT key_id, max(last_used_at) AS last_used_at FROM input GROUP BY key_id) AS i USING (key_id)
            WHERE i.last_used_at > coalesce(k.last_used_at, '-infinity')
            ORDER BY k.key_id FOR NO KEY UPDATE OF k
        )
        UPDATE external_api_keys AS k SET last_used_at = used.last_used_at FROM used WHERE k.key_id = used.key_id";
}

statement! {
    struct OfKeys { key_ids: Vec<Uuid> => Array<SqlUuid>, since: DateTime<Utc> => Timestamptz }
    -> (SqlUuid, BigInt, BigInt) = "
        SELECT u.key_id, sum(u.admitted)::bigint, sum(u.refused)::bigint
        FROM external_api_usage AS u WHERE u.key_id = ANY($1) AND u.hour >= date_trunc('hour', $2, 'UTC')
        GROUP BY u.key_id ORDER BY u.key_id";
}

#[derive(Queryable)]
struct UsageRow {
    key_id: Uuid,
    admitted: i64,
    refused: i64,
}

/// Adds what a gateway counted and moves `last_used_at` of the keys forward, in one statement. Counts of keys deleted
/// in the meantime are kept.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails; nothing was added then.
pub async fn add(conn: &mut AsyncPgConnection, deltas: &[UsageDelta]) -> Result<(), StoreError> {
    if deltas.is_empty() {
        return Ok(());
    }
    Add {
        key_ids: deltas.iter().map(|delta| delta.key_id.uuid()).collect(),
        hours: deltas.iter().map(|delta| delta.hour).collect(),
        admitted: deltas.iter().map(|delta| saturating(delta.admitted)).collect(),
        refused: deltas.iter().map(|delta| saturating(delta.refused)).collect(),
        last_used: deltas.iter().map(|delta| delta.last_used_at).collect(),
    }
    .execute(conn)
    .await
    .during("add up usage")?;
    Ok(())
}

/// Totals of these keys from the hour of `since` on, ordered by key; a key without calls is absent.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails.
pub async fn of_keys(
    conn: &mut AsyncPgConnection,
    keys: &[KeyId],
    since: DateTime<Utc>,
) -> Result<Vec<KeyUsage>, StoreError> {
    let key_ids = keys.iter().map(|key| key.uuid()).collect();
    let rows: Vec<UsageRow> = OfKeys { key_ids, since }.load(conn).await.during("read usage")?;
    Ok(rows
        .into_iter()
        .map(|row| KeyUsage {
            key_id: KeyId::from_uuid(row.key_id),
            admitted: row.admitted.unsigned_abs(),
            refused: row.refused.unsigned_abs(),
        })
        .collect())
}

/// A count no machine reaches; more than that is counted as that.
pub(crate) fn saturating(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
