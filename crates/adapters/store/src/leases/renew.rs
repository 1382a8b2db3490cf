use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::sql_types::{Array, BigInt, Nullable, SmallInt, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use onering_delivery::{DatabaseTime, Lease};
use onering_ids::DeliveryId;
use uuid::Uuid;

use crate::columns::{count, smallint};
use crate::statement::statement;
use crate::{Context, StoreError};

/// A lease to renew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Renewal {
    /// The delivery.
    pub delivery_id: DeliveryId,
    /// The lease as the caller has it.
    pub lease: Lease,
    /// How long the new one lasts from now.
    pub length: Duration,
}

statement! {
    struct Renew {
        ids: Vec<Uuid> => Array<SqlUuid>,
        attempts: Vec<i16> => Array<SmallInt>,
        untils: Vec<DateTime<Utc>> => Array<Timestamptz>,
        lengths_us: Vec<i64> => Array<BigInt>,
        first: Uuid => SqlUuid,
        last: Uuid => SqlUuid,
        latest: Option<DateTime<Utc>> => Nullable<Timestamptz>,
    } -> (SqlUuid, SmallInt, Timestamptz) =
        "SELECT r.delivery_id, r.attempt_count, r.queued_until FROM onering.renew_leases($1, $2, $3, $4, $5, $6, $7) AS r";
}

/// Renews leases, as many as are still the caller's, and answers the new ones in any order. What is not answered belongs to
/// somebody else now or is final: drop it. Nothing is renewed when the statement reaches Postgres later than `latest`: whoever
/// sends it judged that leases which are over may be taken up, and that was then.
///
/// # Errors
/// [`StoreError::Query`].
pub async fn renew(
    connection: &mut AsyncPgConnection,
    renewals: &[Renewal],
    latest: Option<DatabaseTime>,
) -> Result<Vec<(DeliveryId, Lease)>, StoreError> {
    let ids: Vec<Uuid> = renewals.iter().map(|renewal| renewal.delivery_id.uuid()).collect();
    let (Some(&first), Some(&last)) = (ids.iter().min(), ids.iter().max()) else { return Ok(Vec::new()) };
    let query = Renew {
        ids,
        attempts: renewals.iter().map(|renewal| smallint(renewal.lease.attempts_made)).collect(),
        untils: renewals.iter().map(|renewal| renewal.lease.until.to_utc()).collect(),
        lengths_us: renewals
            .iter()
            .map(|renewal| i64::try_from(renewal.length.as_micros()).unwrap_or(i64::MAX))
            .collect(),
        first,
        last,
        latest: latest.map(DatabaseTime::to_utc),
    };
    let rows: Vec<(Uuid, i16, DateTime<Utc>)> = query.load(connection).await.during("renew leases")?;
    Ok(rows
        .into_iter()
        .map(|(id, attempts, until)| {
            let lease = Lease { attempts_made: count(attempts), until: DatabaseTime::from_utc(until) };
            (DeliveryId::from_uuid(id), lease)
        })
        .collect())
}
