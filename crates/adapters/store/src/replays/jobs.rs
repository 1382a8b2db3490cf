use chrono::{DateTime, Utc};
use diesel::OptionalExtension;
use diesel::sql_types::{Array, BigInt, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use onering_delivery::ReplayState;
use onering_ids::{OwnerId, ReplayId, SubscriptionId};
use uuid::Uuid;

use super::job::{JobColumns, NewReplay, ReplayJob, Row, job_columns};
use crate::audit_log::Changed;
use crate::columns::integer;
use crate::statement::statement;
use crate::{Context, StoreError};

/// Jobs that may run at once: a worker that takes all of them must still get on with each.
pub const MOST_RUNNING: u32 = 20;

statement! {
    struct Create<'a> {
        replay_id: Uuid => SqlUuid,
        range_from: DateTime<Utc> => Timestamptz,
        range_to: DateTime<Utc> => Timestamptz,
        statuses: Vec<&'static str> => Array<Text>,
        webhook_id: Option<Uuid> => Nullable<SqlUuid>,
        event_type: Option<&'a str> => Nullable<Text>,
        owner_id: Option<&'a str> => Nullable<Text>,
        rate_per_second: i32 => Integer,
        matched: i64 => BigInt,
        cursor_delivery_id: Uuid => SqlUuid,
        created_by: &'a str => Text,
        most_running: i64 => BigInt,
    } -> JobColumns = concat!(
        "INSERT INTO replay_jobs AS j (replay_id, range_from, range_to, statuses, webhook_id, event_type, owner_id, \
             rate_per_second, matched, cursor_delivery_id, created_by) \
         SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11 \
         WHERE (SELECT count(*) FROM replay_jobs WHERE state = 'RUNNING') < $12 RETURNING ", job_columns!()
    );
}

statement! {
    struct Get { replay_id: Uuid => SqlUuid } -> JobColumns =
        concat!("SELECT ", job_columns!(), " FROM replay_jobs AS j WHERE j.replay_id = $1");
}

statement! {
    struct GetForUpdate { replay_id: Uuid => SqlUuid } -> JobColumns =
        concat!("SELECT ", job_columns!(), " FROM replay_jobs AS j WHERE j.replay_id = $1 FOR UPDATE");
}

statement! {
    struct List {
        state: Option<&'static str> => Nullable<Text>,
        before: Option<Uuid> => Nullable<SqlUuid>,
        limit: i64 => BigInt,
    } -> JobColumns = concat!(
        "SELECT ", job_columns!(), " FROM replay_jobs AS j WHERE ($1 IS NULL OR j.state = $1) \
         AND j.replay_id < coalesce($2, 'ffffffff-ffff-ffff-ffff-ffffffffffff') ORDER BY j.replay_id DESC LIMIT $3"
    );
}

statement! {
    struct Cancel { replay_id: Uuid => SqlUuid } -> JobColumns = concat!(
        "UPDATE replay_jobs AS j SET state = 'CANCELLED', finished_at = now(), leased_until = NULL, worker = NULL \
         WHERE j.replay_id = $1 AND j.state = 'RUNNING' RETURNING ", job_columns!()
    );
}

/// Makes a job; a worker takes it within a second. `None` when [`MOST_RUNNING`] are running. Call it in the transaction that
/// counted, so that the job goes over what was counted.
///
/// # Errors
/// [`StoreError::Conflict`] when there is no such subscription or partner, else [`StoreError::Query`].
pub async fn create(connection: &mut AsyncPgConnection, new: &NewReplay) -> Result<Option<ReplayJob>, StoreError> {
    let scope = &new.scope;
    let query = Create {
        replay_id: new.replay_id.uuid(),
        range_from: scope.from,
        range_to: scope.to,
        statuses: scope.wanted(),
        webhook_id: scope.webhook_id.map(SubscriptionId::uuid),
        event_type: scope.event_type.as_ref().map(AsRef::as_ref),
        owner_id: scope.owner_id.as_ref().map(OwnerId::as_str),
        rate_per_second: integer(new.rate.per_second()),
        matched: i64::try_from(new.matched).unwrap_or(i64::MAX),
        cursor_delivery_id: scope.first().uuid(),
        created_by: &new.created_by,
        most_running: MOST_RUNNING.into(),
    };
    let row: Option<Row> = query.get_result(connection).await.optional().during("make a replay")?;
    row.map(ReplayJob::try_from).transpose()
}

/// One job.
///
/// # Errors
/// [`StoreError::Query`], or [`StoreError::Row`] for a row that is not understood.
pub async fn get(connection: &mut AsyncPgConnection, replay_id: ReplayId) -> Result<Option<ReplayJob>, StoreError> {
    let query = Get { replay_id: replay_id.uuid() };
    let row: Option<Row> = query.get_result(connection).await.optional().during("read a replay")?;
    row.map(ReplayJob::try_from).transpose()
}

/// Jobs, newest first, from the one before `before`.
///
/// # Errors
/// As [`get`].
pub async fn list(
    connection: &mut AsyncPgConnection,
    state: Option<ReplayState>,
    before: Option<ReplayId>,
    limit: u32,
) -> Result<Vec<ReplayJob>, StoreError> {
    let query = List { state: state.map(ReplayState::as_str), before: before.map(ReplayId::uuid), limit: limit.into() };
    let rows: Vec<Row> = query.load(connection).await.during("list replays")?;
    rows.into_iter().map(ReplayJob::try_from).collect()
}

/// Stops a running job: once this is committed it makes no delivery any more. What it made stays and is delivered. Answers the
/// job twice as it is when it was over already; `None` when there is no such job.
///
/// # Errors
/// As [`get`].
pub async fn cancel(
    connection: &mut AsyncPgConnection,
    replay_id: ReplayId,
) -> Result<Option<Changed<ReplayJob>>, StoreError> {
    // Waits for the step under way, whose counts then belong to what is answered.
    let locked = GetForUpdate { replay_id: replay_id.uuid() };
    let before: Option<Row> = locked.get_result(connection).await.optional().during("read a replay")?;
    let Some(before) = before.map(ReplayJob::try_from).transpose()? else { return Ok(None) };
    let query = Cancel { replay_id: replay_id.uuid() };
    let after: Option<Row> = query.get_result(connection).await.optional().during("cancel a replay")?;
    let after = after.map(ReplayJob::try_from).transpose()?.unwrap_or_else(|| before.clone());
    Ok(Some(Changed { before, after }))
}
