use diesel::sql_types::{Array, BigInt, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use onering_delivery::HeldReason;
use onering_ids::{DeliveryId, SubscriptionId};
use uuid::Uuid;

use crate::statement::statement;
use crate::{Context, StoreError};

statement! {
    /// Held rows are found by reason and subscription, queued ones among all that are queued: there are few of those.
    struct CancelWaiting<'a> {
        webhook_id: Uuid => SqlUuid,
        reasons: Vec<&'static str> => Array<Text>,
        process: &'a str => Text,
    } -> BigInt =
        "WITH waiting AS MATERIALIZED (
             SELECT d.delivery_id FROM webhook_deliveries AS d WHERE d.queued_until IS NOT NULL AND d.webhook_id = $1
             UNION ALL
             SELECT d.delivery_id FROM webhook_deliveries AS d
             WHERE d.held_reason = ANY($2) AND d.held_reason IS NOT NULL AND d.webhook_id = $1
         ), cancelled AS (
             UPDATE webhook_deliveries AS d SET status = 'CANCELLED', settled_at = now(), next_attempt_at = NULL,
                 queued_until = NULL, held_reason = NULL
             FROM waiting AS w WHERE d.delivery_id = w.delivery_id AND d.settled_at IS NULL
             RETURNING d.webhook_id, d.attempt_count
         ), counted AS (
             INSERT INTO delivery_stats AS c (minute, process, webhook_id, outcome, count, attempts)
             SELECT date_trunc('minute', now()), $3, webhook_id, 'CANCELLED', count(*), sum(attempt_count)
             FROM cancelled GROUP BY webhook_id
             ON CONFLICT (minute, process, webhook_id, outcome)
                 DO UPDATE SET count = c.count + excluded.count, attempts = c.attempts + excluded.attempts
         )
         SELECT count(*) FROM cancelled";
}

statement! {
    struct CancelOrphans<'a> {
        ids: Vec<Uuid> => Array<SqlUuid>,
        process: &'a str => Text,
    } -> BigInt =
        "WITH cancelled AS (
             UPDATE webhook_deliveries AS d SET status = 'CANCELLED', settled_at = now(), next_attempt_at = NULL,
                 queued_until = NULL, held_reason = NULL, last_error = 'the event is not stored any more'
             FROM unnest($1) AS orphan (delivery_id)
             WHERE d.delivery_id = orphan.delivery_id AND d.settled_at IS NULL
                 AND NOT EXISTS (SELECT FROM webhook_events AS e WHERE e.event_id = d.event_id)
             RETURNING d.webhook_id, d.attempt_count
         ), counted AS (
             INSERT INTO delivery_stats AS c (minute, process, webhook_id, outcome, count, attempts)
             SELECT date_trunc('minute', now()), $2, webhook_id, 'CANCELLED', count(*), sum(attempt_count)
             FROM cancelled GROUP BY webhook_id ORDER BY webhook_id
             ON CONFLICT (minute, process, webhook_id, outcome)
                 DO UPDATE SET count = c.count + excluded.count, attempts = c.attempts + excluded.attempts
         )
         SELECT count(*) FROM cancelled";
}

/// Cancels everything that waits for a subscription that was deleted, and answers how many. A delivery that a worker is
/// sending at this moment is cancelled too: its result finds a final row and writes nothing. `process` is counted as the one that
/// cancelled.
///
/// # Errors
/// [`StoreError::Query`].
pub async fn cancel_waiting(
    connection: &mut AsyncPgConnection,
    process: &str,
    subscription: SubscriptionId,
) -> Result<u64, StoreError> {
    let reasons = HeldReason::ALL.iter().map(|reason| reason.as_str()).collect();
    let query = CancelWaiting { webhook_id: subscription.uuid(), reasons, process };
    let cancelled: i64 = query.get_result(connection).await.during("cancel a subscription's deliveries")?;
    Ok(cancelled.unsigned_abs())
}

/// Cancels those of these deliveries that have no event any more.
pub(crate) async fn cancel_orphans(
    connection: &mut AsyncPgConnection,
    process: &str,
    orphans: &[DeliveryId],
) -> Result<u64, StoreError> {
    let query = CancelOrphans { ids: orphans.iter().map(|id| id.uuid()).collect(), process };
    let cancelled: i64 = query.get_result(connection).await.during("cancel deliveries without an event")?;
    Ok(cancelled.unsigned_abs())
}
