//! What the workers counted, added up over slots of ten minutes, so that a figure of 24 hours adds up a few thousand rows
//! and not every minute of every subscription.
//!
//! Totals are a copy: whoever settles knows nothing of them, and reads (`monitoring_reads`) take the minutes that no total
//! covers from the rows themselves. `delivery_totals_until` says where totals end. [`close`] moves it over slots that are over for
//! longer than any statement that counts may take; [`count_again`] goes over the slots of the last day, for what was counted
//! into an old minute after all: by a clock that was set back, by hand.
//!
//! Both lock that row first and count with a later snapshot, so that of any number of processes one writes at a time and
//! nothing is overwritten with what somebody saw before.

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use diesel::OptionalExtension;
use diesel::sql_types::{Nullable, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::statement::statement;
use crate::{Context, StoreError, transaction};

/// What a total covers, and what is added up at once: little enough for any statement timeout.
const SLOT: TimeDelta = TimeDelta::minutes(10);
/// What figures are asked for, and so what is counted again.
const DAY: TimeDelta = TimeDelta::hours(24);
/// Slots of a day.
pub const SLOTS: u32 = 144;
/// A slot is closed so long after its end. A row's minute is that of the beginning of its transaction, which is a few statements
/// that Postgres ends after half a minute each (`statement_timeout`).
const GRACE: TimeDelta = TimeDelta::minutes(5);

const COUNT: &str = "add up delivery statistics";

statement! {
    struct Until {} -> Nullable<Timestamptz> = "SELECT slot FROM delivery_totals_until";
}

statement! {
    /// Nothing when somebody else is at it.
    struct Lock {} -> (Nullable<Timestamptz>, Timestamptz) =
        "SELECT slot, now() FROM delivery_totals_until FOR UPDATE SKIP LOCKED";
}

statement! {
    /// Totals too: those of rows that are gone are to go.
    struct Oldest {} -> Nullable<Timestamptz> =
        "SELECT least((SELECT min(minute) FROM delivery_stats), (SELECT min(minute) FROM delivery_latency_stats),
             (SELECT min(slot) FROM delivery_totals), (SELECT min(slot) FROM delivery_latency_totals))";
}

statement! {
    struct Move { until: DateTime<Utc> => Timestamptz } -> () = "UPDATE delivery_totals_until SET slot = $1";
}

statement! {
    /// A row that is right already is not written again.
    pub(crate) struct CountOutcomes { from: DateTime<Utc> => Timestamptz, to: DateTime<Utc> => Timestamptz } -> () = "
        WITH counted AS MATERIALIZED (
            SELECT date_bin('10 minutes', s.minute, 'epoch') AS slot, s.outcome, sum(s.count)::bigint AS count,
                   sum(s.attempts)::bigint AS attempts
            FROM delivery_stats AS s WHERE s.minute >= $1 AND s.minute < $2 GROUP BY 1, 2
        ), gone AS (
            DELETE FROM delivery_totals AS t WHERE t.slot >= $1 AND t.slot < $2
                AND NOT EXISTS (SELECT FROM counted AS c WHERE c.slot = t.slot AND c.outcome = t.outcome)
        )
        INSERT INTO delivery_totals AS t (slot, outcome, count, attempts)
        SELECT c.slot, c.outcome, c.count, c.attempts FROM counted AS c
        ON CONFLICT (slot, outcome) DO UPDATE SET count = excluded.count, attempts = excluded.attempts
            WHERE (t.count, t.attempts) <> (excluded.count, excluded.attempts)";
}

statement! {
    pub(crate) struct CountLatency { from: DateTime<Utc> => Timestamptz, to: DateTime<Utc> => Timestamptz } -> () = "
        WITH counted AS MATERIALIZED (
            SELECT date_bin('10 minutes', s.minute, 'epoch') AS slot, s.bucket, sum(s.count)::bigint AS count
            FROM delivery_latency_stats AS s WHERE s.minute >= $1 AND s.minute < $2 GROUP BY 1, 2
        ), gone AS (
            DELETE FROM delivery_latency_totals AS t WHERE t.slot >= $1 AND t.slot < $2
                AND NOT EXISTS (SELECT FROM counted AS c WHERE c.slot = t.slot AND c.bucket = t.bucket)
        )
        INSERT INTO delivery_latency_totals AS t (slot, bucket, count)
        SELECT c.slot, c.bucket, c.count FROM counted AS c
        ON CONFLICT (slot, bucket) DO UPDATE SET count = excluded.count WHERE t.count <> excluded.count";
}

/// Which part of a time is answered from totals; what is before and behind it, from the rows of each minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Covered {
    /// The first slot.
    pub(crate) from: DateTime<Utc>,
    /// The slot behind the last one; `from` when there is none.
    pub(crate) to: DateTime<Utc>,
}

impl Covered {
    /// The whole slots since then, of those before `until`.
    fn of(since: DateTime<Utc>, until: Option<DateTime<Utc>>) -> Self {
        let from = slot_from(since);
        match until {
            Some(to) if to > from => Self { from, to },
            _ => Self { from: since, to: since },
        }
    }
}

/// The part of the time since then that has totals. They stay true while they are read: rows are not moved, only copied.
pub(crate) async fn covered(conn: &mut AsyncPgConnection, since: DateTime<Utc>) -> Result<Covered, StoreError> {
    let until: Option<Option<DateTime<Utc>>> =
        Until {}.get_result(conn).await.optional().during("read how far statistics are added up")?;
    Ok(Covered::of(since, until.flatten()))
}

/// Adds up the first slot that is over and was not added up before. Answers whether it found one: call again then.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails; nothing has changed then.
pub async fn close(conn: &mut AsyncPgConnection) -> Result<bool, StoreError> {
    locked(conn, async |conn, until, now| {
        let begin = match until {
            Some(until) => until,
            None => oldest(conn).await?.unwrap_or(now),
        };
        let Some(slot) = to_close(begin, now) else { return Ok(false) };
        count(conn, slot).await?;
        Move { until: slot + SLOT }.execute(conn).await.during(COUNT)?;
        Ok(true)
    })
    .await
}

/// Adds up again one slot of the last day; `turn` says which, modulo [`SLOTS`].
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails; nothing has changed then.
pub async fn count_again(conn: &mut AsyncPgConnection, turn: u32) -> Result<(), StoreError> {
    locked(conn, async |conn, until, now| {
        if let Some(slot) = until.and_then(|until| of_turn(until, now, turn)) {
            count(conn, slot).await?;
        }
        Ok(false)
    })
    .await
    .map(|_| ())
}

/// Does it with how far totals go and the time, unless somebody else does; then `false`.
async fn locked(
    conn: &mut AsyncPgConnection,
    work: impl AsyncFnOnce(&mut AsyncPgConnection, Option<DateTime<Utc>>, DateTime<Utc>) -> Result<bool, StoreError>,
) -> Result<bool, StoreError> {
    transaction(conn, async |conn| {
        let row: Option<(Option<DateTime<Utc>>, DateTime<Utc>)> =
            Lock {}.get_result(conn).await.optional().during(COUNT)?;
        match row {
            Some((until, now)) => work(conn, until, now).await,
            None => Ok(false),
        }
    })
    .await
}

async fn oldest(conn: &mut AsyncPgConnection) -> Result<Option<DateTime<Utc>>, StoreError> {
    Oldest {}.get_result(conn).await.during(COUNT)
}

async fn count(conn: &mut AsyncPgConnection, from: DateTime<Utc>) -> Result<(), StoreError> {
    let to = from + SLOT;
    CountOutcomes { from, to }.execute(conn).await.during(COUNT)?;
    CountLatency { from, to }.execute(conn).await.during(COUNT)?;
    Ok(())
}

/// The slot that begins then or before, if it is over for long enough.
fn to_close(begin: DateTime<Utc>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let slot = slot_of(begin);
    (slot + SLOT + GRACE <= now).then_some(slot)
}

/// The slot of the last day whose turn it is, the newest first. Older ones lose their rows to retention at some time, and
/// their totals with them.
fn of_turn(until: DateTime<Utc>, now: DateTime<Utc>, turn: u32) -> Option<DateTime<Utc>> {
    let back = i32::try_from(turn % SLOTS + 1).unwrap_or(1);
    let slot = until - SLOT * back;
    (slot >= now - DAY).then_some(slot)
}

/// The slot of that time.
fn slot_of(at: DateTime<Utc>) -> DateTime<Utc> {
    at.duration_trunc(SLOT).unwrap_or(at)
}

/// The first slot that begins then or later.
fn slot_from(since: DateTime<Utc>) -> DateTime<Utc> {
    let slot = slot_of(since);
    if slot == since { slot } else { slot + SLOT }
}

#[cfg(test)]
mod tests;
