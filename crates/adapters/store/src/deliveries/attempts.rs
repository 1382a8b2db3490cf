use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use onering_delivery::AttemptOutcome;
use onering_ids::{DeliveryId, OwnerId};

use super::row::{Delivery, Row};
use crate::columns::{count, word};
use crate::schema::{external_delivery_logs as logs, webhook_deliveries as table};
use crate::{Context, StoreError};

/// A delivery with every attempt made so far, first one first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryWithAttempts {
    /// The delivery.
    pub delivery: Delivery,
    /// Its attempts.
    pub attempts: Vec<DeliveryAttempt>,
}

/// One HTTP POST of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryAttempt {
    /// From 1.
    pub attempt: u16,
    /// What it led to.
    pub outcome: AttemptOutcome,
    /// HTTP status; `None` when there was no answer.
    pub status_code: Option<u16>,
    /// Class of the failure and its cause.
    pub error: Option<String>,
    /// The beginning of the answer's body. Whatever the receiver likes: never to be logged.
    pub response_body: Option<String>,
    /// When the request was sent, by the database's clock.
    pub started_at: DateTime<Utc>,
    /// How long it took.
    pub duration_ms: u32,
    /// Which process made it.
    pub worker: String,
}

/// Reads one delivery of a partner; `None` when it has no such delivery.
///
/// # Errors
/// [`StoreError::Query`], or [`StoreError::Row`] for a row that is not understood.
pub async fn get(
    connection: &mut AsyncPgConnection,
    owner: &OwnerId,
    delivery: DeliveryId,
) -> Result<Option<DeliveryWithAttempts>, StoreError> {
    let found = get_any_owner(connection, delivery).await?;
    Ok(found.filter(|found| found.delivery.owner_id == *owner))
}

/// Reads one delivery, whoever owns it: for operators.
///
/// # Errors
/// As [`get`].
pub async fn get_any_owner(
    connection: &mut AsyncPgConnection,
    delivery: DeliveryId,
) -> Result<Option<DeliveryWithAttempts>, StoreError> {
    let id = delivery.uuid();
    let row: Option<Row> =
        table::table.find(id).select(Row::as_select()).first(connection).await.optional().during("read a delivery")?;
    let Some(row) = row else { return Ok(None) };
    let attempts: Vec<AttemptRow> = logs::table
        .filter(logs::delivery_id.eq(id))
        .order(logs::attempt)
        .select(AttemptRow::as_select())
        .load(connection)
        .await
        .during("read a delivery's attempts")?;
    Ok(Some(DeliveryWithAttempts {
        delivery: row.try_into()?,
        attempts: attempts.into_iter().map(DeliveryAttempt::try_from).collect::<Result<_, _>>()?,
    }))
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = crate::schema::external_delivery_logs, check_for_backend(diesel::pg::Pg))]
struct AttemptRow {
    attempt: i16,
    outcome: String,
    status_code: Option<i16>,
    error: Option<String>,
    response_body: Option<String>,
    started_at: DateTime<Utc>,
    duration_ms: i32,
    worker: String,
}

impl TryFrom<AttemptRow> for DeliveryAttempt {
    type Error = StoreError;

    fn try_from(row: AttemptRow) -> Result<Self, StoreError> {
        Ok(Self {
            attempt: count(row.attempt),
            outcome: word("external_delivery_logs", "outcome", &row.outcome)?,
            status_code: row.status_code.map(count),
            error: row.error,
            response_body: row.response_body,
            started_at: row.started_at,
            duration_ms: row.duration_ms.unsigned_abs(),
            worker: row.worker,
        })
    }
}
