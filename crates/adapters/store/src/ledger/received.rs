//! The ledger against a receiver's own list: what is DELIVERED here and not there, and what is there and unknown here.

use chrono::{DateTime, Utc};
use diesel::sql_types::{Array, BigInt, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use onering_ids::{DeliveryId, EventId, OwnerId, SubscriptionId};
use uuid::Uuid;

use super::floor;
use crate::statement::statement;
use crate::{Context, StoreError};

/// A list of event ids that a receiver says it has got. It is gathered in a temporary table, so that neither side holds it
/// in memory however long it is.
pub struct ReceivedList<'c> {
    connection: &'c mut AsyncPgConnection,
}

/// A delivery that was answered 2xx and whose event the receiver does not name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Undelivered {
    /// The delivery.
    pub delivery_id: DeliveryId,
    /// Its event: the `webhook-id` the receiver should have.
    pub event_id: EventId,
    /// When the 2xx answer arrived.
    pub delivered_at: DateTime<Utc>,
}

/// What came of a comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Different events on the list.
    pub listed: u64,
    /// Deliveries of the range that had been answered 2xx when the list was taken.
    pub delivered: u64,
    /// How many of those the list does not name.
    pub not_received: u64,
    /// The oldest of them.
    pub first_not_received: Vec<Undelivered>,
    /// How many events of the list this subscription has no delivery of, in any range.
    pub unknown: u64,
    /// Some of them.
    pub first_unknown: Vec<EventId>,
    /// Events of the list of which this subscription has deliveries, and neither the original nor a repeat is DELIVERED.
    pub not_acknowledged: u64,
}

const MAKE: &str = "CREATE TEMPORARY TABLE onering_received (
    event_id uuid PRIMARY KEY, first uuid NOT NULL, after uuid NOT NULL,
    known boolean NOT NULL DEFAULT false, delivered boolean NOT NULL DEFAULT false)";

statement! {
    /// `first` and `after`: the ids of the event's own millisecond, in which its delivery is.
    struct Add {
        event_ids: Vec<Uuid> => Array<SqlUuid>,
        firsts: Vec<Uuid> => Array<SqlUuid>,
        afters: Vec<Uuid> => Array<SqlUuid>,
    } -> () = "INSERT INTO onering_received (event_id, first, after) SELECT * FROM unnest($1, $2, $3) ON CONFLICT DO NOTHING";
}

statement! {
    struct Recognise { webhook_id: Uuid => SqlUuid } -> () =
        "UPDATE onering_received AS r SET known = true, delivered = d.status = 'DELIVERED' FROM webhook_deliveries AS d
         WHERE d.event_id = r.event_id AND d.delivery_id >= r.first AND d.delivery_id < r.after AND d.webhook_id = $1
             AND d.original_delivery_id IS NULL";
}

statement! {
    /// Repeats have no range: a replay makes them days later. Of an original that retention has dropped they are what is left.
    struct RecogniseRepeats { webhook_id: Uuid => SqlUuid } -> () =
        "UPDATE onering_received AS r SET known = true, delivered = EXISTS (
             SELECT FROM webhook_deliveries AS d WHERE d.event_id = r.event_id AND d.webhook_id = $1
                 AND d.original_delivery_id IS NOT NULL AND d.status = 'DELIVERED')
         WHERE NOT delivered AND EXISTS (
             SELECT FROM webhook_deliveries AS d WHERE d.event_id = r.event_id AND d.webhook_id = $1
                 AND d.original_delivery_id IS NOT NULL)";
}

statement! {
    struct Unreceived<'a> {
        owner_id: &'a str => Text,
        webhook_id: Uuid => SqlUuid,
        first: Uuid => SqlUuid,
        after: Uuid => SqlUuid,
        as_of: DateTime<Utc> => Timestamptz,
        limit: i64 => BigInt,
    } -> (SqlUuid, SqlUuid, Timestamptz) =
        "SELECT d.delivery_id, d.event_id, d.delivered_at FROM webhook_deliveries AS d
         WHERE d.owner_id = $1 AND d.webhook_id = $2 AND d.delivery_id >= $3 AND d.delivery_id < $4 AND d.status = 'DELIVERED'
             AND d.delivered_at < $5 AND NOT EXISTS (SELECT FROM onering_received AS r WHERE r.event_id = d.event_id)
         ORDER BY d.delivery_id LIMIT $6";
}

statement! {
    struct Counts<'a> {
        owner_id: &'a str => Text,
        webhook_id: Uuid => SqlUuid,
        first: Uuid => SqlUuid,
        after: Uuid => SqlUuid,
        as_of: DateTime<Utc> => Timestamptz,
    } -> (BigInt, BigInt) =
        "SELECT count(*), count(*) FILTER (WHERE r.event_id IS NULL) FROM webhook_deliveries AS d
         LEFT JOIN onering_received AS r ON r.event_id = d.event_id
         WHERE d.owner_id = $1 AND d.webhook_id = $2 AND d.delivery_id >= $3 AND d.delivery_id < $4 AND d.status = 'DELIVERED'
             AND d.delivered_at < $5";
}

statement! {
    struct Totals {} -> (BigInt, BigInt, BigInt) =
        "SELECT count(*), count(*) FILTER (WHERE NOT known), count(*) FILTER (WHERE known AND NOT delivered) FROM onering_received";
}

statement! {
    struct Unknown { limit: i64 => BigInt } -> SqlUuid =
        "SELECT event_id FROM onering_received WHERE NOT known ORDER BY event_id LIMIT $1";
}

impl<'c> ReceivedList<'c> {
    /// An empty list on a connection of its own: it must not be a standby, and goes with the connection.
    ///
    /// # Errors
    /// [`StoreError::Query`], for example where temporary tables are not allowed.
    pub async fn open(connection: &'c mut AsyncPgConnection) -> Result<Self, StoreError> {
        connection.batch_execute(MAKE).await.during("make a table for the receiver's list")?;
        Ok(Self { connection })
    }

    /// Adds events; one that is on the list already changes nothing.
    ///
    /// # Errors
    /// [`StoreError::Query`].
    pub async fn add(&mut self, events: &[EventId]) -> Result<(), StoreError> {
        let add = Add {
            event_ids: events.iter().map(|event| event.uuid()).collect(),
            firsts: events.iter().map(|event| DeliveryId::floor(event.unix_ms()).uuid()).collect(),
            afters: events.iter().map(|event| DeliveryId::floor(event.unix_ms() + 1).uuid()).collect(),
        };
        add.execute(self.connection).await.during("gather the receiver's list")?;
        Ok(())
    }

    /// Compares the list, as it was taken at `as_of`, with the deliveries of one subscription made from `from` (inclusive)
    /// until `until` (exclusive), and names at most `limit` of each kind. What was answered 2xx since cannot be on the list,
    /// and is not asked for.
    ///
    /// # Errors
    /// [`StoreError::Query`].
    pub async fn compare(
        self,
        owner: &OwnerId,
        webhook_id: SubscriptionId,
        from: DateTime<Utc>,
        until: DateTime<Utc>,
        as_of: DateTime<Utc>,
        limit: u32,
    ) -> Result<Comparison, StoreError> {
        const COMPARE: &str = "compare the receiver's list";
        let connection = self.connection;
        // A temporary table is nobody else's to analyse.
        connection.batch_execute("ANALYZE onering_received").await.during(COMPARE)?;
        Recognise { webhook_id: webhook_id.uuid() }.execute(connection).await.during(COMPARE)?;
        RecogniseRepeats { webhook_id: webhook_id.uuid() }.execute(connection).await.during(COMPARE)?;
        let (owner_id, webhook_id, limit) = (owner.as_str(), webhook_id.uuid(), i64::from(limit));
        let (first, after) = (floor(from), floor(until));
        let counts = Counts { owner_id, webhook_id, first, after, as_of };
        let (delivered, not_received): (i64, i64) = counts.get_result(connection).await.during(COMPARE)?;
        let (listed, unknown, not_acknowledged): (i64, i64, i64) =
            Totals {}.get_result(connection).await.during(COMPARE)?;
        let undelivered = Unreceived { owner_id, webhook_id, first, after, as_of, limit };
        let undelivered: Vec<(Uuid, Uuid, DateTime<Utc>)> = undelivered.load(connection).await.during(COMPARE)?;
        let first_unknown: Vec<Uuid> = Unknown { limit }.load(connection).await.during(COMPARE)?;
        Ok(Comparison {
            listed: listed.unsigned_abs(),
            delivered: delivered.unsigned_abs(),
            not_received: not_received.unsigned_abs(),
            first_not_received: undelivered
                .into_iter()
                .map(|(delivery_id, event_id, delivered_at)| Undelivered {
                    delivery_id: DeliveryId::from_uuid(delivery_id),
                    event_id: EventId::from_uuid(event_id),
                    delivered_at,
                })
                .collect(),
            unknown: unknown.unsigned_abs(),
            first_unknown: first_unknown.into_iter().map(EventId::from_uuid).collect(),
            not_acknowledged: not_acknowledged.unsigned_abs(),
        })
    }
}

impl std::fmt::Debug for ReceivedList<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ReceivedList").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use onering_delivery::{AttemptOutcome, DatabaseTime, Transition, Work};

    use super::*;
    use crate::deliveries::{Repeat, Repeated, repeat};
    use crate::settlement::settle;
    use crate::testing::World;

    async fn settled(world: &mut World, work: &Work, transition: Transition) {
        let outcome = match transition {
            Transition::Delivered { .. } => AttemptOutcome::Delivered,
            _ => AttemptOutcome::Dead,
        };
        let batch = [world.result(work, transition, outcome)];
        settle(&mut world.connection, "w", &batch).await.unwrap();
    }

    async fn repeated(world: &mut World, original: &Work) -> Work {
        let delivery_id = world.clock.fresh_id();
        let lease = std::time::Duration::from_secs(30);
        let wish = Repeat { owner: None, original: original.delivery_id, delivery_id, lease, hold: None };
        match repeat(&mut world.connection, wish).await.unwrap() {
            Repeated::Inserted(inserted) => inserted.queued.unwrap().0,
            other => panic!("not repeated: {other:?}"),
        }
    }

    #[tokio::test]
    async fn what_was_answered_after_the_list_was_taken_is_not_asked_for() {
        let mut world = World::new().await;
        let webhook_id = world.subscription("acme", "*").await;
        let (now, hour) = (world.clock.now(), TimeDelta::hours(1));
        let mut delivery_ids = Vec::new();
        for minutes in [0, 10] {
            let work = world.publish("acme", "ring.forged").await.remove(0);
            let at = DatabaseTime::from_utc(now + TimeDelta::minutes(minutes));
            settled(&mut world, &work, Transition::Delivered { at, latency_ms: 1 }).await;
            delivery_ids.push(work.delivery_id);
        }
        let owner: OwnerId = "acme".parse().unwrap();
        for (minutes, expected) in [(-1, 0), (5, 1), (11, 2)] {
            let mut connection = world.another_connection().await;
            let list = ReceivedList::open(&mut connection).await.unwrap();
            let as_of = now + TimeDelta::minutes(minutes);
            let found = list.compare(&owner, webhook_id, now - hour, now + hour, as_of, 10).await.unwrap();
            let named: Vec<DeliveryId> = found.first_not_received.iter().map(|one| one.delivery_id).collect();
            assert_eq!(named, delivery_ids[..expected], "{minutes}");
            assert_eq!((found.delivered, found.not_received), (expected as u64, expected as u64), "{minutes}");
        }
    }

    #[tokio::test]
    async fn a_repeat_brings_its_event_home() {
        let mut world = World::new().await;
        let webhook_id = world.subscription("acme", "*").await;
        let (now, hour, at) = (world.clock.now(), TimeDelta::hours(1), world.now());
        let mut events = Vec::new();
        // The repeat of the first fails as well; the second has a failed one and a good one; of the third nothing but its
        // repeat is left.
        for repeats in [&[false][..], &[false, true], &[true]] {
            let original = world.publish("acme", "ring.forged").await.remove(0);
            settled(&mut world, &original, Transition::Dead { at }).await;
            for delivered in repeats {
                let again = repeated(&mut world, &original).await;
                let end =
                    if *delivered { Transition::Delivered { at, latency_ms: 1 } } else { Transition::Dead { at } };
                settled(&mut world, &again, end).await;
            }
            events.push(original);
        }
        let third = events[2].delivery_id.uuid();
        world.sql(&format!("DELETE FROM webhook_deliveries WHERE delivery_id = '{third}'")).await;

        let owner: OwnerId = "acme".parse().unwrap();
        let mut list = ReceivedList::open(&mut world.connection).await.unwrap();
        list.add(&events.iter().map(|work| work.event_id).collect::<Vec<_>>()).await.unwrap();
        let found = list.compare(&owner, webhook_id, now - hour, now + hour, now + hour, 10).await.unwrap();
        assert_eq!((found.listed, found.delivered, found.not_received), (3, 2, 0));
        assert_eq!((found.not_acknowledged, found.unknown), (1, 0));
    }

    #[tokio::test]
    async fn both_sides_are_told_what_the_other_lacks() {
        let mut world = World::new().await;
        let webhook_id = world.subscription("acme", "*").await;
        world.subscription("acme", "*").await;
        let mut works = Vec::new();
        for _ in 0..4 {
            let own = world.publish("acme", "ring.forged").await;
            works.push(own.into_iter().find(|work| work.webhook_id == webhook_id).unwrap());
        }
        let at = world.now();
        let batch = [
            world.delivered(&works[0]),
            world.delivered(&works[1]),
            world.result(&works[2], Transition::Dead { at }, AttemptOutcome::Dead),
        ];
        settle(&mut world.connection, "w", &batch).await.unwrap();
        let foreign = world.one_delivery().await.event_id;
        let never: EventId = world.clock.fresh_id();

        let (now, hour) = (world.clock.now(), TimeDelta::hours(1));
        let owner: OwnerId = "acme".parse().unwrap();
        let mut list = ReceivedList::open(&mut world.connection).await.unwrap();
        list.add(&[works[0].event_id, works[0].event_id, works[2].event_id]).await.unwrap();
        list.add(&[foreign, never, works[0].event_id]).await.unwrap();
        let found = list.compare(&owner, webhook_id, now - hour, now + hour, now + hour, 10).await.unwrap();
        assert_eq!((found.listed, found.delivered, found.not_received), (4, 2, 1));
        let lost = &found.first_not_received;
        assert_eq!((lost.len(), lost[0].delivery_id, lost[0].event_id), (1, works[1].delivery_id, works[1].event_id));
        assert_eq!((found.unknown, found.first_unknown), (2, vec![foreign, never]));
        assert_eq!(found.not_acknowledged, 1, "it died here although the receiver has it");
    }

    #[tokio::test]
    async fn a_long_list_is_named_in_part_and_what_is_out_of_range_is_not_asked_for() {
        let mut world = World::new().await;
        let webhook_id = world.subscription("acme", "*").await;
        let mut batch = Vec::new();
        for _ in 0..5 {
            let work = world.publish("acme", "ring.forged").await.remove(0);
            batch.push(world.delivered(&work));
        }
        settle(&mut world.connection, "w", &batch).await.unwrap();
        let (now, hour) = (world.clock.now(), TimeDelta::hours(1));
        let owner: OwnerId = "acme".parse().unwrap();
        let list = ReceivedList::open(&mut world.connection).await.unwrap();
        let found = list.compare(&owner, webhook_id, now - hour, now + hour, now + hour, 2).await.unwrap();
        assert_eq!((found.not_received, found.first_not_received.len()), (5, 2));
        let mut other = world.another_connection().await;
        let list = ReceivedList::open(&mut other).await.unwrap();
        let found = list.compare(&owner, webhook_id, now - hour, now - hour / 2, now + hour, 2).await.unwrap();
        assert_eq!(found, Comparison::default());
    }
}
