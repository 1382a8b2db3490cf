//! How one subscription is doing.

use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel::{OptionalExtension, Queryable};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use onering_ids::{OwnerId, SubscriptionId};
use uuid::Uuid;

use super::circuits::{Circuit, circuit_of};
use super::totals::{OutcomeRow, OutcomeTotal};
use super::waiting::{Waiting, waiting_of};
use crate::columns::word;
use crate::statement::statement;
use crate::{Context, StoreError};

/// A subscription's state, its results and what waits for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionHealth {
    /// The subscription.
    pub webhook_id: SubscriptionId,
    /// Its owner.
    pub owner_id: OwnerId,
    /// Where its deliveries go.
    pub url: String,
    /// `active`, `paused` or `disabled`.
    pub status: String,
    /// Why it is disabled, if it is.
    pub disabled_reason: Option<String>,
    /// First failure since the last success; `None` while it succeeds.
    pub failing_since: Option<DateTime<Utc>>,
    /// Results of its attempts in the time asked for.
    pub outcomes: Vec<OutcomeTotal>,
    /// Minute of its last success in the time asked for.
    pub last_delivered_minute: Option<DateTime<Utc>>,
    /// What waits for it now.
    pub waiting: Waiting,
    /// Its circuit breaker.
    pub circuit: Circuit,
}

statement! {
    pub(super) struct Subscription { webhook_id: Uuid => SqlUuid, since: DateTime<Utc> => Timestamptz }
    -> (Text, Text, Text, Nullable<Text>, Nullable<Timestamptz>, Nullable<Timestamptz>) = "
        SELECT w.owner_id, w.url, w.status, w.disabled_reason, w.failing_since,
               (SELECT max(s.minute) FROM delivery_stats AS s
                WHERE s.webhook_id = w.webhook_id AND s.outcome = 'DELIVERED' AND s.minute >= a.since)
        FROM external_webhooks AS w JOIN (SELECT $1 AS webhook_id, $2 AS since) AS a USING (webhook_id)
        WHERE w.deleted_at IS NULL";
}

statement! {
    pub(super) struct Outcomes { webhook_id: Uuid => SqlUuid, since: DateTime<Utc> => Timestamptz }
    -> (Text, BigInt, BigInt) = "
        SELECT outcome, sum(count)::bigint, sum(attempts)::bigint FROM delivery_stats
        WHERE webhook_id = $1 AND minute >= $2 GROUP BY 1 ORDER BY 1";
}

#[derive(Queryable)]
struct Row {
    owner_id: String,
    url: String,
    status: String,
    disabled_reason: Option<String>,
    failing_since: Option<DateTime<Utc>>,
    last_delivered_minute: Option<DateTime<Utc>>,
}

/// The health of one subscription over the minutes from `since` on; `None` when there is no such subscription.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails.
pub async fn subscription_health(
    conn: &mut AsyncPgConnection,
    webhook_id: SubscriptionId,
    since: DateTime<Utc>,
) -> Result<Option<SubscriptionHealth>, StoreError> {
    const READ: &str = "read a subscription's health";
    let id = webhook_id.uuid();
    let row: Option<Row> = Subscription { webhook_id: id, since }.get_result(conn).await.optional().during(READ)?;
    let Some(row) = row else { return Ok(None) };
    let outcomes: Vec<OutcomeRow> = Outcomes { webhook_id: id, since }.load(conn).await.during(READ)?;
    let waiting = waiting_of(conn, webhook_id).await?;
    let circuit = circuit_of(conn, webhook_id, since).await?;
    Ok(Some(SubscriptionHealth {
        webhook_id,
        owner_id: word("external_webhooks", "owner_id", &row.owner_id)?,
        url: row.url,
        status: row.status,
        disabled_reason: row.disabled_reason,
        failing_since: row.failing_since,
        outcomes: outcomes.into_iter().map(OutcomeTotal::try_from).collect::<Result<_, _>>()?,
        last_delivered_minute: row.last_delivered_minute,
        waiting,
        circuit,
    }))
}
