//! The loss ledger: what ingest promised against what is there.

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Integer, Nullable, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use onering_delivery::{Ledger, PartnerLedger, Status};
use onering_ids::{EventId, OwnerId};
use uuid::Uuid;

use crate::columns::word;
use crate::statement::statement;
use crate::{Context, StoreError};

mod received;

pub use received::{Comparison, ReceivedList, Undelivered};

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
    /// One statement, so that both sides are of one instant. The first row, without a status, is the promised side: in all,
    /// and how many events do not have what they promise (or are not there, and have deliveries all the same).
    struct Read {
        first: Uuid => SqlUuid,
        after: Uuid => SqlUuid,
    } -> (Nullable<Text>, BigInt, BigInt, BigInt, BigInt) =
        "SELECT NULL, coalesce(sum(e.matched), 0), count(*) FILTER (WHERE coalesce(e.matched, 0) <> coalesce(f.found, 0)),
             0::bigint, 0::bigint
         FROM (SELECT event_id, matched FROM webhook_events WHERE event_id >= $1 AND event_id < $2) AS e
         FULL JOIN (
             SELECT event_id, count(*) AS found FROM webhook_deliveries
             WHERE delivery_id >= $1 AND delivery_id < $2 AND original_delivery_id IS NULL GROUP BY event_id
         ) AS f ON f.event_id = e.event_id
         UNION ALL
         SELECT d.status, count(*), count(*) FILTER (WHERE d.original_delivery_id IS NOT NULL),
             count(*) FILTER (WHERE d.held_reason IS NOT NULL), 0::bigint
         FROM webhook_deliveries AS d WHERE d.delivery_id >= $1 AND d.delivery_id < $2 GROUP BY d.status";
}

statement! {
    /// The first row, without a status, is the promised side: in all, how many of the partner's own events do not add up, its
    /// deliveries of events for all partners, and how many of those events do not add up.
    struct ReadOfOwner<'a> {
        first: Uuid => SqlUuid,
        after: Uuid => SqlUuid,
        owner_id: &'a str => Text,
    } -> (Nullable<Text>, BigInt, BigInt, BigInt, BigInt) =
        "WITH broadcast AS (
             SELECT e.event_id, e.matched, count(d.delivery_id) AS found, count(*) FILTER (WHERE d.owner_id = $3) AS own
             FROM webhook_events AS e
             LEFT JOIN webhook_deliveries AS d ON d.event_id = e.event_id AND d.original_delivery_id IS NULL
                 AND d.delivery_id >= $1 AND d.delivery_id < $2
             WHERE e.event_id >= $1 AND e.event_id < $2 AND e.owner_id = '*' GROUP BY e.event_id, e.matched
         ), shared AS (
             SELECT coalesce(sum(b.own), 0)::bigint AS own, count(*) FILTER (WHERE b.matched <> b.found) AS unbalanced
             FROM broadcast AS b
         ), own AS (
             SELECT e.matched, count(d.delivery_id) AS found
             FROM webhook_events AS e
             LEFT JOIN webhook_deliveries AS d ON d.event_id = e.event_id AND d.original_delivery_id IS NULL
                 AND d.delivery_id >= $1 AND d.delivery_id < $2
             WHERE e.event_id >= $1 AND e.event_id < $2 AND e.owner_id = $3 GROUP BY e.event_id, e.matched
         ), promised AS (
             SELECT coalesce(sum(o.matched), 0) AS matched, count(*) FILTER (WHERE o.matched <> o.found) AS unbalanced
             FROM own AS o
         )
         SELECT NULL, p.matched + s.own, p.unbalanced, s.own, s.unbalanced FROM promised AS p, shared AS s
         UNION ALL
         SELECT d.status, count(*), count(*) FILTER (WHERE d.original_delivery_id IS NOT NULL),
             count(*) FILTER (WHERE d.held_reason IS NOT NULL), 0::bigint
         FROM webhook_deliveries AS d WHERE d.owner_id = $3 AND d.delivery_id >= $1 AND d.delivery_id < $2 GROUP BY d.status";
}

statement! {
    struct Unbalanced<'a> {
        first: Uuid => SqlUuid,
        after: Uuid => SqlUuid,
        owner_id: Option<&'a str> => Nullable<Text>,
        limit: i64 => BigInt,
    } -> (SqlUuid, Integer, BigInt) =
        "SELECT coalesce(e.event_id, d.event_id), coalesce(e.matched, 0), coalesce(d.found, 0)
         FROM (SELECT event_id, owner_id, matched FROM webhook_events WHERE event_id >= $1 AND event_id < $2) AS e
         FULL JOIN (
             SELECT event_id, count(*) AS found, bool_or(owner_id = $3) AS own FROM webhook_deliveries
             WHERE delivery_id >= $1 AND delivery_id < $2 AND original_delivery_id IS NULL GROUP BY event_id
         ) AS d ON d.event_id = e.event_id
         WHERE coalesce(e.matched, 0) <> coalesce(d.found, 0)
             AND ($3 IS NULL OR e.owner_id IN ($3, '*') OR (e.event_id IS NULL AND d.own))
         ORDER BY 1 LIMIT $4";
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
    let rows: Vec<Row> = Read { first, after }.load(connection).await.during("read the ledger")?;
    Ok(gathered(rows)?.0)
}

/// [`read`] for one partner. What it was promised is what its own events were accepted with, and its deliveries of events
/// for all partners ([`PartnerLedger`] says what that is worth).
///
/// # Errors
/// As [`read`]. A partner that is not there has an empty ledger.
pub async fn read_of_owner(
    connection: &mut AsyncPgConnection,
    owner: &OwnerId,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> Result<PartnerLedger, StoreError> {
    let query = ReadOfOwner { first: floor(from), after: floor(until), owner_id: owner.as_str() };
    let rows: Vec<Row> = query.load(connection).await.during("read a partner's ledger")?;
    let (ledger, broadcast, broadcast_unbalanced) = gathered(rows)?;
    Ok(PartnerLedger { ledger, broadcast, broadcast_unbalanced })
}

type Row = (Option<String>, i64, i64, i64, i64);

/// The ledger, and the further numbers of its promised side.
fn gathered(rows: Vec<Row>) -> Result<(Ledger, u64, u64), StoreError> {
    let (mut ledger, mut broadcast, mut broadcast_unbalanced) = (Ledger::default(), 0, 0);
    for (status, rows, second, third, fourth) in rows {
        let [rows, second, third, fourth] = [rows, second, third, fourth].map(i64::unsigned_abs);
        match status {
            None => {
                (ledger.matched, ledger.unbalanced_events) = (rows, second);
                (broadcast, broadcast_unbalanced) = (third, fourth);
            }
            Some(status) => {
                ledger.add(word::<Status>("webhook_deliveries", "status", &status)?, rows);
                ledger.repeated = ledger.repeated.saturating_add(second);
                ledger.held = ledger.held.saturating_add(third);
            }
        }
    }
    Ok((ledger, broadcast, broadcast_unbalanced))
}

/// Names at most `limit` events of the range that do not have the deliveries they were accepted with, oldest first: where to
/// look when the ledger does not balance. Of a partner: its own and those for all partners, whosever deliveries they lack.
///
/// # Errors
/// [`StoreError::Query`].
pub async fn unbalanced(
    connection: &mut AsyncPgConnection,
    owner: Option<&OwnerId>,
    from: DateTime<Utc>,
    until: DateTime<Utc>,
    limit: u32,
) -> Result<Vec<UnbalancedEvent>, StoreError> {
    let owner_id = owner.map(OwnerId::as_str);
    let query = Unbalanced { first: floor(from), after: floor(until), owner_id, limit: i64::from(limit) };
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
