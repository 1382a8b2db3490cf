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
    pub crowded: Vec<(SubscriptionId, Vacancy)>,
    /// Of each other one.
    pub otherwise: Vacancy,
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
        Self { deliveries, bytes: u64::MAX, crowded: Vec::new(), otherwise, latest: None }
    }
}

/// What a sweep brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Haul {
    /// What was leased, the subscriptions' oldest before their second oldest.
    pub deliveries: Vec<Swept>,
    /// Of whom more was due than there was room for.
    pub left_behind: Vec<LeftBehind>,
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
pub(crate) const FRONT: usize = 4_000;

statement! {
    /// Leases what is due, longest due first, skipping what somebody else is leasing at this moment. The delivery rows
    /// alone are locked: two sweeps never wait for each other over a common subscription or event.
    ///
    /// It looks at the 4,000 that are longest due, and of them takes the oldest of each subscription, then the second of
    /// each, and so on, within the subscription's room. Looked at are no more of them because the backlog can be of any
    /// size; so that one subscription's backlog does not hide the others for ever, what exceeds its room is put off when
    /// there may be more than was looked at: all but so many as leave half the front to others.
    pub(crate) struct Sweep {
        latest: Option<DateTime<Utc>> => Nullable<Timestamptz>,
        room: i64 => BigInt,
        pause: i64 => BigInt,
        step: i64 => BigInt,
        longest: i64 => BigInt,
        crowded: Vec<Uuid> => Array<SqlUuid>,
        rooms: Vec<i64> => Array<BigInt>,
        pauses: Vec<i64> => Array<BigInt>,
        steps: Vec<i64> => Array<BigInt>,
        longests: Vec<i64> => Array<BigInt>,
        limit: i64 => BigInt,
        lease: PgInterval => Interval,
        bytes: i64 => BigInt,
    } -> (
        Nullable<SqlUuid>, Nullable<SqlUuid>, SqlUuid, Nullable<SmallInt>, Nullable<Timestamptz>, Nullable<Text>,
        Nullable<Timestamptz>, Nullable<Binary>, Nullable<BigInt>
    ) =
        "WITH front AS MATERIALIZED (
             -- Bounded twice: within, the planner must not know that it is by much, or it sorts the whole backlog instead of
             -- following the index; without, it must, or it takes the backlog for what is updated below.
             SELECT f.delivery_id, f.event_id, f.webhook_id, f.queued_until FROM (
                 SELECT d.delivery_id, d.event_id, d.webhook_id, d.queued_until FROM webhook_deliveries AS d
                 WHERE d.queued_until <= now() ORDER BY d.queued_until
                 LIMIT (SELECT CASE WHEN now() > $1 THEN 0 ELSE 4000 END) FOR UPDATE SKIP LOCKED
             ) AS f LIMIT 4000
         ), ranked AS MATERIALIZED (
             SELECT f.delivery_id, f.event_id, f.webhook_id, f.queued_until,
                    row_number() OVER (PARTITION BY f.webhook_id ORDER BY f.queued_until, f.delivery_id) AS place,
                    coalesce(c.room, $2) AS room, coalesce(c.pause, $3) AS pause, coalesce(c.step, $4) AS step,
                    coalesce(c.longest, $5) AS longest
             FROM front AS f
             LEFT JOIN unnest($6, $7, $8, $9, $10) AS c (webhook_id, room, pause, step, longest) ON c.webhook_id = f.webhook_id
         ), chosen AS MATERIALIZED (
             SELECT r.delivery_id, r.event_id, r.place, r.queued_until FROM ranked AS r WHERE r.place <= r.room
             ORDER BY r.place, r.queued_until, r.delivery_id LIMIT $11
         ), weighed AS (
             SELECT c.delivery_id, c.place, e.body, row_number() OVER turn AS turn,
                    sum(coalesce(octet_length(e.body), 0)) OVER turn AS bytes
             -- By the key for each: a join would be planned as if these were many.
             FROM chosen AS c LEFT JOIN LATERAL (
                 SELECT event.body FROM webhook_events AS event WHERE event.event_id = c.event_id LIMIT 1) AS e ON true
             WINDOW turn AS (ORDER BY c.place, c.queued_until, c.delivery_id)
         ), leased AS (
             UPDATE webhook_deliveries AS d SET queued_until = now() + $12
             FROM weighed AS w WHERE d.delivery_id = w.delivery_id AND (w.bytes <= $13 OR w.turn = 1)
             RETURNING d.delivery_id, d.event_id, d.webhook_id, d.attempt_count, d.queued_until, d.event_type, d.created_at,
                       w.body, w.turn
         ), excess AS MATERIALIZED (
             SELECT r.delivery_id, r.webhook_id, r.place - r.room AS behind, r.pause, r.step, r.longest,
                    (SELECT count(*) = 4000 FROM front) AS is_full,
                    (SELECT 2000 / greatest(count(DISTINCT f.webhook_id), 1) FROM front AS f) AS spared
             FROM ranked AS r WHERE r.place > r.room
         ), put_off AS (
             UPDATE webhook_deliveries AS d
             SET queued_until = now() + least(x.pause + x.step * x.behind, x.longest) * interval '1 microsecond'
             FROM excess AS x WHERE d.delivery_id = x.delivery_id AND x.is_full AND x.behind > x.spared
             RETURNING d.delivery_id, d.queued_until
         )
         (SELECT l.delivery_id, l.event_id, l.webhook_id, l.attempt_count, l.queued_until, l.event_type, l.created_at, l.body,
                 NULL::bigint
          FROM leased AS l ORDER BY l.turn)
         UNION ALL
         SELECT NULL, NULL, x.webhook_id, NULL, max(p.queued_until), NULL, NULL, NULL, count(p.delivery_id)
         FROM excess AS x LEFT JOIN put_off AS p ON p.delivery_id = x.delivery_id GROUP BY x.webhook_id";
}

type Row = (
    Option<Uuid>,
    Option<Uuid>,
    Uuid,
    Option<i16>,
    Option<DateTime<Utc>>,
    Option<String>,
    Option<DateTime<Utc>>,
    Option<Vec<u8>>,
    Option<i64>,
);

impl Sweep {
    fn new(lease: Duration, wanted: &Wanted) -> Self {
        let each = |value: fn(&Vacancy) -> i64| wanted.crowded.iter().map(|(_, vacancy)| value(vacancy)).collect();
        let otherwise = &wanted.otherwise;
        Self {
            room: i64::from(otherwise.room),
            pause: micros(otherwise.pause),
            step: micros(otherwise.step),
            longest: micros(otherwise.longest),
            crowded: wanted.crowded.iter().map(|(webhook_id, _)| webhook_id.uuid()).collect(),
            rooms: each(|vacancy| i64::from(vacancy.room)),
            pauses: each(|vacancy| micros(vacancy.pause)),
            steps: each(|vacancy| micros(vacancy.step)),
            longests: each(|vacancy| micros(vacancy.longest)),
            limit: i64::from(wanted.deliveries),
            lease: interval(lease),
            bytes: i64::try_from(wanted.bytes).unwrap_or(i64::MAX),
            latest: wanted.latest.map(DatabaseTime::to_utc),
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
        let webhook_id = SubscriptionId::from_uuid(webhook_id);
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
