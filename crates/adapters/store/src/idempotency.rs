//! What a publisher's Idempotency-Key was used for before.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::data_types::PgInterval;
use diesel::sql_types::{Array, BigInt, Binary, Integer, Interval, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use onering_ids::{EventId, OwnerId};
use uuid::Uuid;

use crate::columns::interval;
use crate::statement::statement;
use crate::{Context, StoreError};

/// The event an idempotency key made, and what is needed to give the same answer again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remembered {
    /// The publishing partner.
    pub owner_id: OwnerId,
    /// The key.
    pub key: String,
    /// SHA-256 of the content it came with: another content under the same key is a mistake.
    pub digest: [u8; 32],
    /// The event it made.
    pub event_id: EventId,
    /// How many subscriptions the event matched; `None` when it is older than the events kept.
    pub matched: Option<u32>,
    /// When it was first seen.
    pub created_at: DateTime<Utc>,
}

type Row = (String, String, Vec<u8>, Uuid, Option<i32>, DateTime<Utc>);

statement! {
    struct Find<'a> {
        owners: Vec<&'a str> => Array<Text>,
        keys: Vec<&'a str> => Array<Text>,
    } -> (Text, Text, Binary, SqlUuid, Nullable<Integer>, Timestamptz) =
        "SELECT k.owner_id, k.idempotency_key, k.body_digest, k.event_id, e.matched, k.created_at
         FROM unnest($1, $2) AS asked (owner_id, idempotency_key)
         JOIN idempotency_keys AS k ON k.owner_id = asked.owner_id AND k.idempotency_key = asked.idempotency_key
         LEFT JOIN webhook_events AS e ON e.event_id = k.event_id";
}

statement! {
    struct Forget {
        age: PgInterval => Interval,
        limit: i64 => BigInt,
    } -> () =
        "DELETE FROM idempotency_keys AS k USING (
             SELECT o.owner_id, o.idempotency_key FROM idempotency_keys AS o
             WHERE o.created_at < now() - $1 ORDER BY o.created_at LIMIT $2 FOR UPDATE SKIP LOCKED
         ) AS old WHERE k.owner_id = old.owner_id AND k.idempotency_key = old.idempotency_key";
}

/// Looks up keys that ingest answered as taken. The order of the answers is not that of the questions; what is not there
/// (any more) is left out.
///
/// # Errors
/// [`StoreError::Query`], or [`StoreError::Row`] for a row that is not understood.
pub async fn find(
    connection: &mut AsyncPgConnection,
    asked: &[(&OwnerId, &str)],
) -> Result<Vec<Remembered>, StoreError> {
    let query = Find {
        owners: asked.iter().map(|(owner, _)| owner.as_str()).collect(),
        keys: asked.iter().map(|(_, key)| *key).collect(),
    };
    let rows: Vec<Row> = query.load(connection).await.during("look up idempotency keys")?;
    rows.into_iter()
        .map(|(owner, key, digest, event_id, matched, created_at)| {
            let problem =
                |column, problem: &dyn std::fmt::Display| StoreError::row("idempotency_keys", column, problem);
            Ok(Remembered {
                owner_id: owner.parse().map_err(|wrong| problem("owner_id", &wrong))?,
                key,
                digest: digest.try_into().map_err(|_| problem("body_digest", &"not 32 bytes"))?,
                event_id: EventId::from_uuid(event_id),
                matched: matched.map(i32::unsigned_abs),
                created_at,
            })
        })
        .collect()
}

/// Forgets at most `limit` keys older than `age`, oldest first, and answers how many it forgot.
///
/// # Errors
/// [`StoreError::Query`].
pub async fn forget(connection: &mut AsyncPgConnection, age: Duration, limit: u32) -> Result<usize, StoreError> {
    let query = Forget { age: interval(age), limit: i64::from(limit) };
    query.execute(connection).await.during("forget idempotency keys")
}
