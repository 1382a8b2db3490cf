//! Day partitions of events, deliveries and attempts: made ahead, dropped when their time has passed.
//!
//! A day is dropped as a whole, or kept as a whole: as long as a single delivery of it waits, or a delivery made later
//! repeats one of its events, all of it stays.

use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use diesel::data_types::PgInterval;
use diesel::sql_types::{Bool, Date, Integer, Interval, Timestamptz};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};

use crate::columns::interval;
use crate::statement::statement;
use crate::{Context, StoreError};

/// Making or dropping a partition locks its parent. Behind a long query that lock would wait, and all ingest behind
/// it; so it gives up and the next run tries again.
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '2s'";

/// What a run of [`drop_expired`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expiry {
    /// Days whose partitions were dropped.
    pub dropped: Vec<NaiveDate>,
    /// Days that are past retention, and stay because a delivery still waits.
    pub kept: Vec<NaiveDate>,
}

statement! {
    struct Days {} -> Date =
        "SELECT to_date(right(c.relname, 8), 'YYYYMMDD') FROM pg_inherits AS i JOIN pg_class AS c ON c.oid = i.inhrelid
         WHERE i.inhparent = 'public.webhook_deliveries'::regclass AND c.relname ~ '^webhook_deliveries_[0-9]{8}$' ORDER BY 1";
}

statement! {
    struct Ensure {
        days_ahead: i32 => Integer,
    } -> Integer =
        "SELECT onering.ensure_partitions((now() AT TIME ZONE 'UTC')::date - 1, (now() AT TIME ZONE 'UTC')::date + $1)";
}

statement! {
    struct Horizon {
        keep: PgInterval => Interval,
    } -> Timestamptz = "SELECT now() - $1";
}

statement! {
    /// Whether a delivery made on the day waits, or one made later waits with an event of the day.
    struct IsWaitedFor {
        first: NaiveDate => Date,
        after: NaiveDate => Date,
    } -> Bool =
        "SELECT EXISTS (
             SELECT FROM webhook_deliveries AS d,
                 (SELECT onering.uuid_floor($1::timestamp AT TIME ZONE 'UTC') AS first,
                         onering.uuid_floor($2::timestamp AT TIME ZONE 'UTC') AS after) AS day
             WHERE (d.queued_until IS NOT NULL OR d.held_reason IS NOT NULL)
                 AND ((d.delivery_id >= day.first AND d.delivery_id < day.after)
                      OR (d.event_id >= day.first AND d.event_id < day.after)))";
}

/// Makes the missing partitions from yesterday to `days_ahead` days from now (UTC), and answers how many it made.
///
/// # Errors
/// [`StoreError::Query`], for example when a long query holds the parent: try again later.
pub async fn ensure(connection: &mut AsyncPgConnection, days_ahead: u16) -> Result<u32, StoreError> {
    connection
        .transaction(async |connection| {
            connection.batch_execute(LOCK_TIMEOUT).await.during("bound the wait for a partition")?;
            let query = Ensure { days_ahead: i32::from(days_ahead) };
            let made: i32 = query.get_result(connection).await.during("make partitions")?;
            Ok(made.unsigned_abs())
        })
        .await
}

/// The days that have partitions, oldest first.
///
/// # Errors
/// [`StoreError::Query`].
pub async fn days(connection: &mut AsyncPgConnection) -> Result<Vec<NaiveDate>, StoreError> {
    Days {}.load(connection).await.during("list partitions")
}

/// Drops the days that lie wholly more than `keep` in the past and that no delivery waits for.
///
/// # Errors
/// [`StoreError::Query`], for example when a long query reads a day: days dropped before stay dropped; try again later.
pub async fn drop_expired(connection: &mut AsyncPgConnection, keep: Duration) -> Result<Expiry, StoreError> {
    let horizon: DateTime<Utc> =
        Horizon { keep: interval(keep) }.get_result(connection).await.during("read the database clock")?;
    let mut expiry = Expiry::default();
    for day in days(connection).await? {
        let Some(after) = day.succ_opt().filter(|after| *after <= horizon.date_naive()) else { continue };
        if drop_day(connection, day, after).await? {
            expiry.dropped.push(day);
        } else {
            expiry.kept.push(day);
        }
    }
    Ok(expiry)
}

/// Locks the day first and looks then, so that nothing can begin to wait between the look and the drop.
async fn drop_day(connection: &mut AsyncPgConnection, day: NaiveDate, after: NaiveDate) -> Result<bool, StoreError> {
    let name = day.format("%Y%m%d");
    let tables =
        format!("public.webhook_events_{name}, public.webhook_deliveries_{name}, public.external_delivery_logs_{name}");
    connection
        .transaction(async |connection| {
            connection.batch_execute(LOCK_TIMEOUT).await.during("bound the wait for a partition")?;
            connection
                .batch_execute(&format!("LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE"))
                .await
                .during("lock an expired day")?;
            let waited_for: bool =
                IsWaitedFor { first: day, after }.get_result(connection).await.during("look for waiting deliveries")?;
            if !waited_for {
                connection.batch_execute(&format!("DROP TABLE {tables}")).await.during("drop an expired day")?;
            }
            Ok(!waited_for)
        })
        .await
}

#[cfg(test)]
mod tests;
