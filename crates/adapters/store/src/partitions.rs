//! Day partitions of events, deliveries and attempts: made ahead, dropped when their time has passed.
//!
//! A day is dropped as a whole, or kept as a whole: as long as a single delivery of it waits, a delivery made later repeats
//! one of its events and waits, or a replay has yet to go over it, all of it stays.
//!
//! All other statements run on meanwhile. Making a day takes no lock that they wait for. Dropping one takes the parents',
//! before the partitions' as everybody does, for as long as three catalogue changes take, and gives up rather than wait.

use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use diesel::data_types::PgInterval;
use diesel::sql_types::{Bool, Date, Integer, Interval, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use onering_ids::EventId;
use uuid::Uuid;

use crate::columns::interval;
use crate::statement::statement;
use crate::{Context, StoreError};

/// Where a change of partitions and something else are in each other's way, the change gives up and the next run tries again. All
/// its waits together (three parents) end before Postgres' `deadlock_timeout` (1 s) makes somebody else the victim.
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '250ms'";
/// For what is done under the locks of a drop: everybody else waits meanwhile, so it must not be long, let alone a scan.
const BE_QUICK: &str = "SET LOCAL statement_timeout = '5s'; SET LOCAL enable_seqscan = off";
/// Dropping a partition locks its parent, which all statements lock first; who locks the partition before is in their way.
const LOCK_PARENTS: &str = "LOCK TABLE ONLY public.webhook_events, ONLY public.webhook_deliveries, ONLY public.external_delivery_logs \
                            IN ACCESS EXCLUSIVE MODE";

/// What a run of [`drop_expired`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expiry {
    /// Days whose partitions were dropped.
    pub dropped: Vec<NaiveDate>,
    /// Days that are past retention, and stay because a delivery still waits or a replay has yet to come to them.
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
    /// Held by one process at a time, here and in `onering.ensure_partitions`, until its transaction ends.
    struct BeTheOnlyOne {} -> Bool = "SELECT pg_try_advisory_xact_lock(hashtext('onering.partitions'))";
}

statement! {
    /// Whether a delivery made on the day waits, or one made later waits with an event of the day, or a running replay has
    /// not gone over the day yet.
    struct IsWaitedFor {
        first: Uuid => SqlUuid,
        after: Uuid => SqlUuid,
    } -> Bool =
        "SELECT EXISTS (SELECT FROM webhook_deliveries AS d
                        WHERE d.queued_until IS NOT NULL AND d.delivery_id >= $1 AND d.delivery_id < $2)
             OR EXISTS (SELECT FROM webhook_deliveries AS d
                        WHERE d.held_reason IS NOT NULL AND d.delivery_id >= $1 AND d.delivery_id < $2)
             OR EXISTS (SELECT FROM webhook_deliveries AS d
                        WHERE d.original_delivery_id IS NOT NULL AND d.event_id >= $1 AND d.event_id < $2
                            AND (d.queued_until IS NOT NULL OR d.held_reason IS NOT NULL))
             OR EXISTS (SELECT FROM replay_jobs AS j
                        WHERE j.state = 'RUNNING' AND j.cursor_delivery_id < $2 AND onering.uuid_floor(j.range_to) > $1)";
}

/// Makes the missing partitions from yesterday to `days_ahead` days from now (UTC), and answers how many it made: none where
/// another process changes partitions at the same moment. Locks nothing while nothing is missing, and nobody out otherwise.
///
/// # Errors
/// [`StoreError::Query`]: try again later.
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

/// Drops the days that lie wholly more than `keep` in the past and that no delivery waits for and no replay. Leaves the rest to another
/// process that changes partitions at the same moment.
///
/// # Errors
/// [`StoreError::Query`], for example when a long query reads the tables: days dropped before stay dropped; try again later.
pub async fn drop_expired(connection: &mut AsyncPgConnection, keep: Duration) -> Result<Expiry, StoreError> {
    let horizon: DateTime<Utc> =
        Horizon { keep: interval(keep) }.get_result(connection).await.during("read the database clock")?;
    let mut expiry = Expiry::default();
    for day in days(connection).await? {
        let Some(after) = day.succ_opt().filter(|after| *after <= horizon.date_naive()) else { continue };
        // A first look without a lock: what is kept is in nobody's way.
        let verdict = if is_waited_for(connection, day, after).await? {
            Verdict::Kept
        } else {
            drop_day(connection, day, after).await?
        };
        match verdict {
            Verdict::Dropped => expiry.dropped.push(day),
            Verdict::Kept => expiry.kept.push(day),
            Verdict::LeftToAnother => break,
        }
    }
    Ok(expiry)
}

enum Verdict {
    Dropped,
    Kept,
    /// Another process is at it, or was.
    LeftToAnother,
}

/// Looks again under the lock, so that nothing can begin to wait between the look and the drop: a final delivery never waits
/// again, but somebody may just have asked for a repeat of one.
async fn drop_day(connection: &mut AsyncPgConnection, day: NaiveDate, after: NaiveDate) -> Result<Verdict, StoreError> {
    let name = day.format("%Y%m%d");
    let tables =
        format!("public.webhook_events_{name}, public.webhook_deliveries_{name}, public.external_delivery_logs_{name}");
    connection
        .transaction(async |connection| {
            connection.batch_execute(LOCK_TIMEOUT).await.during("bound the wait for a partition")?;
            connection.batch_execute(BE_QUICK).await.during("bound the drop of a partition")?;
            let alone: bool = (BeTheOnlyOne {}).get_result(connection).await.during("be the only one to drop a day")?;
            if !alone || !days(connection).await?.contains(&day) {
                return Ok(Verdict::LeftToAnother);
            }
            connection.batch_execute(LOCK_PARENTS).await.during("lock the tables of an expired day")?;
            if is_waited_for(connection, day, after).await? {
                return Ok(Verdict::Kept);
            }
            connection.batch_execute(&format!("DROP TABLE {tables}")).await.during("drop an expired day")?;
            Ok(Verdict::Dropped)
        })
        .await
}

async fn is_waited_for(
    connection: &mut AsyncPgConnection,
    day: NaiveDate,
    after: NaiveDate,
) -> Result<bool, StoreError> {
    let query = IsWaitedFor { first: floor(day), after: floor(after) };
    query.get_result(connection).await.during("look for who needs a day")
}

/// The smallest id of a day.
pub(crate) fn floor(day: NaiveDate) -> Uuid {
    let start = day.and_time(NaiveTime::MIN).and_utc().timestamp_millis();
    EventId::floor(u64::try_from(start).unwrap_or(0)).uuid()
}

#[cfg(test)]
mod tests;
