use std::time::Duration;

use diesel::data_types::PgInterval;
use diesel::sql_types::{Interval, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use onering_ids::ReplayId;
use uuid::Uuid;

use crate::columns::{interval, storable};
use crate::statement::statement;
use crate::{Context, StoreError};

statement! {
    struct Lease<'a> {
        worker: &'a str => Text,
        lease: PgInterval => Interval,
    } -> SqlUuid =
        "UPDATE replay_jobs AS j SET worker = $1, leased_until = now() + $2, started_at = coalesce(j.started_at, now())
         FROM (SELECT f.replay_id FROM replay_jobs AS f
               WHERE f.state = 'RUNNING' AND (f.leased_until IS NULL OR f.leased_until <= now())
               ORDER BY f.replay_id FOR UPDATE SKIP LOCKED) AS free
         WHERE j.replay_id = free.replay_id RETURNING j.replay_id";
}

statement! {
    struct Release<'a> {
        replay_id: Uuid => SqlUuid,
        worker: &'a str => Text,
    } -> () =
        "UPDATE replay_jobs SET worker = NULL, leased_until = NULL
         WHERE replay_id = $1 AND worker = $2 AND state = 'RUNNING'";
}

statement! {
    struct Fail<'a> {
        failure: &'a str => Text,
        replay_id: Uuid => SqlUuid,
        worker: &'a str => Text,
    } -> () =
        "UPDATE replay_jobs SET state = 'FAILED', failure = $1, finished_at = now(), worker = NULL, leased_until = NULL
         WHERE replay_id = $2 AND worker = $3 AND state = 'RUNNING'";
}

/// Takes every running job that no worker has, or whose worker has not been heard of for as long as its lease. There are
/// never more than a few.
///
/// # Errors
/// [`StoreError::Query`].
pub async fn lease(
    connection: &mut AsyncPgConnection,
    worker: &str,
    lease: Duration,
) -> Result<Vec<ReplayId>, StoreError> {
    let query = Lease { worker, lease: interval(lease) };
    let rows: Vec<Uuid> = query.load(connection).await.during("take replays")?;
    Ok(rows.into_iter().map(ReplayId::from_uuid).collect())
}

/// Gives a job back, for another worker to take at once.
///
/// # Errors
/// [`StoreError::Query`]; then the lease runs out by itself.
pub async fn release(connection: &mut AsyncPgConnection, worker: &str, replay_id: ReplayId) -> Result<(), StoreError> {
    let query = Release { replay_id: replay_id.uuid(), worker };
    query.execute(connection).await.during("give a replay back").map(drop)
}

/// Ends a job that cannot go on, for the reason given.
///
/// # Errors
/// [`StoreError::Query`].
pub async fn fail(
    connection: &mut AsyncPgConnection,
    worker: &str,
    replay_id: ReplayId,
    failure: &str,
) -> Result<(), StoreError> {
    let query = Fail { replay_id: replay_id.uuid(), worker, failure: &storable(failure) };
    query.execute(connection).await.during("end a replay that cannot go on").map(drop)
}
