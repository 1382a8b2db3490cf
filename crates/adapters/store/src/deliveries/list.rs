use chrono::{DateTime, Utc};
use diesel::dsl::sql;
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use onering_delivery::{HeldReason, Status};
use onering_ids::{DeliveryId, EventId, OwnerId, SubscriptionId};

use super::row::{Delivery, Row};
use crate::schema::webhook_deliveries::{self as table, dsl};
use crate::{Context, StoreError};

/// What to list; `None` for any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// Of this subscription.
    pub webhook_id: Option<SubscriptionId>,
    /// Of this event. Repeats made later are not found this way.
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

/// One page, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryPage {
    /// The deliveries.
    pub items: Vec<Delivery>,
    /// Where the next page begins; `None` when this is the last.
    pub next: Option<DeliveryId>,
}

type Query<'a> = table::BoxedQuery<'a, Pg>;

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
    load(connection, filtered(filter, page).filter(dsl::owner_id.eq(owner.as_str().to_owned())), page).await
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
    let mut query = filtered(filter, page);
    if let Some(webhook_id) = filter.webhook_id {
        // The index is by owner, and a subscription has just one.
        query = query.filter(
            dsl::owner_id.eq(sql::<Text>("(SELECT w.owner_id FROM external_webhooks AS w WHERE w.webhook_id = ")
                .bind::<SqlUuid, _>(webhook_id.uuid())
                .sql(")")),
        );
    }
    load(connection, query, page).await
}

pub(super) fn filtered(filter: &DeliveryFilter, page: Page) -> Query<'static> {
    let mut query = dsl::webhook_deliveries.into_boxed();
    if let Some(webhook_id) = filter.webhook_id {
        query = query.filter(dsl::webhook_id.eq(webhook_id.uuid()));
    }
    if let Some(status) = filter.status {
        query = query.filter(dsl::status.eq(status.as_str()));
    }
    match filter.held {
        Some(true) => query = query.filter(dsl::held_reason.is_not_null()),
        Some(false) => query = query.filter(dsl::held_reason.is_null()),
        None => {}
    }
    if let Some(reason) = filter.held_reason {
        // Said twice, because the index of what is held is a partial one.
        query = query.filter(dsl::held_reason.eq(reason.as_str()).and(dsl::held_reason.is_not_null()));
    }
    if let Some(event_type) = &filter.event_type {
        query = query.filter(dsl::event_type.eq(event_type.clone()));
    }
    if let Some(event_id) = filter.event_id {
        // An event and its deliveries share their millisecond, which is the key's beginning.
        let (first, after) = (DeliveryId::floor(event_id.unix_ms()), DeliveryId::floor(event_id.unix_ms() + 1));
        query = query
            .filter(dsl::delivery_id.ge(first.uuid()).and(dsl::delivery_id.lt(after.uuid())))
            .filter(dsl::event_id.eq(event_id.uuid()));
    }
    if let Some(from) = filter.from {
        query = query.filter(dsl::delivery_id.ge(floor(from).uuid()));
    }
    if let Some(until) = filter.until {
        query = query.filter(dsl::delivery_id.lt(floor(until).uuid()));
    }
    if let Some(before) = page.before {
        query = query.filter(dsl::delivery_id.lt(before.uuid()));
    }
    query.order(dsl::delivery_id.desc()).limit(i64::from(page.limit) + 1)
}

fn floor(instant: DateTime<Utc>) -> DeliveryId {
    DeliveryId::floor(u64::try_from(instant.timestamp_millis()).unwrap_or(0))
}

async fn load(
    connection: &mut AsyncPgConnection,
    query: Query<'static>,
    page: Page,
) -> Result<DeliveryPage, StoreError> {
    let rows: Vec<Row> = query.select(Row::as_select()).load(connection).await.during("list deliveries")?;
    let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    let items = rows.into_iter().take(limit).map(Delivery::try_from).collect::<Result<Vec<_>, _>>()?;
    let next = items.last().filter(|_| more).map(|last| last.delivery_id);
    Ok(DeliveryPage { items, next })
}
