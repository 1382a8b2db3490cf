//! Lists of deliveries, newest first.
//!
//! A page costs what its index brings, never what retention keeps. What waits and what belongs to one event have indexes of
//! their own. For the other filters the newest rows of an index are looked at, 20,000 at most: a page that ends there may
//! be short or empty, and its `next` goes on from where the look ended.

use chrono::{DateTime, Utc};
use diesel::OptionalExtension;
use diesel::sql_types::{BigInt, Bool, Integer, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use onering_delivery::{HeldReason, Status};
use onering_ids::{DeliveryId, EventId, OwnerId, SubscriptionId};
use uuid::Uuid;

use super::row::{Delivery, Row};
use crate::by_index::{Along, by_index};
use crate::statement::{PlannedEachTime, held_reasons, newest_of_owner, statement};
use crate::{Context, StoreError};

const LIST: &str = "list deliveries";

/// What to list; `None` for any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// Of this subscription.
    pub webhook_id: Option<SubscriptionId>,
    /// Of this event, repeats included.
    pub event_id: Option<EventId>,
    /// In this status.
    pub status: Option<Status>,
    /// Held, or not held.
    pub held: Option<bool>,
    /// Held for this reason.
    pub held_reason: Option<HeldReason>,
    /// Of this event type.
    pub event_type: Option<String>,
    /// Made at this instant or later, to the millisecond.
    pub from: Option<DateTime<Utc>>,
    /// Made before this instant, to the millisecond.
    pub until: Option<DateTime<Utc>>,
}

/// Which part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// At most this many.
    pub limit: u32,
    /// Only what is older than this delivery: the `next` of the page before.
    pub before: Option<DeliveryId>,
}

/// One page, newest first. It may be short, or empty, and still not be the last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryPage {
    /// The deliveries.
    pub items: Vec<Delivery>,
    /// Where the next page begins; `None` when this is the last.
    pub next: Option<DeliveryId>,
}

macro_rules! columns {
    () => {
        "d.delivery_id, d.event_id, d.webhook_id, d.owner_id, d.event_type, d.status, d.attempt_count, d.next_attempt_at, \
         d.queued_until, d.held_reason, d.last_status_code, d.last_error, d.delivered_at, d.delivery_latency_ms, \
         d.settled_at, d.original_delivery_id, d.created_at"
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
    Nullable<Timestamptz>,
    Nullable<Text>,
    Nullable<SmallInt>,
    Nullable<Text>,
    Nullable<Timestamptz>,
    Nullable<Integer>,
    Nullable<Timestamptz>,
    Nullable<SqlUuid>,
    Timestamptz,
);

/// The filters over the candidates that an index brought. `$1` and `$2` bound the ids in every statement.
macro_rules! filters {
    () => {
        "($3 IS NULL OR d.owner_id = $3) AND ($4 IS NULL OR d.webhook_id = $4) AND ($5 IS NULL OR d.status = $5) \
         AND ($6 IS NULL OR d.event_type = $6) AND ($7 IS NULL OR (d.held_reason IS NOT NULL) = $7) \
         AND ($8 IS NULL OR d.held_reason = $8)"
    };
}

macro_rules! newest_of_all {
    () => {
        "SELECT * FROM webhook_deliveries WHERE delivery_id >= $1 AND delivery_id < $2 ORDER BY delivery_id DESC"
    };
}

/// Whose deliveries: a subscription has one owner, and the index is by owner.
macro_rules! asked_owner {
    () => {
        "(SELECT $1 AS first, $2 AS after, \
         coalesce($3, (SELECT w.owner_id FROM external_webhooks AS w WHERE w.webhook_id = $4)) AS owner OFFSET 0) AS a"
    };
}

macro_rules! newest_failed {
    () => {
        "SELECT * FROM webhook_deliveries WHERE status IN ('DEAD', 'REPLAY_EXPIRED', 'CANCELLED') \
         AND delivery_id >= $1 AND delivery_id < $2 ORDER BY delivery_id DESC"
    };
}

/// The statements differ only in where their candidates come from.
macro_rules! list_statement {
    ($name:ident, $sql:expr) => {
        statement! {
            pub(crate) struct $name {
                first: Uuid => SqlUuid,
                after: Uuid => SqlUuid,
                owner_id: Option<String> => Nullable<Text>,
                webhook_id: Option<Uuid> => Nullable<SqlUuid>,
                status: Option<&'static str> => Nullable<Text>,
                event_type: Option<String> => Nullable<Text>,
                held: Option<bool> => Nullable<Bool>,
                held_reason: Option<&'static str> => Nullable<Text>,
                limit: i64 => BigInt,
            } -> Columns = $sql;
        }
    };
}

/// Looks at the 20,000 newest candidates.
macro_rules! look_back {
    ($candidates:expr) => {
        concat!(
            "SELECT ",
            columns!(),
            " FROM (",
            $candidates,
            " LIMIT 20000) AS d WHERE ",
            filters!(),
            " ORDER BY d.delivery_id DESC LIMIT $9"
        )
    };
}

list_statement!(OfAll, look_back!(newest_of_all!()));
list_statement!(Failed, look_back!(newest_failed!()));
list_statement!(
    OfOwner,
    concat!(
        "SELECT ",
        columns!(),
        " FROM ",
        asked_owner!(),
        " CROSS JOIN LATERAL (SELECT d.* FROM (",
        newest_of_owner!(),
        " LIMIT 20000) AS d WHERE ",
        filters!(),
        " ORDER BY d.owner_id DESC, d.delivery_id DESC LIMIT $9) AS d ORDER BY d.delivery_id DESC"
    )
);

// Where the looks back end; nothing where they come to the end of the candidates.
statement! {
    struct OfAllEnd { first: Uuid => SqlUuid, after: Uuid => SqlUuid } -> SqlUuid =
        concat!("SELECT d.delivery_id FROM (", newest_of_all!(), " OFFSET 19999 LIMIT 1) AS d");
}
statement! {
    struct FailedEnd { first: Uuid => SqlUuid, after: Uuid => SqlUuid } -> SqlUuid =
        concat!("SELECT d.delivery_id FROM (", newest_failed!(), " OFFSET 19999 LIMIT 1) AS d");
}
statement! {
    struct OfOwnerEnd {
        first: Uuid => SqlUuid,
        after: Uuid => SqlUuid,
        owner_id: Option<String> => Nullable<Text>,
        webhook_id: Option<Uuid> => Nullable<SqlUuid>,
    } -> SqlUuid = concat!(
        "SELECT d.delivery_id FROM ",
        asked_owner!(),
        " CROSS JOIN LATERAL (",
        newest_of_owner!(),
        " OFFSET 19999 LIMIT 1) AS d"
    );
}

// Whatever waits, from the two partial indexes: OFFSET keeps the sort of what is due outside, and what is held comes in order,
// one reason after the other. Planned each time: without the bounds' values the planner takes any range of ids for a small one.
list_statement!(
    OfWaiting,
    concat!(
        "SELECT ",
        columns!(),
        " FROM (
             (SELECT d.* FROM (SELECT * FROM webhook_deliveries
                  WHERE queued_until IS NOT NULL AND delivery_id >= $1 AND delivery_id < $2 OFFSET 0) AS d
              WHERE ",
        filters!(),
        " ORDER BY d.delivery_id DESC LIMIT $9)
             UNION ALL
             SELECT h.* FROM (",
        held_reasons!(),
        ") AS r (reason) CROSS JOIN LATERAL (
                 SELECT d.* FROM webhook_deliveries AS d
                 WHERE d.held_reason = r.reason AND d.held_reason IS NOT NULL AND d.delivery_id >= $1 AND d.delivery_id < $2
                     AND ",
        filters!(),
        " ORDER BY d.delivery_id DESC LIMIT $9) AS h
         ) AS d ORDER BY d.delivery_id DESC LIMIT $9"
    )
);

statement! {
    /// An event's own deliveries share its millisecond, which is the beginning of their key; repeats are made later.
    pub(crate) struct OfEvent {
        first: Uuid => SqlUuid,
        after: Uuid => SqlUuid,
        owner_id: Option<String> => Nullable<Text>,
        webhook_id: Option<Uuid> => Nullable<SqlUuid>,
        status: Option<&'static str> => Nullable<Text>,
        event_type: Option<String> => Nullable<Text>,
        held: Option<bool> => Nullable<Bool>,
        held_reason: Option<&'static str> => Nullable<Text>,
        event_id: Uuid => SqlUuid,
        event_first: Uuid => SqlUuid,
        event_after: Uuid => SqlUuid,
        limit: i64 => BigInt,
    } -> Columns = concat!(
        "SELECT ", columns!(), " FROM (
             SELECT * FROM webhook_deliveries AS d WHERE d.delivery_id >= $1 AND d.delivery_id < $2 AND ", filters!(), "
                 AND d.event_id = $9 AND d.delivery_id >= $10 AND d.delivery_id < $11 AND d.original_delivery_id IS NULL
             UNION ALL
             SELECT * FROM webhook_deliveries AS d WHERE d.delivery_id >= $1 AND d.delivery_id < $2 AND ", filters!(), "
                 AND d.event_id = $9 AND d.original_delivery_id IS NOT NULL
         ) AS d ORDER BY d.delivery_id DESC LIMIT $12"
    );
}

/// Lists a partner's deliveries, newest first.
///
/// # Errors
/// [`StoreError::Query`], or [`StoreError::Row`] for a row that is not understood.
pub async fn list(
    connection: &mut AsyncPgConnection,
    owner: &OwnerId,
    filter: &DeliveryFilter,
    page: Page,
) -> Result<DeliveryPage, StoreError> {
    load(connection, Some(owner), filter, page).await
}

/// Lists everybody's deliveries, newest first: for operators.
///
/// # Errors
/// As [`list`].
pub async fn list_any_owner(
    connection: &mut AsyncPgConnection,
    filter: &DeliveryFilter,
    page: Page,
) -> Result<DeliveryPage, StoreError> {
    load(connection, None, filter, page).await
}

/// Which statement has the candidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Event(EventId),
    Owner,
    Waiting,
    Failed,
    All,
}

impl Source {
    fn of(owner: Option<&OwnerId>, filter: &DeliveryFilter) -> Self {
        if let Some(event_id) = filter.event_id {
            return Self::Event(event_id);
        }
        if owner.is_some() || filter.webhook_id.is_some() {
            // Not by what waits: that may be other partners', any amount of it.
            return Self::Owner;
        }
        match filter.status {
            _ if filter.held == Some(true) || filter.held_reason.is_some() => Self::Waiting,
            Some(Status::Pending | Status::Retrying) => Self::Waiting,
            Some(Status::Dead | Status::ReplayExpired | Status::Cancelled) => Self::Failed,
            Some(Status::Delivered) | None => Self::All,
        }
    }
}

async fn load(
    connection: &mut AsyncPgConnection,
    owner: Option<&OwnerId>,
    filter: &DeliveryFilter,
    page: Page,
) -> Result<DeliveryPage, StoreError> {
    let source = Source::of(owner, filter);
    let (first, after) = bounds(filter, page);
    let owner_id = owner.map(ToString::to_string);
    let webhook_id = filter.webhook_id.map(SubscriptionId::uuid);
    let status = filter.status.map(Status::as_str);
    let (held, held_reason) = (filter.held, filter.held_reason.map(HeldReason::as_str));
    let event_type = filter.event_type.clone();
    let limit = i64::from(page.limit) + 1;
    macro_rules! query {
        ($statement:ident $(, $event:ident)*) => {{
            let owner_id = owner_id.clone();
            $statement { first, after, owner_id, webhook_id, status, event_type, held, held_reason, limit $(, $event)* }
        }};
    }
    macro_rules! load {
        ($statement:ident) => {
            by_index(connection, Along::ItsOrder, LIST, async |connection| query!($statement).load(connection).await)
                .await?
        };
    }
    let mut rows: Vec<Row> = match source {
        Source::Event(event) => {
            let (event_id, event_first) = (event.uuid(), DeliveryId::floor(event.unix_ms()).uuid());
            let event_after = DeliveryId::floor(event.unix_ms() + 1).uuid();
            query!(OfEvent, event_id, event_first, event_after).load(connection).await.during(LIST)?
        }
        Source::Owner => load!(OfOwner),
        Source::Waiting => PlannedEachTime(query!(OfWaiting)).load(connection).await.during(LIST)?,
        Source::Failed => load!(Failed),
        Source::All => load!(OfAll),
    };
    let wanted = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let more = rows.len() > wanted;
    rows.truncate(wanted);
    let items = rows.into_iter().map(Delivery::try_from).collect::<Result<Vec<_>, _>>()?;
    let last = items.last().map(|last| last.delivery_id);
    if more {
        return Ok(DeliveryPage { items, next: last });
    }
    let end = end(connection, source, (first, after), owner_id, webhook_id).await?;
    // New deliveries may have moved the end up meanwhile: nothing is listed twice.
    Ok(DeliveryPage { items, next: end.map(|end| last.map_or(end, |last| last.min(end))) })
}

/// Where a look back ended that did not fill its page; `None` when there is nothing further.
async fn end(
    connection: &mut AsyncPgConnection,
    source: Source,
    (first, after): (Uuid, Uuid),
    owner_id: Option<String>,
    webhook_id: Option<Uuid>,
) -> Result<Option<DeliveryId>, StoreError> {
    macro_rules! load {
        ($end:expr) => {
            by_index(connection, Along::ItsOrder, LIST, async |connection| $end.get_result(connection).await.optional())
                .await?
        };
    }
    let end: Option<Uuid> = match source {
        // These are looked through to their end.
        Source::Event(_) | Source::Waiting => None,
        Source::Owner => load!(OfOwnerEnd { first, after, owner_id, webhook_id }),
        Source::Failed => load!(FailedEnd { first, after }),
        Source::All => load!(OfAllEnd { first, after }),
    };
    Ok(end.map(DeliveryId::from_uuid))
}

/// The ids that are asked for: from the first until before the second.
fn bounds(filter: &DeliveryFilter, page: Page) -> (Uuid, Uuid) {
    let first = filter.from.map_or(Uuid::nil(), floor);
    let until = filter.until.map_or(Uuid::max(), floor);
    (first, page.before.map_or(until, |before| until.min(before.uuid())))
}

fn floor(instant: DateTime<Utc>) -> Uuid {
    DeliveryId::floor(u64::try_from(instant.timestamp_millis()).unwrap_or(0)).uuid()
}
