use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use diesel::OptionalExtension;
use diesel::data_types::PgInterval;
use diesel::sql_types::{Binary, Bool, Interval, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use onering_delivery::{DatabaseTime, HeldReason, Lease, Work};
use onering_ids::{DeliveryId, EventId, OwnerId, SubscriptionId};
use uuid::Uuid;

use crate::columns::{interval, word};
use crate::statement::statement;
use crate::{Context, StoreError};

/// The event type of the test call of a subscription.
pub const TEST_EVENT_TYPE: &str = "webhook.test";

/// A delivery to repeat.
#[derive(Clone, Copy, Debug)]
pub struct Repeat<'a> {
    /// Whose it must be; `None` for operators.
    pub owner: Option<&'a OwnerId>,
    /// The delivery to repeat.
    pub original: DeliveryId,
    /// The id of the new one, made now.
    pub delivery_id: DeliveryId,
    /// How long the caller has to queue it before the sweep does.
    pub lease: Duration,
    /// Holds it, unless its subscription or partner already does.
    pub hold: Option<HeldReason>,
}

/// What became of a repeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Repeated {
    /// There is a new delivery.
    Inserted(Inserted),
    /// There is no such delivery, or it is somebody else's.
    NotFound,
    /// It still waits for its own attempts.
    StillWaiting,
    /// Its subscription was deleted.
    SubscriptionDeleted,
    /// Its event is not stored any more.
    EventGone,
}

/// A delivery that was written outside ingest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inserted {
    /// The delivery; without a lease of its own when held.
    pub delivery_id: DeliveryId,
    /// What to queue, with the body; `None` when held.
    pub queued: Option<(Work, Bytes)>,
    /// Why it is held.
    pub held: Option<HeldReason>,
}

/// A test of one subscription.
#[derive(Clone, Copy, Debug)]
pub struct TestDelivery<'a> {
    /// Whose the subscription must be; `None` for operators.
    pub owner: Option<&'a OwnerId>,
    /// The subscription, whatever events it asks for.
    pub webhook_id: SubscriptionId,
    /// The id of the event to write.
    pub event_id: EventId,
    /// The id of the delivery to write: of the same millisecond, so that the ledger sees both or neither.
    pub delivery_id: DeliveryId,
    /// The request body.
    pub body: &'a [u8],
    /// What the body says happened when.
    pub occurred_at: DateTime<Utc>,
    /// How long the caller has to queue it before the sweep does.
    pub lease: Duration,
    /// Holds it, unless its subscription or partner already does.
    pub hold: Option<HeldReason>,
}

statement! {
    struct InsertRepeat<'a> {
        hold: Option<&'static str> => Nullable<Text>,
        original: Uuid => SqlUuid,
        owner: Option<&'a str> => Nullable<Text>,
        delivery_id: Uuid => SqlUuid,
        lease: PgInterval => Interval,
    } -> (Bool, Bool, Nullable<Binary>, SqlUuid, SqlUuid, Text, Nullable<Timestamptz>, Nullable<Text>, Timestamptz) =
        "WITH original AS (
             SELECT d.event_id, d.webhook_id, d.owner_id, d.event_type, d.settled_at, w.deleted_at, e.body,
                 CASE WHEN w.status = 'paused' THEN 'SUBSCRIPTION_PAUSED' WHEN w.status = 'disabled' THEN 'SUBSCRIPTION_DISABLED'
                      WHEN p.status = 'disabled' THEN 'PARTNER_DISABLED' ELSE $1 END AS held
             FROM webhook_deliveries AS d
             JOIN external_webhooks AS w ON w.webhook_id = d.webhook_id
             JOIN partners AS p ON p.owner_id = d.owner_id
             LEFT JOIN webhook_events AS e ON e.event_id = d.event_id
             WHERE d.delivery_id = $2 AND ($3 IS NULL OR d.owner_id = $3)
         ), inserted AS (
             INSERT INTO webhook_deliveries AS d (delivery_id, event_id, webhook_id, owner_id, event_type, held_reason,
                 queued_until, original_delivery_id, created_at)
             SELECT $4, o.event_id, o.webhook_id, o.owner_id, o.event_type, o.held,
                 CASE WHEN o.held IS NULL THEN now() + $5 END, $2, now()
             FROM original AS o
             WHERE o.settled_at IS NOT NULL AND o.deleted_at IS NULL AND o.body IS NOT NULL
             RETURNING d.queued_until
         )
         SELECT o.settled_at IS NOT NULL, o.deleted_at IS NOT NULL, o.body, o.event_id, o.webhook_id, o.event_type,
             i.queued_until, o.held, now()
         FROM original AS o LEFT JOIN inserted AS i ON true";
}

type RepeatRow =
    (bool, bool, Option<Vec<u8>>, Uuid, Uuid, String, Option<DateTime<Utc>>, Option<String>, DateTime<Utc>);

statement! {
    struct InsertTest<'a> {
        hold: Option<&'static str> => Nullable<Text>,
        webhook_id: Uuid => SqlUuid,
        owner: Option<&'a str> => Nullable<Text>,
        event_id: Uuid => SqlUuid,
        event_type: &'static str => Text,
        body: &'a [u8] => Binary,
        occurred_at: DateTime<Utc> => Timestamptz,
        delivery_id: Uuid => SqlUuid,
        lease: PgInterval => Interval,
    } -> (Nullable<Timestamptz>, Nullable<Text>, Timestamptz) =
        "WITH target AS (
             SELECT w.webhook_id, w.owner_id,
                 CASE WHEN w.status = 'paused' THEN 'SUBSCRIPTION_PAUSED' WHEN w.status = 'disabled' THEN 'SUBSCRIPTION_DISABLED'
                      WHEN p.status = 'disabled' THEN 'PARTNER_DISABLED' ELSE $1 END AS held
             FROM external_webhooks AS w JOIN partners AS p ON p.owner_id = w.owner_id
             WHERE w.webhook_id = $2 AND ($3 IS NULL OR w.owner_id = $3) AND w.deleted_at IS NULL
         ), event AS (
             INSERT INTO webhook_events (event_id, owner_id, event_type, body, matched, occurred_at, created_at)
             SELECT $4, t.owner_id, $5, $6, 1, $7, now() FROM target AS t
         )
         INSERT INTO webhook_deliveries (delivery_id, event_id, webhook_id, owner_id, event_type, held_reason, queued_until,
             created_at)
         SELECT $8, $4, t.webhook_id, t.owner_id, $5, t.held, CASE WHEN t.held IS NULL THEN now() + $9 END, now()
         FROM target AS t
         RETURNING queued_until, held_reason, created_at";
}

type TestRow = (Option<DateTime<Utc>>, Option<String>, DateTime<Utc>);

/// Makes a new delivery of a final one's event, with attempts of its own. The original stays as it is.
///
/// # Errors
/// [`StoreError::Conflict`] when the new id is there already, else [`StoreError::Query`].
pub async fn repeat(connection: &mut AsyncPgConnection, repeat: Repeat<'_>) -> Result<Repeated, StoreError> {
    let query = InsertRepeat {
        original: repeat.original.uuid(),
        owner: repeat.owner.map(OwnerId::as_str),
        hold: repeat.hold.map(HeldReason::as_str),
        delivery_id: repeat.delivery_id.uuid(),
        lease: interval(repeat.lease),
    };
    let row: Option<RepeatRow> = query.get_result(connection).await.optional().during("repeat a delivery")?;
    let Some((is_final, deleted, body, event_id, webhook_id, event_type, until, held, now)) = row else {
        return Ok(Repeated::NotFound);
    };
    let Some(body) = body else { return Ok(Repeated::EventGone) };
    if deleted {
        return Ok(Repeated::SubscriptionDeleted);
    }
    if !is_final {
        return Ok(Repeated::StillWaiting);
    }
    let work = |until| Work {
        delivery_id: repeat.delivery_id,
        event_id: EventId::from_uuid(event_id),
        webhook_id: SubscriptionId::from_uuid(webhook_id),
        lease: Lease { attempts_made: 0, until: DatabaseTime::from_utc(until) },
        event_type: event_type.into(),
        created_at: DatabaseTime::from_utc(now),
    };
    Ok(Repeated::Inserted(Inserted {
        delivery_id: repeat.delivery_id,
        queued: until.map(|until| (work(until), body.into())),
        held: reason(held)?,
    }))
}

/// Writes a test event and its one delivery; `None` when there is no such subscription.
///
/// # Errors
/// [`StoreError::Conflict`] when an id is there already, else [`StoreError::Query`].
pub async fn insert_test(
    connection: &mut AsyncPgConnection,
    test: TestDelivery<'_>,
) -> Result<Option<Inserted>, StoreError> {
    let query = InsertTest {
        webhook_id: test.webhook_id.uuid(),
        owner: test.owner.map(OwnerId::as_str),
        hold: test.hold.map(HeldReason::as_str),
        event_id: test.event_id.uuid(),
        event_type: TEST_EVENT_TYPE,
        body: test.body,
        occurred_at: test.occurred_at,
        delivery_id: test.delivery_id.uuid(),
        lease: interval(test.lease),
    };
    let row: Option<TestRow> = query.get_result(connection).await.optional().during("write a test delivery")?;
    let Some((until, held, created_at)) = row else { return Ok(None) };
    let work = |until| Work {
        delivery_id: test.delivery_id,
        event_id: test.event_id,
        webhook_id: test.webhook_id,
        lease: Lease { attempts_made: 0, until: DatabaseTime::from_utc(until) },
        event_type: TEST_EVENT_TYPE.into(),
        created_at: DatabaseTime::from_utc(created_at),
    };
    Ok(Some(Inserted {
        delivery_id: test.delivery_id,
        queued: until.map(|until| (work(until), Bytes::copy_from_slice(test.body))),
        held: reason(held)?,
    }))
}

fn reason(held: Option<String>) -> Result<Option<HeldReason>, StoreError> {
    held.map(|reason| word("webhook_deliveries", "held_reason", &reason)).transpose()
}
