//! The meter of a rotation: which of two secrets a receiver is known to use.

use chrono::{DateTime, Utc};
use diesel::sql_types::{Array, BigInt, Bool, Nullable, Timestamptz, Uuid as SqlUuid};
use diesel::{OptionalExtension, Queryable};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use onering_ids::{SecretId, SubscriptionId};
use onering_webhooks::Rotation;
use uuid::Uuid;

use crate::statement::statement;
use crate::{Context, StoreError};

/// What a worker saw of one rotation since it last wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RotationCount {
    /// The subscription.
    pub webhook_id: SubscriptionId,
    /// The secret that signed as the current one. Counts of another rotation's are dropped.
    pub secret_id: SecretId,
    /// Requests signed with both secrets.
    pub sent_with_both: u32,
    /// 2xx answers that named the current secret.
    pub verified_with_current: u32,
    /// 2xx answers that named the previous one.
    pub verified_with_previous: u32,
    /// Whether a request signed with the current secret alone was answered 2xx.
    pub confirmed: bool,
}

statement! {
    struct Start {
        webhook_id: Uuid => SqlUuid,
        secret_id: Uuid => SqlUuid,
        previous_expires_at: DateTime<Utc> => Timestamptz,
    } -> () = "
        INSERT INTO external_webhook_rotations (webhook_id, secret_id, previous_expires_at) VALUES ($1, $2, $3)
        ON CONFLICT (webhook_id) DO UPDATE SET secret_id = excluded.secret_id, started_at = now(),
            previous_expires_at = excluded.previous_expires_at, sent_with_both = 0, verified_with_current = 0,
            verified_with_previous = 0, last_verified_with_current_at = NULL, last_verified_with_previous_at = NULL,
            confirmed_at = NULL";
}

statement! {
    struct Forget { webhook_id: Uuid => SqlUuid } -> () = "
        DELETE FROM external_webhook_rotations WHERE webhook_id = $1";
}

statement! {
    struct Read { webhook_id: Uuid => SqlUuid } -> (
        Timestamptz, Timestamptz, BigInt, BigInt, BigInt, Nullable<Timestamptz>, Nullable<Timestamptz>,
        Nullable<Timestamptz>,
    ) = "
        SELECT started_at, previous_expires_at, sent_with_both, verified_with_current, verified_with_previous,
            last_verified_with_current_at, last_verified_with_previous_at, confirmed_at
        FROM external_webhook_rotations WHERE webhook_id = $1 AND previous_expires_at > now()";
}

// Rows are locked in the order of their ids, so that workers that count together never deadlock.
statement! {
    struct Count {
        webhook_ids: Vec<Uuid> => Array<SqlUuid>,
        secret_ids: Vec<Uuid> => Array<SqlUuid>,
        sent: Vec<i64> => Array<BigInt>,
        current: Vec<i64> => Array<BigInt>,
        previous: Vec<i64> => Array<BigInt>,
        confirmed: Vec<bool> => Array<Bool>,
    } -> () = "
        WITH counted AS (
            SELECT * FROM unnest($1, $2, $3, $4, $5, $6)
                AS t (webhook_id, secret_id, sent, current, previous, confirmed)
        ), held AS (
            SELECT c.* FROM external_webhook_rotations AS r
            JOIN counted AS c ON c.webhook_id = r.webhook_id AND c.secret_id = r.secret_id
            ORDER BY r.webhook_id FOR UPDATE OF r
        )
        UPDATE external_webhook_rotations AS r SET
            sent_with_both = r.sent_with_both + h.sent,
            verified_with_current = r.verified_with_current + h.current,
            verified_with_previous = r.verified_with_previous + h.previous,
            last_verified_with_current_at = CASE WHEN h.current > 0 THEN now() ELSE r.last_verified_with_current_at END,
            last_verified_with_previous_at =
                CASE WHEN h.previous > 0 THEN now() ELSE r.last_verified_with_previous_at END,
            confirmed_at = coalesce(r.confirmed_at, CASE WHEN h.confirmed OR h.current > 0 THEN now() END)
        FROM held AS h WHERE r.webhook_id = h.webhook_id";
}

#[derive(Queryable)]
struct Row {
    started_at: DateTime<Utc>,
    previous_expires_at: DateTime<Utc>,
    sent_with_both: i64,
    verified_with_current: i64,
    verified_with_previous: i64,
    last_verified_with_current_at: Option<DateTime<Utc>>,
    last_verified_with_previous_at: Option<DateTime<Utc>>,
    confirmed_at: Option<DateTime<Utc>>,
}

impl From<Row> for Rotation {
    fn from(row: Row) -> Self {
        Self {
            started_at: row.started_at,
            previous_expires_at: row.previous_expires_at,
            sent_with_both: row.sent_with_both.unsigned_abs(),
            verified_with_current: row.verified_with_current.unsigned_abs(),
            verified_with_previous: row.verified_with_previous.unsigned_abs(),
            last_verified_with_current_at: row.last_verified_with_current_at,
            last_verified_with_previous_at: row.last_verified_with_previous_at,
            confirmed_at: row.confirmed_at,
        }
    }
}

/// A subscription's rotation whose overlap is on; `None` when none is. Whose it is, is for the caller to know.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails.
pub async fn rotation(
    conn: &mut AsyncPgConnection,
    webhook_id: SubscriptionId,
) -> Result<Option<Rotation>, StoreError> {
    let row: Option<Row> =
        Read { webhook_id: webhook_id.uuid() }.get_result(conn).await.optional().during("read a rotation")?;
    Ok(row.map(Rotation::from))
}

/// Adds what was counted, at most one count a subscription, in one statement.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails; nothing is added then.
pub async fn count_rotations(conn: &mut AsyncPgConnection, counts: &[RotationCount]) -> Result<(), StoreError> {
    let column = |value: fn(&RotationCount) -> u32| counts.iter().map(|count| value(count).into()).collect();
    Count {
        webhook_ids: counts.iter().map(|count| count.webhook_id.uuid()).collect(),
        secret_ids: counts.iter().map(|count| count.secret_id.uuid()).collect(),
        sent: column(|count| count.sent_with_both),
        current: column(|count| count.verified_with_current),
        previous: column(|count| count.verified_with_previous),
        confirmed: counts.iter().map(|count| count.confirmed).collect(),
    }
    .execute(conn)
    .await
    .during("count the answers of a rotation")?;
    Ok(())
}

/// Begins to meter a rotation, in place of an earlier one.
pub(super) async fn start_rotation(
    conn: &mut AsyncPgConnection,
    webhook_id: SubscriptionId,
    secret_id: SecretId,
    previous_expires_at: DateTime<Utc>,
) -> Result<(), StoreError> {
    Start { webhook_id: webhook_id.uuid(), secret_id: secret_id.uuid(), previous_expires_at }
        .execute(conn)
        .await
        .during("begin to meter a rotation")?;
    Ok(())
}

/// Ends the metering of an earlier rotation: there is no overlap any more.
pub(super) async fn forget_rotation(
    conn: &mut AsyncPgConnection,
    webhook_id: SubscriptionId,
) -> Result<(), StoreError> {
    Forget { webhook_id: webhook_id.uuid() }.execute(conn).await.during("end the metering of a rotation")?;
    Ok(())
}
