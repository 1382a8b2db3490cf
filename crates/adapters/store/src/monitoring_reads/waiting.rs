//! What waits now, from the two partial indexes that hold waiting rows only.
//!
//! What is held may be any amount, for as long as its reason lasts: it is counted from the index alone. What is due and not
//! yet done is looked at row by row.

use chrono::{DateTime, Utc};
use diesel::Queryable;
use diesel::sql_types::{BigInt, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use onering_delivery::{HeldReason, Status};
use onering_ids::SubscriptionId;
use uuid::Uuid;

use crate::by_index::{Along, by_index};
use crate::columns::word;
use crate::statement::{held_reasons, newest_of_owner, statement};
use crate::{Context, StoreError};

const COUNT: &str = "count waiting deliveries";
const TABLE: &str = "webhook_deliveries";

/// The deliveries that are not final.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Waiting {
    /// Status PENDING, held ones included.
    pub pending: u64,
    /// Status RETRYING.
    pub retrying: u64,
    /// Held, and why; a reason nobody is held for is absent.
    pub held: Vec<HeldCount>,
    /// Creation of the oldest delivery that is not held.
    pub oldest_waiting_at: Option<DateTime<Utc>>,
}

impl Waiting {
    /// All that are held, whatever for.
    #[must_use]
    pub fn held_total(&self) -> u64 {
        self.held.iter().map(|held| held.count).sum()
    }
}

/// How many deliveries are held for one reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldCount {
    /// Why.
    pub reason: HeldReason,
    /// How many.
    pub count: u64,
}

type Columns = (Text, Nullable<Text>, BigInt, Nullable<Timestamptz>);

statement! {
    pub(super) struct AllWaiting {} -> Columns = "
        SELECT status, NULL::text, count(*), min(created_at) FROM webhook_deliveries
        WHERE queued_until IS NOT NULL GROUP BY status
        UNION ALL
        SELECT 'PENDING', held_reason, count(*), NULL FROM webhook_deliveries
        WHERE held_reason IS NOT NULL GROUP BY held_reason";
}

statement! {
    /// What is RETRYING and what is held have indexes by subscription. What is due for the first time has not, which would cost
    /// every delivery: it is looked for among the partner's newest.
    pub(super) struct WaitingOf { webhook_id: Uuid => SqlUuid } -> Columns = concat!(
        "SELECT 'RETRYING', NULL::text, count(*), min(d.created_at)
         FROM webhook_deliveries AS d WHERE d.status = 'RETRYING' AND d.webhook_id = $1
         UNION ALL
         SELECT 'PENDING', NULL, count(*), min(d.created_at)
         FROM (SELECT w.owner_id AS owner, '00000000-0000-0000-0000-000000000000'::uuid AS first,
                   'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid AS after
               FROM external_webhooks AS w WHERE w.webhook_id = $1 OFFSET 0) AS a
         CROSS JOIN LATERAL (", newest_of_owner!(), " LIMIT 20000) AS d
         WHERE d.webhook_id = $1 AND d.status = 'PENDING' AND d.queued_until IS NOT NULL
         UNION ALL
         SELECT 'PENDING', h.reason, h.count, NULL FROM (
             SELECT r.reason, (SELECT count(*) FROM webhook_deliveries AS d
                               WHERE d.held_reason = r.reason AND d.held_reason IS NOT NULL AND d.webhook_id = $1) AS count
             FROM (", held_reasons!(), ") AS r) AS h
         WHERE h.count > 0"
    );
}

#[derive(Queryable)]
struct Row {
    status: String,
    held_reason: Option<String>,
    count: i64,
    oldest: Option<DateTime<Utc>>,
}

/// What waits now.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails.
pub async fn waiting(conn: &mut AsyncPgConnection) -> Result<Waiting, StoreError> {
    gathered(by_index(conn, Along::AnyOrder, COUNT, async |conn| AllWaiting {}.load(conn).await).await?)
}

/// What waits now for one subscription. PENDING ones that are not held are counted among its partner's 20,000 newest
/// deliveries: where that many were made after them, those further back are missing.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails.
pub async fn waiting_of(conn: &mut AsyncPgConnection, webhook_id: SubscriptionId) -> Result<Waiting, StoreError> {
    let query = WaitingOf { webhook_id: webhook_id.uuid() };
    gathered(by_index(conn, Along::ItsOrder, COUNT, async |conn| query.load(conn).await).await?)
}

/// [`waiting_of`] as a part of a transaction, whose other statements are planned as ever.
pub(crate) async fn waiting_of_within(
    transaction: &mut AsyncPgConnection,
    webhook_id: SubscriptionId,
) -> Result<Waiting, StoreError> {
    gathered(WaitingOf { webhook_id: webhook_id.uuid() }.load(transaction).await.during(COUNT)?)
}

fn gathered(rows: Vec<Row>) -> Result<Waiting, StoreError> {
    let mut waiting = Waiting::default();
    for row in rows {
        let count = row.count.unsigned_abs();
        match word(TABLE, "status", &row.status)? {
            Status::Retrying => waiting.retrying += count,
            _ => waiting.pending += count,
        }
        if let Some(reason) = row.held_reason {
            waiting.held.push(HeldCount { reason: word(TABLE, "held_reason", &reason)?, count });
        }
        waiting.oldest_waiting_at = [waiting.oldest_waiting_at, row.oldest].into_iter().flatten().min();
    }
    waiting.held.sort_by_key(|held| held.reason);
    Ok(waiting)
}
