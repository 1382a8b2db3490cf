use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use diesel::data_types::PgInterval;
use diesel::sql_types::{Array, BigInt, Binary, Interval, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use onering_delivery::{DatabaseTime, Lease, Work};
use onering_ids::{DeliveryId, EventId, SubscriptionId};
use uuid::Uuid;

use crate::columns::{count, interval};
use crate::statement::statement;
use crate::{Context, StoreError, deliveries};

/// A delivery the sweep took, with everything a stream entry needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swept {
    /// The delivery, and the right to attempt it until its new lease ends.
    pub work: Work,
    /// The request body.
    pub body: Bytes,
}

/// How much a sweep may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Deliveries in all.
    pub deliveries: u32,
    /// Bytes of their bodies; a first one passes whatever its size.
    pub bytes: u64,
    /// Of these subscriptions no more than this.
    pub known: Vec<(SubscriptionId, Vacancy)>,
    /// Of each other one.
    pub otherwise: Vacancy,
    /// So many of those that are longest due are passed over: others are busy with them ([`Haul::contended`]).
    pub beyond: u32,
    /// Nothing of these subscriptions, however much of theirs is due.
    pub passed_over: Vec<SubscriptionId>,
    /// Nothing at all, when the statement reaches Postgres later than this: whoever sends it judged that leases which are
    /// over may be taken, and that was then.
    pub latest: Option<DatabaseTime>,
}

/// How much may be taken of one subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vacancy {
    /// Deliveries.
    pub room: u32,
    /// What has to be put off comes back after this,
    pub pause: Duration,
    /// each further delivery so much later,
    pub step: Duration,
    /// and none later than this.
    pub longest: Duration,
}

impl Wanted {
    /// At most so many, of whomsoever.
    #[must_use]
    pub const fn at_most(deliveries: u32) -> Self {
        let otherwise =
            Vacancy { room: deliveries, pause: Duration::ZERO, step: Duration::ZERO, longest: Duration::ZERO };
        Self {
            deliveries,
            bytes: u64::MAX,
            known: Vec::new(),
            otherwise,
            beyond: 0,
            passed_over: Vec::new(),
            latest: None,
        }
    }
}

/// What a sweep brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Haul {
    /// What was leased, the subscriptions' oldest before their second oldest.
    pub deliveries: Vec<Swept>,
    /// Of whom more was due than there was room for.
    pub left_behind: Vec<LeftBehind>,
    /// How many would have been leased if somebody else were not doing something to them, or had not just done so.
    pub contended: u32,
    /// More may be due than was looked at.
    pub is_full: bool,
}

/// Due deliveries of one subscription for which there was no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeftBehind {
    /// Whose.
    pub webhook_id: SubscriptionId,
    /// How many were put off, because they stood in the way of others. The rest is still due.
    pub put_off: u64,
    /// The latest instant one was put off to; `None` when none was.
    pub until: Option<DatabaseTime>,
}

/// How many due rows one sweep looks at.
#[cfg(test)]
pub(crate) const FRONT: usize = 2_000;

statement! {
    /// Leases what is due, longest due first, and after that what is held because delivery was off: whoever sweeps has seen
    /// that it is on. What somebody else is leasing at this moment is skipped. Delivery rows alone are locked, and of them only
    /// those that are taken: two sweeps never wait for each other over a common subscription or event.
    ///
    /// It looks at the 2,000 that are longest due, and of them takes the oldest of each subscription, then the second of
    /// each, and so on, within the subscription's room. Looked at are no more of them because the backlog can be of any
    /// size; so that one subscription's backlog does not hide the others for ever, a sweep can pass over those that have no room.
    /// Passing over costs reading what is passed over. So of a slow subscription, when there may be more than was looked at, what
    /// it would not get to within five seconds is put off: all but so many as leave half the front to others.
    pub(crate) struct Sweep {
        latest: Option<DateTime<Utc>> => Nullable<Timestamptz>,
        beyond: i64 => BigInt,
        passed_over: Vec<Uuid> => Array<SqlUuid>,
        room: i64 => BigInt,
        pause: i64 => BigInt,
        step: i64 => BigInt,
        longest: i64 => BigInt,
        known: Vec<Uuid> => Array<SqlUuid>,
        rooms: Vec<i64> => Array<BigInt>,
        pauses: Vec<i64> => Array<BigInt>,
        steps: Vec<i64> => Array<BigInt>,
        longests: Vec<i64> => Array<BigInt>,
        limit: i64 => BigInt,
        lease: PgInterval => Interval,
        bytes: i64 => BigInt,
    } -> (
        Nullable<SqlUuid>, Nullable<SqlUuid>, Nullable<SqlUuid>, Nullable<SmallInt>, Nullable<Timestamptz>, Nullable<Text>,
        Nullable<Timestamptz>, Nullable<Binary>, Nullable<BigInt>
    ) =
        "WITH front AS MATERIALIZED (
             -- Bounded twice: within, the planner must not know that it is by much, or it sorts the whole backlog instead of
             -- following the index; without, it must, or it takes the backlog for what is updated below.
             SELECT f.delivery_id, f.event_id, f.webhook_id, f.since FROM (
                 (SELECT d.delivery_id, d.event_id, d.webhook_id, d.queued_until AS since FROM webhook_deliveries AS d
                  WHERE d.queued_until <= now() AND d.webhook_id <> ALL ($3) ORDER BY d.queued_until
                  LIMIT (SELECT CASE WHEN now() > $1 THEN 0 ELSE $2 + 2000 END))
                 UNION ALL
                 (SELECT d.delivery_id, d.event_id, d.webhook_id, now() FROM webhook_deliveries AS d
                  WHERE d.held_reason = 'DELIVERY_OFF' AND d.webhook_id <> ALL ($3) ORDER BY d.delivery_id
                  LIMIT (SELECT CASE WHEN now() > $1 THEN 0 ELSE $2 + 2000 END))
             ) AS f OFFSET $2 LIMIT 2000
         ), ranked AS MATERIALIZED (
             SELECT f.delivery_id, f.event_id, f.webhook_id, f.since,
                    row_number() OVER (PARTITION BY f.webhook_id ORDER BY f.since, f.delivery_id) AS place,
                    coalesce(c.room, $4) AS room, coalesce(c.pause, $5) AS pause, coalesce(c.step, $6) AS step,
                    coalesce(c.longest, $7) AS longest
             FROM front AS f
             LEFT JOIN unnest($8, $9, $10, $11, $12) AS c (webhook_id, room, pause, step, longest) ON c.webhook_id = f.webhook_id
         ), chosen AS MATERIALIZED (
             SELECT r.delivery_id, r.event_id, r.place, r.since FROM ranked AS r WHERE r.place <= r.room
             ORDER BY r.place, r.since, r.delivery_id LIMIT $13
         ), locked AS MATERIALIZED (
             -- By the key for each: a join would be planned as if these were many.
             SELECT c.delivery_id, c.place, c.since, e.body FROM chosen AS c
             CROSS JOIN LATERAL (
                 SELECT FROM webhook_deliveries AS d
                 WHERE d.delivery_id = c.delivery_id AND (d.queued_until <= now() OR d.held_reason = 'DELIVERY_OFF')
                 LIMIT 1 FOR UPDATE SKIP LOCKED) AS d
             LEFT JOIN LATERAL (
                 SELECT event.body FROM webhook_events AS event WHERE event.event_id = c.event_id LIMIT 1) AS e ON true
         ), weighed AS (
             SELECT c.delivery_id, c.place, c.body, row_number() OVER turn AS turn,
                    sum(coalesce(octet_length(c.body), 0)) OVER turn AS bytes
             FROM locked AS c WINDOW turn AS (ORDER BY c.place, c.since, c.delivery_id)
         ), leased AS (
             UPDATE webhook_deliveries AS d SET queued_until = now() + $14, held_reason = NULL
             FROM weighed AS w WHERE d.delivery_id = w.delivery_id AND (w.bytes <= $15 OR w.turn = 1)
             RETURNING d.delivery_id, d.event_id, d.webhook_id, d.attempt_count, d.queued_until, d.event_type, d.created_at,
                       w.body, w.turn
         ), excess AS MATERIALIZED (
             SELECT r.delivery_id, r.webhook_id, r.place - r.room AS behind, least(r.pause + r.step * (r.place - r.room), r.longest) AS pause,
                    (SELECT count(*) = 2000 FROM front) AS is_full,
                    (SELECT 1000 / greatest(count(DISTINCT f.webhook_id), 1) FROM front AS f) AS spared
             FROM ranked AS r WHERE r.place > r.room
         ), put_off AS (
             UPDATE webhook_deliveries AS d SET queued_until = now() + x.pause * interval '1 microsecond', held_reason = NULL
             FROM (SELECT y.delivery_id, y.pause FROM excess AS y CROSS JOIN LATERAL (
                       SELECT FROM webhook_deliveries AS d
                       WHERE d.delivery_id = y.delivery_id AND (d.queued_until <= now() OR d.held_reason = 'DELIVERY_OFF')
                       LIMIT 1 FOR UPDATE SKIP LOCKED) AS d
                   WHERE y.is_full AND y.behind > y.spared AND y.pause > 5000000 LIMIT 2000) AS x
             WHERE d.delivery_id = x.delivery_id
             RETURNING d.delivery_id, d.queued_until
         )
         (SELECT l.delivery_id, l.event_id, l.webhook_id, l.attempt_count, l.queued_until, l.event_type, l.created_at, l.body,
                 NULL::bigint
          FROM leased AS l ORDER BY l.turn)
         UNION ALL
         SELECT NULL, NULL, x.webhook_id, NULL, max(p.queued_until), NULL, NULL, NULL, count(p.delivery_id)
         FROM excess AS x LEFT JOIN put_off AS p ON p.delivery_id = x.delivery_id GROUP BY x.webhook_id
         UNION ALL
         SELECT NULL, NULL, NULL, (SELECT (count(*) = 2000)::integer::smallint FROM front), NULL, NULL, NULL, NULL,
                (SELECT count(*) FROM chosen) - (SELECT count(*) FROM locked)";
}

type Row = (
    Option<Uuid>,
    Option<Uuid>,
    Option<Uuid>,
    Option<i16>,
    Option<DateTime<Utc>>,
    Option<String>,
    Option<DateTime<Utc>>,
    Option<Vec<u8>>,
    Option<i64>,
);

impl Sweep {
    fn new(lease: Duration, wanted: &Wanted) -> Self {
        let each = |value: fn(&Vacancy) -> i64| wanted.known.iter().map(|(_, vacancy)| value(vacancy)).collect();
        let otherwise = &wanted.otherwise;
        Self {
            room: i64::from(otherwise.room),
            pause: micros(otherwise.pause),
            step: micros(otherwise.step),
            longest: micros(otherwise.longest),
            known: wanted.known.iter().map(|(webhook_id, _)| webhook_id.uuid()).collect(),
            rooms: each(|vacancy| i64::from(vacancy.room)),
            pauses: each(|vacancy| micros(vacancy.pause)),
            steps: each(|vacancy| micros(vacancy.step)),
            longests: each(|vacancy| micros(vacancy.longest)),
            limit: i64::from(wanted.deliveries),
            lease: interval(lease),
            bytes: i64::try_from(wanted.bytes).unwrap_or(i64::MAX),
            latest: wanted.latest.map(DatabaseTime::to_utc),
            beyond: i64::from(wanted.beyond),
            passed_over: wanted.passed_over.iter().map(|webhook_id| webhook_id.uuid()).collect(),
        }
    }
}

/// No further than a few years: the statement multiplies with it.
fn micros(duration: Duration) -> i64 {
    const MOST: Duration = Duration::from_secs(100_000_000);
    i64::try_from(duration.min(MOST).as_micros()).unwrap_or(i64::MAX)
}

/// Takes deliveries whose lease or waiting time has passed, as many as `wanted` lets it, and leases each for `lease`.
///
/// A delivery whose event is not there any more can never be sent. Retention keeps events that deliveries wait for, so
/// only a hand in the database can cause that; such a delivery is cancelled and logged instead of being swept for ever. `process`
/// is counted as the one that cancelled it.
///
/// # Errors
/// [`StoreError::Query`]; then nothing was leased, or the leases run out by themselves.
pub async fn sweep(
    connection: &mut AsyncPgConnection,
    process: &str,
    lease: Duration,
    wanted: &Wanted,
) -> Result<Haul, StoreError> {
    let rows: Vec<Row> = Sweep::new(lease, wanted).load(connection).await.during("sweep due deliveries")?;
    let mut haul = Haul::default();
    let mut orphans = Vec::new();
    for (delivery_id, event_id, webhook_id, attempts, until, event_type, created_at, body, put_off) in rows {
        let Some(webhook_id) = webhook_id.map(SubscriptionId::from_uuid) else {
            haul.is_full = attempts == Some(1);
            haul.contended = put_off.map_or(0, |contended| u32::try_from(contended).unwrap_or(u32::MAX));
            continue;
        };
        let until = until.map(DatabaseTime::from_utc);
        if let Some(put_off) = put_off {
            haul.left_behind.push(LeftBehind { webhook_id, put_off: u64::try_from(put_off).unwrap_or(0), until });
            continue;
        }
        // Only the rows above have gaps.
        let (Some(delivery_id), Some(event_id), Some(attempts), Some(until), Some(event_type), Some(created_at)) =
            (delivery_id, event_id, attempts, until, event_type, created_at)
        else {
            return Err(StoreError::row("webhook_deliveries", "delivery_id", "a leased delivery has gaps"));
        };
        let Some(body) = body else {
            orphans.push(DeliveryId::from_uuid(delivery_id));
            continue;
        };
        let work = Work {
            delivery_id: DeliveryId::from_uuid(delivery_id),
            event_id: EventId::from_uuid(event_id),
            webhook_id,
            lease: Lease { attempts_made: count(attempts), until },
            event_type: event_type.into(),
            created_at: DatabaseTime::from_utc(created_at),
        };
        haul.deliveries.push(Swept { work, body: body.into() });
    }
    if !orphans.is_empty() {
        tracing::error!(deliveries = orphans.len(), "deliveries whose event is gone are cancelled");
        deliveries::cancel_orphans(connection, process, &orphans).await?;
    }
    Ok(haul)
}
