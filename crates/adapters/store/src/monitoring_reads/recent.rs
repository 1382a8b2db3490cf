//! The newest deliveries, for a dashboard.
//!
//! Each kind of question has its own statement with its own index, because no single plan serves "the newest of
//! everything" and "the few that are dead" alike. None of them reads more than a bound: a dashboard asks what happens
//! now; complete lists with a cursor are `deliveries`'.

use chrono::{DateTime, Utc};
use diesel::Queryable;
use diesel::sql_types::{BigInt, Bool, Integer, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use onering_delivery::{HeldReason, Status};
use onering_ids::{DeliveryId, EventId, OwnerId, SubscriptionId};
use onering_metrics_model::RecentDelivery;
use uuid::Uuid;

use crate::StoreError;
use crate::by_index::{Along, by_index};
use crate::columns::{count, word};
use crate::statement::{held_reasons, newest_of_owner, statement};

const TABLE: &str = "webhook_deliveries";
const LIST: &str = "list recent deliveries";

/// Which deliveries; `None` means any.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecentFilter {
    /// In this state.
    pub status: Option<Status>,
    /// Held, or not held.
    pub held: Option<bool>,
    /// Held for this reason.
    pub held_reason: Option<HeldReason>,
    /// Of events of this type.
    pub event_type: Option<String>,
    /// To this subscription.
    pub webhook_id: Option<SubscriptionId>,
    /// To this partner's subscriptions.
    pub owner_id: Option<OwnerId>,
}

macro_rules! columns {
    () => {
        "d.delivery_id, d.event_id, d.webhook_id, d.owner_id, d.event_type, d.status, d.attempt_count, \
         d.next_attempt_at, d.held_reason, d.last_status_code, d.last_error, d.delivered_at, d.delivery_latency_ms, \
         d.created_at"
    };
}
type Columns = (
    SqlUuid,
    SqlUuid,
    SqlUuid,
    Text,
    Text,
    Text,
    SmallInt,
    Nullable<Timestamptz>,
    Nullable<Text>,
    Nullable<SmallInt>,
    Nullable<Text>,
    Nullable<Timestamptz>,
    Nullable<Integer>,
    Timestamptz,
);

/// The tail of every statement: the filters over the candidates that its index brought, newest first.
macro_rules! filtered {
    () => {
        " WHERE ($1 IS NULL OR d.owner_id = $1) AND ($2 IS NULL OR d.webhook_id = $2) \
         AND ($3 IS NULL OR d.status = $3) AND ($4 IS NULL OR d.event_type = $4) \
         AND ($5 IS NULL OR (d.held_reason IS NOT NULL) = $5) AND ($6 IS NULL OR d.held_reason = $6) \
         ORDER BY d.delivery_id DESC LIMIT $7"
    };
}

/// The statements differ only in where their candidates come from. Each names the table as seldom as it can: planning costs each
/// mention times the partitions, and a plan for such values is made anew each time.
macro_rules! recent_statement {
    ($name:ident, $candidates:expr) => {
        statement! {
            pub(super) struct $name {
                owner_id: Option<String> => Nullable<Text>,
                webhook_id: Option<Uuid> => Nullable<SqlUuid>,
                status: Option<&'static str> => Nullable<Text>,
                event_type: Option<String> => Nullable<Text>,
                held: Option<bool> => Nullable<Bool>,
                held_reason: Option<&'static str> => Nullable<Text>,
                limit: i64 => BigInt,
            } -> Columns = concat!("SELECT ", columns!(), " FROM (", $candidates, ") AS d", filtered!());
        }

        #[cfg(test)]
        impl $name {
            pub(super) fn any() -> Self {
                let owner_id = Some(String::new());
                let (webhook_id, status, event_type, held, held_reason) = (None, None, None, None, None);
                Self { owner_id, webhook_id, status, event_type, held, held_reason, limit: 10 }
            }
        }
    };
}

// The newest of all, by primary key.
recent_statement!(RecentOfAll, "SELECT * FROM webhook_deliveries ORDER BY delivery_id DESC LIMIT 20000");

// The newest of one owner; a subscription is looked for among its owner's.
recent_statement!(
    RecentOfOwner,
    concat!(
        "SELECT c.* FROM (SELECT coalesce($1, (SELECT w.owner_id FROM external_webhooks AS w WHERE w.webhook_id = $2)) AS owner, \
         '00000000-0000-0000-0000-000000000000'::uuid AS first, 'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid AS after \
         OFFSET 0) AS a CROSS JOIN LATERAL (",
        newest_of_owner!(),
        " LIMIT 20000) AS c"
    )
);

/// Of what is held, the newest for each reason.
macro_rules! newest_held {
    () => {
        concat!(
            "SELECT h.* FROM (",
            held_reasons!(),
            ") AS r (reason) CROSS JOIN LATERAL (\
                 SELECT * FROM webhook_deliveries WHERE held_reason = r.reason AND held_reason IS NOT NULL \
                 ORDER BY delivery_id DESC LIMIT 20000) AS h"
        )
    };
}

// What waits, by the partial indexes: a part of it where it is very much. What is PENDING is due within a lease, what is RETRYING
// in up to days: each is looked for from its own end, or any number of the one would hide the other.
recent_statement!(
    RecentPending,
    concat!(
        "(SELECT * FROM webhook_deliveries WHERE queued_until IS NOT NULL ORDER BY queued_until LIMIT 20000) UNION ALL ",
        newest_held!()
    )
);
recent_statement!(
    RecentRetrying,
    "SELECT * FROM webhook_deliveries WHERE queued_until IS NOT NULL ORDER BY queued_until DESC LIMIT 20000"
);
recent_statement!(RecentHeld, newest_held!());

// The few that ended badly, among those of the last day.
recent_statement!(
    RecentFailed,
    "SELECT * FROM webhook_deliveries WHERE status IN ('DEAD', 'REPLAY_EXPIRED', 'CANCELLED') \
     AND delivery_id >= onering.uuid_floor(now() - interval '1 day') ORDER BY delivery_id DESC LIMIT 20000"
);

#[derive(Queryable)]
struct Row {
    delivery_id: Uuid,
    event_id: Uuid,
    webhook_id: Uuid,
    owner_id: String,
    event_type: String,
    status: String,
    attempt_count: i16,
    next_attempt_at: Option<DateTime<Utc>>,
    held_reason: Option<String>,
    last_status_code: Option<i16>,
    last_error: Option<String>,
    delivered_at: Option<DateTime<Utc>>,
    delivery_latency_ms: Option<i32>,
    created_at: DateTime<Utc>,
}

impl TryFrom<Row> for RecentDelivery {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        Ok(Self {
            delivery_id: DeliveryId::from_uuid(row.delivery_id),
            event_id: EventId::from_uuid(row.event_id),
            event_type: row.event_type,
            webhook_id: SubscriptionId::from_uuid(row.webhook_id),
            owner_id: word(TABLE, "owner_id", &row.owner_id)?,
            status: word(TABLE, "status", &row.status)?,
            held_reason: row.held_reason.map(|reason| word(TABLE, "held_reason", &reason)).transpose()?,
            attempt_count: count(row.attempt_count),
            last_status_code: row.last_status_code.map(count),
            last_error: row.last_error,
            next_attempt_at: row.next_attempt_at,
            delivered_at: row.delivered_at,
            delivery_latency_ms: row.delivery_latency_ms.map(i32::unsigned_abs),
            created_at: row.created_at,
        })
    }
}

/// The newest deliveries that pass the filter. DEAD, REPLAY_EXPIRED and CANCELLED ones are looked for among the last day's,
/// all others among the newest 20,000 of the owner; without an owner or subscription, among the newest 20,000 of all and
/// waiting ones among 20,000 that are due and 20,000 for each reason to be held.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails.
pub async fn recent_deliveries(
    conn: &mut AsyncPgConnection,
    filter: &RecentFilter,
    limit: u32,
) -> Result<Vec<RecentDelivery>, StoreError> {
    let owner_id = filter.owner_id.as_ref().map(ToString::to_string);
    let webhook_id = filter.webhook_id.map(SubscriptionId::uuid);
    let status = filter.status.map(Status::as_str);
    let event_type = filter.event_type.clone();
    let (held, held_reason) = (filter.held, filter.held_reason.map(HeldReason::as_str));
    let limit = limit.into();
    macro_rules! load {
        ($statement:ident) => {
            by_index(conn, Along::ItsOrder, LIST, async |conn| {
                $statement { owner_id, webhook_id, status, event_type, held, held_reason, limit }.load(conn).await
            })
            .await
        };
    }
    let rows: Vec<Row> = match filter.status {
        Some(Status::Dead | Status::ReplayExpired | Status::Cancelled) => load!(RecentFailed),
        // Not by what waits: that may be other partners', any amount of it.
        _ if owner_id.is_some() || webhook_id.is_some() => load!(RecentOfOwner),
        // Only what waits is held.
        _ if held == Some(true) || held_reason.is_some() => load!(RecentHeld),
        Some(Status::Pending) => load!(RecentPending),
        Some(Status::Retrying) => load!(RecentRetrying),
        Some(Status::Delivered) | None => load!(RecentOfAll),
    }?;
    rows.into_iter().map(RecentDelivery::try_from).collect()
}
