//! The loss ledger: what ingest promised against what is there.

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Integer, Nullable, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use onering_delivery::{Ledger, Status};
use onering_ids::EventId;
use uuid::Uuid;

use crate::columns::word;
use crate::statement::statement;
use crate::{Context, StoreError};

/// An event whose deliveries are not as many as it matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnbalancedEvent {
    /// The event.
    pub event_id: EventId,
    /// How many deliveries it was accepted with.
    pub matched: u32,
    /// How many are there, repeats not counted.
    pub found: u64,
}

statement! {
    /// One statement, so that both sides are of one instant. The first row, without a status, is the promised side.
    struct Read {
        first: Uuid => SqlUuid,
        after: Uuid => SqlUuid,
    } -> (Nullable<Text>, BigInt, BigInt, BigInt) =
        "SELECT NULL, coalesce(sum(e.matched), 0), 0::bigint, 0::bigint FROM webhook_events AS e
         WHERE e.event_id >= $1 AND e.event_id < $2
         UNION ALL
         SELECT d.status, count(*), count(*) FILTER (WHERE d.original_delivery_id IS NOT NULL),
             count(*) FILTER (WHERE d.held_reason IS NOT NULL)
         FROM webhook_deliveries AS d WHERE d.delivery_id >= $1 AND d.delivery_id < $2 GROUP BY d.status";
}

statement! {
    struct Unbalanced {
        first: Uuid => SqlUuid,
        after: Uuid => SqlUuid,
        limit: i64 => BigInt,
    } -> (SqlUuid, Integer, BigInt) =
        "SELECT e.event_id, e.matched, coalesce(d.found, 0)
         FROM (SELECT event_id, matched FROM webhook_events WHERE event_id >= $1 AND event_id < $2) AS e
         LEFT JOIN (
             SELECT event_id, count(*) AS found FROM webhook_deliveries
             WHERE delivery_id >= $1 AND delivery_id < $2 AND original_delivery_id IS NULL GROUP BY event_id
         ) AS d ON d.event_id = e.event_id
         WHERE e.matched <> coalesce(d.found, 0) ORDER BY e.event_id LIMIT $3";
}

/// Counts both sides for everything accepted from `from` (inclusive) until `until` (exclusive), to the millisecond, at one
/// instant. A delivery shares its event's millisecond, so a range never cuts between them.
///
/// Reads every row of the range: give the connection no statement timeout for long ones.
///
/// # Errors
/// [`StoreError::Query`], or [`StoreError::Row`] for a row that is not understood.
pub async fn read(
    connection: &mut AsyncPgConnection,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<Ledger, StoreError> {
    let (first, after) = (floor(from), floor(until));
    let rows: Vec<(Option<String>, i64, i64, i64)> =
        Read { first, after }.load(connection).await.during("read the ledger")?;
    let mut ledger = Ledger::default();
    for (status, rows, repeated, held) in rows {
        let rows = rows.unsigned_abs();
        match status {
            None => ledger.matched = rows,
            Some(status) => {
                ledger.add(word::<Status>("webhook_deliveries", "status", &status)?, rows);
                ledger.repeated = ledger.repeated.saturating_add(repeated.unsigned_abs());
                ledger.held = ledger.held.saturating_add(held.unsigned_abs());
            }
        }
    }
    Ok(ledger)
}

/// Names at most `limit` events of the range that do not have the deliveries they were accepted with, oldest first: where to
/// look when the ledger does not balance.
///
/// # Errors
/// [`StoreError::Query`].
pub async fn unbalanced(
    connection: &mut AsyncPgConnection,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    limit: u32,
) -> Result<Vec<UnbalancedEvent>, StoreError> {
    let query = Unbalanced { first: floor(from), after: floor(until), limit: i64::from(limit) };
    let rows: Vec<(Uuid, i32, i64)> = query.load(connection).await.during("look for unbalanced events")?;
    Ok(rows
        .into_iter()
        .map(|(event_id, matched, found)| UnbalancedEvent {
            event_id: EventId::from_uuid(event_id),
            matched: matched.unsigned_abs(),
            found: found.unsigned_abs(),
        })
        .collect())
}

fn floor(instant: DateTime<Utc>) -> Uuid {
    EventId::floor(u64::try_from(instant.timestamp_millis()).unwrap_or(0)).uuid()
}

#[cfg(test)]
mod tests;
