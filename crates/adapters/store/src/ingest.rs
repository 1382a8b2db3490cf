//! Accepting events: one statement writes a batch of events and the deliveries they lead to.
//!
//! The work is done by the function `onering.ingest_events`, which `onering.publish_event` uses too: what matches, what is
//! held and what a taken idempotency key means is decided in one place, whichever way an event comes in.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::data_types::PgInterval;
use diesel::sql_types::{Array, Binary, Integer, Interval, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use onering_delivery::{DatabaseTime, HeldReason, Lease, Work};
use onering_ids::{DeliveryId, EventId, KeyId, OwnerId, Recipient, SubscriptionId};
use uuid::Uuid;

use crate::columns::interval;
use crate::statement::statement;
use crate::{Context, StoreError};

/// An event to accept.
#[derive(Clone, Copy, Debug)]
pub struct IncomingEvent<'a> {
    /// Its id; the time in it picks the day's partition.
    pub event_id: EventId,
    /// Whom it is for.
    pub recipient: &'a Recipient,
    /// What happened.
    pub event_type: &'a str,
    /// The request body of its deliveries, byte for byte.
    pub body: &'a [u8],
    /// When it happened, as the publisher says.
    pub occurred_at: DateTime<Utc>,
    /// The key that published it.
    pub publisher: Option<KeyId>,
    /// The claim to be the first with an idempotency key.
    pub idempotency: Option<IdempotencyClaim<'a>>,
}

/// An `Idempotency-Key` and what it was sent with.
#[derive(Clone, Copy, Debug)]
pub struct IdempotencyClaim<'a> {
    /// The publishing partner: keys of different partners never meet.
    pub owner: &'a OwnerId,
    /// The key as sent.
    pub key: &'a str,
    /// SHA-256 of the request's canonical content.
    pub digest: &'a [u8; 32],
}

/// What became of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ingested {
    /// It is written.
    Accepted(Accepted),
    /// Its idempotency key was taken before, or by an earlier event of the same batch; `idempotency::find` tells by what.
    /// Nothing was written.
    KeyTaken,
}

/// An event that is written, with the deliveries to queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// How many subscriptions it matched.
    pub matched: u32,
    /// When it was accepted.
    pub created_at: DatabaseTime,
    /// Its deliveries that may go out now, each under its lease. Held ones are not among them.
    pub queued: Vec<Work>,
    /// How many more may go out now, but have no lease: they are the sweep's.
    pub due: u32,
}

/// What becomes of the deliveries of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// How long the caller has to queue them before the sweep does.
    pub lease: Duration,
    /// Holds all of them, for example while delivery is off.
    pub hold: Option<HeldReason>,
    /// Subscriptions whose deliveries the caller will not queue: they are due at once, and the sweep finds them.
    pub surplus: &'a [SubscriptionId],
}

impl Terms<'_> {
    /// All are queued within `lease`, none is held.
    #[must_use]
    pub const fn queued_within(lease: Duration) -> Self {
        Self { lease, hold: None, surplus: &[] }
    }
}

statement! {
    /// `onering.ingest_events`, one row a delivery.
    struct Ingest<'a> {
        event_ids: Vec<Uuid> => Array<SqlUuid>,
        owner_ids: Vec<&'a str> => Array<Text>,
        event_types: Vec<&'a str> => Array<Text>,
        bodies: Vec<&'a [u8]> => Array<Binary>,
        occurred_ats: Vec<DateTime<Utc>> => Array<Timestamptz>,
        publishers: Vec<Option<Uuid>> => Array<Nullable<SqlUuid>>,
        idempotency_owners: Vec<Option<&'a str>> => Array<Nullable<Text>>,
        idempotency_keys: Vec<Option<&'a str>> => Array<Nullable<Text>>,
        idempotency_digests: Vec<Option<&'a [u8]>> => Array<Nullable<Binary>>,
        lease: PgInterval => Interval,
        hold: Option<&'static str> => Nullable<Text>,
        surplus: Vec<Uuid> => Array<SqlUuid>,
    } -> (SqlUuid, Integer, Nullable<SqlUuid>, Nullable<SqlUuid>, Nullable<Timestamptz>, Timestamptz) =
        "SELECT event_id, matched, delivery_id, webhook_id, queued_until, created_at
         FROM onering.ingest_events($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
}

type Row = (Uuid, i32, Option<Uuid>, Option<Uuid>, Option<DateTime<Utc>>, DateTime<Utc>);

/// Writes a batch of events and their deliveries, all or nothing, and answers in the order of `events`.
///
/// The event ids must differ from each other.
///
/// # Errors
/// [`StoreError::Conflict`] when an event id is there already: an earlier try whose answer was lost did commit, and the sweep
/// will queue its deliveries. Else [`StoreError::Query`]. Nothing was written by this call.
pub async fn accept(
    connection: &mut AsyncPgConnection,
    events: &[IncomingEvent<'_>],
    terms: Terms<'_>,
) -> Result<Vec<Ingested>, StoreError> {
    let rows: Vec<Row> = statement_for(events, terms).load(connection).await.during("accept events")?;
    Ok(gather(events, rows, &terms.surplus.iter().copied().collect()))
}

fn statement_for<'a>(events: &[IncomingEvent<'a>], terms: Terms<'_>) -> Ingest<'a> {
    let claims = || events.iter().map(|event| event.idempotency);
    Ingest {
        event_ids: events.iter().map(|event| event.event_id.uuid()).collect(),
        owner_ids: events.iter().map(|event| event.recipient.as_str()).collect(),
        event_types: events.iter().map(|event| event.event_type).collect(),
        bodies: events.iter().map(|event| event.body).collect(),
        occurred_ats: events.iter().map(|event| event.occurred_at).collect(),
        publishers: events.iter().map(|event| event.publisher.map(KeyId::uuid)).collect(),
        idempotency_owners: claims().map(|claim| claim.map(|claim| claim.owner.as_str())).collect(),
        idempotency_keys: claims().map(|claim| claim.map(|claim| claim.key)).collect(),
        idempotency_digests: claims().map(|claim| claim.map(|claim| claim.digest.as_slice())).collect(),
        lease: interval(terms.lease),
        hold: terms.hold.map(HeldReason::as_str),
        surplus: terms.surplus.iter().map(|subscription| subscription.uuid()).collect(),
    }
}

/// Puts the rows of the statement, which come in any order, beside the events they belong to.
fn gather(events: &[IncomingEvent<'_>], rows: Vec<Row>, surplus: &HashSet<SubscriptionId>) -> Vec<Ingested> {
    let positions: HashMap<Uuid, usize> =
        events.iter().enumerate().map(|(position, event)| (event.event_id.uuid(), position)).collect();
    let mut ingested = vec![Ingested::KeyTaken; events.len()];
    for (event_id, matched, delivery_id, webhook_id, queued_until, created_at) in rows {
        let Some(&position) = positions.get(&event_id) else { continue };
        let created_at = DatabaseTime::from_utc(created_at);
        if ingested[position] == Ingested::KeyTaken {
            let matched = matched.unsigned_abs();
            ingested[position] = Ingested::Accepted(Accepted { matched, created_at, queued: Vec::new(), due: 0 });
        }
        let (Ingested::Accepted(accepted), Some(delivery_id), Some(webhook_id), Some(until)) =
            (&mut ingested[position], delivery_id, webhook_id, queued_until)
        else {
            continue;
        };
        let webhook_id = SubscriptionId::from_uuid(webhook_id);
        if surplus.contains(&webhook_id) {
            accepted.due += 1;
            continue;
        }
        accepted.queued.push(Work {
            delivery_id: DeliveryId::from_uuid(delivery_id),
            event_id: events[position].event_id,
            webhook_id,
            lease: Lease { attempts_made: 0, until: DatabaseTime::from_utc(until) },
            event_type: events[position].event_type.into(),
            created_at,
        });
    }
    ingested
}

#[cfg(test)]
mod tests;
