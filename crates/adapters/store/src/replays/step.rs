use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::OptionalExtension;
use diesel::data_types::PgInterval;
use diesel::sql_types::{Array, BigInt, Bool, Interval, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use onering_delivery::{DatabaseTime, HeldReason};
use onering_ids::{OwnerId, ReplayId, SubscriptionId};
use uuid::Uuid;

use super::count::PLAN_FOR_THESE;
use super::job::{JobColumns, ReplayJob, Row, job_columns, repeats_after};
use crate::columns::interval;
use crate::statement::statement;
use crate::{Context, StoreError, database_clock};

/// Deliveries one step looks at, at most, in search of originals that belong to it: a bound on the step, however few do.
const LOOKED_AT: i64 = 10_000;

/// A worker's turn at a job.
#[derive(Debug, Clone, Copy)]
pub struct Turn<'a> {
    /// The job.
    pub replay_id: ReplayId,
    /// The worker, which must have taken it.
    pub worker: &'a str,
    /// How long the job is the worker's from now on.
    pub lease: Duration,
    /// Holds the new deliveries, unless their subscription or partner already does.
    pub hold: Option<HeldReason>,
}

/// What a step did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stepped {
    /// The job as it is now.
    pub job: ReplayJob,
    /// New deliveries it made.
    pub made: u32,
}

statement! {
    /// Waits for whoever has the row, so that two steps of one job never run beside each other, whatever became of leases.
    struct Take<'a> {
        replay_id: Uuid => SqlUuid,
        worker: &'a str => Text,
    } -> JobColumns = concat!(
        "SELECT ", job_columns!(),
        " FROM replay_jobs AS j WHERE j.replay_id = $1 AND j.state = 'RUNNING' AND j.worker = $2 FOR UPDATE"
    );
}

statement! {
    /// Takes the next originals, judges each together with its repeats, and repeats those that are to be: due at once, or held
    /// as a resend would be. The innermost select walks an index in order and stops at either limit. Repeats are made now, so
    /// the days to come need not be asked for them.
    ///
    /// Answers how far that reached (null: to the end of the range), how many were made and skipped for each reason, and wakes
    /// the workers when it is committed.
    pub(crate) struct Repeat<'a> {
        cursor: Uuid => SqlUuid,
        after: Uuid => SqlUuid,
        own_statuses: Vec<&'static str> => Array<Text>,
        owner_id: Option<&'a str> => Nullable<Text>,
        looked_at: i64 => BigInt,
        final_by: DateTime<Utc> => Timestamptz,
        webhook_id: Option<Uuid> => Nullable<SqlUuid>,
        event_type: Option<&'a str> => Nullable<Text>,
        limit: i64 => BigInt,
        hold: Option<&'static str> => Nullable<Text>,
        wanted: Vec<&'static str> => Array<Text>,
        repeats_after: Uuid => SqlUuid,
    } -> (Nullable<SqlUuid>, BigInt, BigInt, BigInt, BigInt, BigInt, Nullable<Text>) =
        "WITH originals AS MATERIALIZED (
             SELECT o.delivery_id, o.event_id, o.webhook_id, o.owner_id, o.event_type, o.status
             FROM (SELECT d.delivery_id, d.event_id, d.webhook_id, d.owner_id, d.event_type, d.status, d.settled_at,
                       d.original_delivery_id
                   FROM webhook_deliveries AS d
                   WHERE d.delivery_id > $1 AND d.delivery_id < $2 AND d.status = ANY($3) AND ($4 IS NULL OR d.owner_id = $4)
                   ORDER BY d.delivery_id LIMIT $5) AS o
             WHERE o.original_delivery_id IS NULL AND o.settled_at <= $6
                 AND ($7 IS NULL OR o.webhook_id = $7) AND ($8 IS NULL OR o.event_type = $8)
             ORDER BY o.delivery_id LIMIT $9
         ), judged AS MATERIALIZED (
             SELECT o.delivery_id, o.event_id, o.webhook_id, o.owner_id, o.event_type,
                 CASE WHEN w.status = 'paused' THEN 'SUBSCRIPTION_PAUSED' WHEN w.status = 'disabled' THEN 'SUBSCRIPTION_DISABLED'
                      WHEN p.status = 'disabled' THEN 'PARTNER_DISABLED' ELSE $10 END AS held,
                 CASE WHEN e.event_id IS NULL THEN 'event gone'
                      WHEN w.webhook_id IS NULL OR w.deleted_at IS NOT NULL THEN 'subscription deleted'
                      WHEN r.waits THEN 'still waiting'
                      WHEN r.is_delivered AND 'DELIVERED' <> ALL($11) THEN 'already delivered' END AS skipped
             FROM originals AS o
             CROSS JOIN LATERAL (
                 SELECT bool_or(r.settled_at IS NULL) AS waits, bool_or(r.status = 'DELIVERED') AS is_delivered,
                     bool_or(r.status = 'DELIVERED' AND r.settled_at <= $6) AS was_delivered
                 FROM webhook_deliveries AS r
                 WHERE r.event_id = o.event_id AND r.webhook_id = o.webhook_id AND r.original_delivery_id IS NOT NULL
                     AND r.delivery_id > $12 AND r.delivery_id < onering.uuid_floor(now() + interval '1 day')
             ) AS r
             LEFT JOIN external_webhooks AS w ON w.webhook_id = o.webhook_id
             LEFT JOIN partners AS p ON p.owner_id = o.owner_id
             LEFT JOIN webhook_events AS e ON e.event_id = o.event_id
             WHERE CASE WHEN r.was_delivered THEN 'DELIVERED' ELSE o.status END = ANY($11)
         ), made AS (
             INSERT INTO webhook_deliveries AS d (delivery_id, event_id, webhook_id, owner_id, event_type, held_reason,
                 queued_until, original_delivery_id, created_at)
             SELECT onering.uuid_v7(), j.event_id, j.webhook_id, j.owner_id, j.event_type, j.held,
                 CASE WHEN j.held IS NULL THEN now() END, j.delivery_id, now()
             FROM judged AS j WHERE j.skipped IS NULL
             RETURNING d.queued_until
         )
         SELECT
             CASE WHEN (SELECT count(*) FROM originals) = $9
                  THEN (SELECT o.delivery_id FROM originals AS o ORDER BY o.delivery_id DESC LIMIT 1)
                  ELSE (SELECT d.delivery_id FROM webhook_deliveries AS d
                        WHERE d.delivery_id > $1 AND d.delivery_id < $2 AND d.status = ANY($3) AND ($4 IS NULL OR d.owner_id = $4)
                        ORDER BY d.delivery_id OFFSET $5 - 1 LIMIT 1) END,
             (SELECT count(*) FROM made),
             count(*) FILTER (WHERE j.skipped = 'subscription deleted'), count(*) FILTER (WHERE j.skipped = 'event gone'),
             count(*) FILTER (WHERE j.skipped = 'still waiting'), count(*) FILTER (WHERE j.skipped = 'already delivered'),
             (SELECT pg_notify('onering_deliveries', '')::text WHERE EXISTS (SELECT FROM made WHERE queued_until IS NOT NULL))
         FROM judged AS j";
}

statement! {
    /// Steps of different jobs must not judge one original at once: neither would see what the other makes. Until the
    /// transaction ends, those over one partner's originals come one after another, and one over everybody's stays alone.
    struct TakeTurns<'a> {
        owner_id: Option<&'a str> => Nullable<Text>,
    } -> () =
        "SELECT CASE WHEN $1 IS NULL THEN pg_advisory_xact_lock(hashtext('onering.replays'))
                     ELSE pg_advisory_xact_lock_shared(hashtext('onering.replays')) END,
                CASE WHEN $1 IS NOT NULL THEN pg_advisory_xact_lock(hashtext('onering.replays'), hashtext($1)) END";
}

type RepeatRow = (Option<Uuid>, i64, i64, i64, i64, i64, Option<String>);

statement! {
    struct Advance {
        cursor: Uuid => SqlUuid,
        made: i64 => BigInt,
        subscription_deleted: i64 => BigInt,
        event_gone: i64 => BigInt,
        still_waiting: i64 => BigInt,
        already_delivered: i64 => BigInt,
        rate_used_until: DateTime<Utc> => Timestamptz,
        done: bool => Bool,
        lease: PgInterval => Interval,
        replay_id: Uuid => SqlUuid,
    } -> JobColumns = concat!(
        "UPDATE replay_jobs AS j SET cursor_delivery_id = $1, replayed = j.replayed + $2, \
             skipped_subscription_deleted = j.skipped_subscription_deleted + $3, \
             skipped_event_gone = j.skipped_event_gone + $4, skipped_still_waiting = j.skipped_still_waiting + $5, \
             skipped_already_delivered = j.skipped_already_delivered + $6, rate_used_until = $7, \
             state = CASE WHEN $8 THEN 'DONE' ELSE 'RUNNING' END, finished_at = CASE WHEN $8 THEN now() END, \
             leased_until = CASE WHEN $8 THEN NULL ELSE now() + $9 END, worker = CASE WHEN $8 THEN NULL ELSE j.worker END \
         WHERE j.replay_id = $10 RETURNING ", job_columns!()
    );
}

/// Goes on with a job, as far as its rate allows now: new deliveries, the cursor and the counts in one transaction. `None` when
/// the job is not this worker's any more: another one has it, or it is over.
///
/// # Errors
/// [`StoreError`]; then nothing of the step took place.
pub async fn step(connection: &mut AsyncPgConnection, turn: Turn<'_>) -> Result<Option<Stepped>, StoreError> {
    connection
        .transaction(async |connection| {
            let take = Take { replay_id: turn.replay_id.uuid(), worker: turn.worker };
            let row: Option<Row> = take.get_result(connection).await.optional().during("go on with a replay")?;
            let Some(job) = row.map(ReplayJob::try_from).transpose()? else { return Ok(None) };
            let take_turns = TakeTurns { owner_id: job.scope.owner_id.as_ref().map(OwnerId::as_str) };
            take_turns.execute(connection).await.during("wait for another replay's step")?;
            // Read after the row was locked: the wait for it counts.
            let now = database_clock::read(connection).await?;
            let reached = repeat(connection, &job, job.pace.allowance(now), turn.hold).await?;
            let stepped = advance(connection, &job, &reached, now, turn.lease).await?;
            Ok(Some(Stepped { job: stepped, made: u32::try_from(reached.1).unwrap_or(u32::MAX) }))
        })
        .await
}

async fn repeat(
    connection: &mut AsyncPgConnection,
    job: &ReplayJob,
    allowance: u32,
    hold: Option<HeldReason>,
) -> Result<RepeatRow, StoreError> {
    if allowance == 0 {
        return Ok((Some(job.cursor.uuid()), 0, 0, 0, 0, 0, None));
    }
    let scope = &job.scope;
    let query = Repeat {
        cursor: job.cursor.uuid(),
        after: scope.after().uuid(),
        own_statuses: scope.own_statuses(),
        owner_id: scope.owner_id.as_ref().map(OwnerId::as_str),
        looked_at: LOOKED_AT,
        final_by: job.created_at,
        webhook_id: scope.webhook_id.map(SubscriptionId::uuid),
        event_type: scope.event_type.as_ref().map(AsRef::as_ref),
        limit: allowance.into(),
        hold: hold.map(HeldReason::as_str),
        wanted: scope.wanted(),
        repeats_after: repeats_after(job.cursor),
    };
    connection.batch_execute(PLAN_FOR_THESE).await.during("choose how to find what to replay")?;
    query.get_result(connection).await.during("replay deliveries")
}

async fn advance(
    connection: &mut AsyncPgConnection,
    job: &ReplayJob,
    reached: &RepeatRow,
    now: DatabaseTime,
    lease: Duration,
) -> Result<ReplayJob, StoreError> {
    let (cursor, made, subscription_deleted, event_gone, still_waiting, already_delivered, _) = *reached;
    let pace = job.pace.spend(u32::try_from(made).unwrap_or(u32::MAX), now);
    let query = Advance {
        replay_id: job.replay_id.uuid(),
        cursor: cursor.unwrap_or_else(|| job.scope.after().uuid()),
        made,
        subscription_deleted,
        event_gone,
        still_waiting,
        already_delivered,
        rate_used_until: pace.used_until.to_utc(),
        done: cursor.is_none(),
        lease: interval(lease),
    };
    let row: Row = query.get_result(connection).await.during("note how far a replay is")?;
    row.try_into()
}
