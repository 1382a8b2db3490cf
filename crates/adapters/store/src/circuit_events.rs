//! What became of subscriptions' circuit breakers, for people and metrics.
//!
//! The breakers themselves are in Redis, and whether a delivery is sent is decided there. Monitoring reads these rows
//! (`monitoring_reads`), and so does the test call of a subscription, to refuse at once where it would wait.

use chrono::{DateTime, Utc};
use diesel::sql_types::{Array, BigInt, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use onering_delivery::{BreakerChange, DatabaseTime};
use onering_ids::SubscriptionId;
use uuid::Uuid;

use crate::columns::integer;
use crate::statement::statement;
use crate::{Context, StoreError};

/// One change of one breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CircuitEvent {
    /// The subscription.
    pub webhook_id: SubscriptionId,
    /// When. Of one subscription no two are of the same instant.
    pub at: DatabaseTime,
    /// What happened.
    pub change: BreakerChange,
    /// Failures in a row until then.
    pub failures: u32,
    /// Until when nothing is sent; `None` unless it opened.
    pub open_until: Option<DatabaseTime>,
}

statement! {
    /// One that is there already came from a try whose answer was lost.
    struct Record<'a> {
        worker: &'a str => Text,
        webhook_ids: Vec<Uuid> => Array<SqlUuid>,
        ats: Vec<DateTime<Utc>> => Array<Timestamptz>,
        kinds: Vec<&'static str> => Array<Text>,
        failures: Vec<i32> => Array<Integer>,
        ends: Vec<Option<DateTime<Utc>>> => Array<Nullable<Timestamptz>>,
    } -> () = "
        WITH worker AS (SELECT $1 AS name)
        INSERT INTO circuit_events (webhook_id, at, kind, owner_id, failures, open_until, worker)
        SELECT t.webhook_id, t.at, t.kind, w.owner_id, t.failures, t.open_until, worker.name
        FROM worker, unnest($2, $3, $4, $5, $6) AS t (webhook_id, at, kind, failures, open_until)
        JOIN external_webhooks AS w ON w.webhook_id = t.webhook_id
        ON CONFLICT DO NOTHING";
}

statement! {
    struct Prune { before: DateTime<Utc> => Timestamptz, limit: i64 => BigInt } -> () = "
        DELETE FROM circuit_events WHERE (webhook_id, at, kind) IN (
            SELECT o.webhook_id, o.at, o.kind FROM circuit_events AS o WHERE o.at < $1 ORDER BY o.at LIMIT $2)";
}

/// Appends what the worker saw. Safe to repeat.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails; nothing was appended then.
pub async fn record(conn: &mut AsyncPgConnection, worker: &str, events: &[CircuitEvent]) -> Result<(), StoreError> {
    if events.is_empty() {
        return Ok(());
    }
    let record = Record {
        worker,
        webhook_ids: events.iter().map(|event| event.webhook_id.uuid()).collect(),
        ats: events.iter().map(|event| event.at.to_utc()).collect(),
        kinds: events.iter().map(|event| event.change.as_str()).collect(),
        failures: events.iter().map(|event| integer(event.failures)).collect(),
        ends: events.iter().map(|event| event.open_until.map(DatabaseTime::to_utc)).collect(),
    };
    record.execute(conn).await.during("record circuit events").map(drop)
}

/// Removes at most `limit` events before `before`, the oldest first, and answers how many: call again while it is not zero.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails.
pub async fn prune(conn: &mut AsyncPgConnection, before: DateTime<Utc>, limit: u32) -> Result<usize, StoreError> {
    Prune { before, limit: limit.into() }.execute(conn).await.during("remove old circuit events")
}

#[cfg(test)]
mod tests;
