use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use diesel::data_types::PgInterval;
use diesel::sql_types::{BigInt, Binary, Interval, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid};
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

statement! {
    /// Leases what is due, longest due first, skipping what somebody else is leasing at this moment. The delivery rows
    /// alone are locked: two sweeps never wait for each other over a common subscription or event.
    pub(crate) struct Sweep {
        limit: i64 => BigInt,
        lease: PgInterval => Interval,
    } -> (SqlUuid, SqlUuid, SqlUuid, SmallInt, Timestamptz, Text, Timestamptz, Nullable<Binary>) =
        "WITH due AS MATERIALIZED (
             SELECT d.delivery_id FROM webhook_deliveries AS d
             WHERE d.queued_until <= now() ORDER BY d.queued_until LIMIT $1 FOR UPDATE SKIP LOCKED
         ), leased AS (
             UPDATE webhook_deliveries AS d SET queued_until = now() + $2
             FROM due WHERE d.delivery_id = due.delivery_id
             RETURNING d.delivery_id, d.event_id, d.webhook_id, d.attempt_count, d.queued_until, d.event_type, d.created_at
         )
         SELECT l.delivery_id, l.event_id, l.webhook_id, l.attempt_count, l.queued_until, l.event_type, l.created_at, e.body
         FROM leased AS l LEFT JOIN webhook_events AS e ON e.event_id = l.event_id";
}

type Row = (Uuid, Uuid, Uuid, i16, DateTime<Utc>, String, DateTime<Utc>, Option<Vec<u8>>);

/// Takes at most `limit` deliveries whose lease or waiting time has passed, and leases each for `lease`.
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
    limit: u32,
) -> Result<Vec<Swept>, StoreError> {
    let query = Sweep { limit: i64::from(limit), lease: interval(lease) };
    let rows: Vec<Row> = query.load(connection).await.during("sweep due deliveries")?;
    let mut swept = Vec::with_capacity(rows.len());
    let mut orphans = Vec::new();
    for (delivery_id, event_id, webhook_id, attempts, until, event_type, created_at, body) in rows {
        let Some(body) = body else {
            orphans.push(DeliveryId::from_uuid(delivery_id));
            continue;
        };
        let work = Work {
            delivery_id: DeliveryId::from_uuid(delivery_id),
            event_id: EventId::from_uuid(event_id),
            webhook_id: SubscriptionId::from_uuid(webhook_id),
            lease: Lease { attempts_made: count(attempts), until: DatabaseTime::from_utc(until) },
            event_type: event_type.into(),
            created_at: DatabaseTime::from_utc(created_at),
        };
        swept.push(Swept { work, body: body.into() });
    }
    if !orphans.is_empty() {
        tracing::error!(deliveries = orphans.len(), "deliveries whose event is gone are cancelled");
        deliveries::cancel_orphans(connection, process, &orphans).await?;
    }
    Ok(swept)
}
