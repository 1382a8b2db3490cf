//! Filling a database with a past it never had, so that a benchmark meets tables as large as those of a year in use.
//!
//! [`Seeder`] takes rows that somebody else makes up and sends them with COPY: a day in one transaction, so that whatever
//! breaks it off, the ledger balances. A day that has no partition yet is filled before it is attached to its tables: nobody
//! waits for that, its rows are frozen from the start, and its indexes are made once from all of them.
//!
//! Deliberately absent: durability. This is no path of the platform's data: what a crash takes from a seeded database is
//! seeded again, so these sessions alone do not wait for the disk (`synchronous_commit = off`).

mod binary;
mod rows;
mod session;

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, Utc};
use diesel::sql_types::{Bool, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use onering_ids::EventId;
use uuid::Uuid;

use crate::statement::statement;
use crate::{Context, StoreError, partitions};

pub use rows::{SeedAttempt, SeedDelivery, SeedEvent, SeedPartner, SeedState, SeedSubscription};
pub use session::{Day, DayKind, Seeder};

statement! {
    struct HasEvents {} -> Bool =
        "SELECT EXISTS (SELECT FROM webhook_events) OR EXISTS (SELECT FROM webhook_deliveries)";
}

statement! {
    /// Seeded latencies are lowest values of buckets, so they are their own. What totals there are do not have these minutes.
    struct FillStatistics<'a> {
        worker: &'a str => Text,
        first: Uuid => SqlUuid,
    } -> () =
        "WITH attempts AS MATERIALIZED (
             SELECT date_trunc('minute', l.started_at + l.duration_ms * interval '1 millisecond') AS minute, l.worker, l.delivery_id,
                    l.webhook_id, l.outcome, l.attempt
             FROM external_delivery_logs AS l WHERE l.worker = $1 AND l.delivery_id >= $2
         ), outcomes AS (
             INSERT INTO delivery_stats (minute, process, webhook_id, outcome, count, attempts)
             SELECT a.minute, a.worker, a.webhook_id, a.outcome, count(*), sum(a.attempt) FROM attempts AS a GROUP BY 1, 2, 3, 4
         ), not_added_up AS (
             UPDATE delivery_totals_until SET slot = NULL
         )
         INSERT INTO delivery_latency_stats (minute, process, bucket, count)
         SELECT a.minute, a.worker, d.delivery_latency_ms, count(*)
         FROM attempts AS a JOIN webhook_deliveries AS d ON d.delivery_id = a.delivery_id AND d.delivery_id >= $2
         WHERE a.outcome = 'DELIVERED' GROUP BY 1, 2, 3";
}

/// Whether there are events or deliveries.
///
/// # Errors
/// [`StoreError::Query`], for example when there is no schema.
pub async fn has_events(connection: &mut AsyncPgConnection) -> Result<bool, StoreError> {
    HasEvents {}.get_result(connection).await.during("look for events")
}

/// The days that have partitions.
///
/// # Errors
/// [`StoreError::Query`].
pub async fn days(connection: &mut AsyncPgConnection) -> Result<BTreeSet<NaiveDate>, StoreError> {
    Ok(partitions::days(connection).await?.into_iter().collect())
}

/// Counts the attempts that `worker` is said to have made on deliveries from `since` on into the statistics of their minutes,
/// as the worker would have.
///
/// # Errors
/// [`StoreError::Query`]; [`StoreError::Conflict`] when they were counted before. Nothing is counted then.
pub async fn fill_statistics(
    connection: &mut AsyncPgConnection,
    worker: &str,
    since: DateTime<Utc>,
) -> Result<(), StoreError> {
    let first = EventId::floor(u64::try_from(since.timestamp_millis()).unwrap_or(0)).uuid();
    FillStatistics { worker, first }.execute(connection).await.during("count seeded attempts")?;
    Ok(())
}

/// Leaves the tables as months of autovacuum would: what all can see is marked as that, and the planner knows what is there.
/// Give the connection no statement timeout.
///
/// # Errors
/// [`StoreError::Query`].
pub async fn vacuum(connection: &mut AsyncPgConnection) -> Result<(), StoreError> {
    let tables = "partners, external_webhooks, webhook_events, webhook_deliveries, external_delivery_logs, delivery_stats, \
                  delivery_latency_stats";
    connection.batch_execute(&format!("VACUUM (ANALYZE) {tables}")).await.during("vacuum what was seeded")
}

/// Writes what is dirty to the disk now, so that it does not weigh on what is measured next. Takes a role that may.
///
/// # Errors
/// [`StoreError::Query`].
pub async fn checkpoint(connection: &mut AsyncPgConnection) -> Result<(), StoreError> {
    connection.batch_execute("CHECKPOINT").await.during("make a checkpoint")
}

#[cfg(test)]
mod tests;
