use diesel::sql_types::{Array, BigInt, Nullable, Text, Uuid as SqlUuid};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use onering_delivery::Status;
use onering_ids::{OwnerId, SubscriptionId};
use uuid::Uuid;

use super::job::{ReplayScope, repeats_after};
use crate::columns::word;
use crate::statement::statement;
use crate::{Context, StoreError};

/// Which index serves depends on the range, the statuses and the partner at hand, so each time has a plan of its own.
pub(super) const PLAN_FOR_THESE: &str = "SET LOCAL plan_cache_mode = force_custom_plan";

/// How many originals of one subscription and one status a replay would go over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplayCount {
    /// The subscription.
    pub webhook_id: SubscriptionId,
    /// What they count as: delivered once they or a repeat of them were, else their own status.
    pub status: Status,
    /// How many.
    pub originals: u64,
}

statement! {
    /// The same originals that the steps of a job made now come to.
    pub(crate) struct Count<'a> {
        repeats_after: Uuid => SqlUuid,
        first: Uuid => SqlUuid,
        after: Uuid => SqlUuid,
        own_statuses: Vec<&'static str> => Array<Text>,
        owner_id: Option<&'a str> => Nullable<Text>,
        webhook_id: Option<Uuid> => Nullable<SqlUuid>,
        event_type: Option<&'a str> => Nullable<Text>,
        wanted: Vec<&'static str> => Array<Text>,
    } -> (SqlUuid, Text, BigInt) =
        "SELECT d.webhook_id, s.status, count(*)
         FROM webhook_deliveries AS d
         LEFT JOIN (
             SELECT DISTINCT r.event_id, r.webhook_id FROM webhook_deliveries AS r
             WHERE r.delivery_id > $1 AND r.delivery_id < onering.uuid_floor(now() + interval '1 day')
                 AND r.original_delivery_id IS NOT NULL AND r.status = 'DELIVERED' AND r.settled_at <= now()
         ) AS brought ON brought.event_id = d.event_id AND brought.webhook_id = d.webhook_id
         CROSS JOIN LATERAL (SELECT CASE WHEN brought.event_id IS NULL THEN d.status ELSE 'DELIVERED' END AS status) AS s
         WHERE d.delivery_id > $2 AND d.delivery_id < $3 AND d.status = ANY($4) AND ($5 IS NULL OR d.owner_id = $5)
             AND d.original_delivery_id IS NULL AND d.settled_at <= now()
             AND ($6 IS NULL OR d.webhook_id = $6) AND ($7 IS NULL OR d.event_type = $7) AND s.status = ANY($8)
         GROUP BY d.webhook_id, s.status ORDER BY count(*) DESC, d.webhook_id, s.status";
}

/// Counts the originals that a replay made now would go over, the most first.
///
/// Reads every original of the range that has one of the statuses: for what failed these are few and have an index, for what
/// was delivered they may be all.
///
/// # Errors
/// [`StoreError::Query`], or [`StoreError::Row`] for a row that is not understood.
pub async fn count(connection: &mut AsyncPgConnection, scope: &ReplayScope) -> Result<Vec<ReplayCount>, StoreError> {
    let query = Count {
        repeats_after: repeats_after(scope.first()),
        first: scope.first().uuid(),
        after: scope.after().uuid(),
        own_statuses: scope.own_statuses(),
        owner_id: scope.owner_id.as_ref().map(OwnerId::as_str),
        webhook_id: scope.webhook_id.map(SubscriptionId::uuid),
        event_type: scope.event_type.as_ref().map(AsRef::as_ref),
        wanted: scope.wanted(),
    };
    let rows: Vec<(Uuid, String, i64)> = connection
        .transaction(async |connection| {
            connection.batch_execute(PLAN_FOR_THESE).await.during("choose how to count")?;
            query.load(connection).await.during("count what to replay")
        })
        .await?;
    rows.into_iter()
        .map(|(webhook_id, status, originals)| {
            Ok(ReplayCount {
                webhook_id: SubscriptionId::from_uuid(webhook_id),
                status: word("webhook_deliveries", "status", &status)?,
                originals: originals.unsigned_abs(),
            })
        })
        .collect()
}
