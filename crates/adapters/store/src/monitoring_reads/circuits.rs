//! Circuit breakers, as their events tell.
//!
//! A circuit is open while its latest event opened it and that event's end is not over: an end that passes without another
//! event (Redis was lost, or nothing more is to be sent) closes it too.

use chrono::{DateTime, Utc};
use diesel::Queryable;
use diesel::sql_types::{BigInt, Nullable, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use onering_ids::SubscriptionId;
use uuid::Uuid;

use crate::statement::statement;
use crate::{Context, StoreError};

/// The circuits of all subscriptions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CircuitTotals {
    /// How many are open now.
    pub open: u64,
    /// How often one opened in the time asked for. One that failed its probe had not been closed, and does not count again.
    pub opens: u64,
}

/// The circuit of one subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Circuit {
    /// Until when it is open; `None` when it is not.
    pub open_until: Option<DateTime<Utc>>,
    /// How often it opened in the time asked for.
    pub opens: u64,
}

statement! {
    pub(super) struct Totals { since: DateTime<Utc> => Timestamptz } -> (BigInt, BigInt) = "
        SELECT (SELECT count(*) FROM circuit_events AS e WHERE e.open_until > now() AND NOT EXISTS (
                    SELECT FROM circuit_events AS l WHERE l.webhook_id = e.webhook_id AND l.at > e.at)),
               (SELECT count(*) FROM circuit_events AS e WHERE e.at >= $1 AND e.kind = 'OPENED')";
}

statement! {
    pub(super) struct Of { webhook_id: Uuid => SqlUuid, since: DateTime<Utc> => Timestamptz }
    -> (Nullable<Timestamptz>, BigInt) = "
        SELECT (SELECT CASE WHEN l.open_until > now() THEN l.open_until END FROM circuit_events AS l
                WHERE l.webhook_id = a.webhook_id ORDER BY l.at DESC LIMIT 1),
               (SELECT count(*) FROM circuit_events AS e
                WHERE e.webhook_id = a.webhook_id AND e.at >= a.since AND e.kind = 'OPENED')
        FROM (SELECT $1 AS webhook_id, $2 AS since) AS a";
}

#[derive(Queryable)]
struct TotalsRow {
    open: i64,
    opens: i64,
}

#[derive(Queryable)]
struct Row {
    open_until: Option<DateTime<Utc>>,
    opens: i64,
}

/// All circuits, with what happened from `since` on.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails.
pub async fn circuit_totals(conn: &mut AsyncPgConnection, since: DateTime<Utc>) -> Result<CircuitTotals, StoreError> {
    let row: TotalsRow = Totals { since }.get_result(conn).await.during("count circuits")?;
    Ok(CircuitTotals { open: row.open.unsigned_abs(), opens: row.opens.unsigned_abs() })
}

/// One subscription's circuit, with what happened from `since` on.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails.
pub async fn circuit_of(
    conn: &mut AsyncPgConnection,
    webhook_id: SubscriptionId,
    since: DateTime<Utc>,
) -> Result<Circuit, StoreError> {
    let query = Of { webhook_id: webhook_id.uuid(), since };
    let row: Row = query.get_result(conn).await.during("read a subscription's circuit")?;
    Ok(Circuit { open_until: row.open_until, opens: row.opens.unsigned_abs() })
}
