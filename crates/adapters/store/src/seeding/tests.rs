use chrono::{DateTime, Days, NaiveTime, TimeDelta, Utc};
use onering_delivery::AttemptOutcome;
use onering_ids::{DeliveryId, EventId, OwnerId, SubscriptionId};

use super::*;
use crate::testing::World;

/// One partner, one subscription, and a day on which one event was delivered to it.
struct Past {
    owner: OwnerId,
    webhook_id: SubscriptionId,
    event_id: EventId,
    delivery_id: DeliveryId,
    at: DateTime<Utc>,
}

impl Past {
    fn new(world: &World, days_ago: u64) -> Self {
        let day = world.clock.now().date_naive() - Days::new(days_ago);
        let at = day.and_time(NaiveTime::MIN).and_utc() + TimeDelta::hours(12);
        let clock = onering_clock::Clock::manual(at);
        let owner = "seeded".parse().unwrap();
        Self { owner, webhook_id: clock.fresh_id(), event_id: clock.fresh_id(), delivery_id: clock.fresh_id(), at }
    }

    async fn partner(&self, seeder: &mut Seeder) -> Result<(), StoreError> {
        let subscription = SeedSubscription {
            webhook_id: self.webhook_id,
            owner: &self.owner,
            url: "https://receiver.invalid/".to_owned(),
            pattern: "ring.*",
            created_at: self.at,
        };
        seeder.copy_partners([SeedPartner { owner: &self.owner }].into_iter(), [subscription].into_iter()).await
    }

    async fn copy(&self, seeder: &mut Seeder, kind: DayKind, state: SeedState) -> Result<(), StoreError> {
        let event = SeedEvent {
            event_id: self.event_id,
            owner: &self.owner,
            event_type: "ring.forged",
            body: "{}".to_owned(),
            matched: 1,
            created_at: self.at,
        };
        let delivery = SeedDelivery {
            delivery_id: self.delivery_id,
            event_id: self.event_id,
            webhook_id: self.webhook_id,
            owner: &self.owner,
            event_type: "ring.forged",
            created_at: self.at,
            state,
            attempts: 1,
            last_status_code: Some(200),
            last_error: None,
        };
        let attempt = SeedAttempt {
            delivery_id: self.delivery_id,
            attempt: 1,
            webhook_id: self.webhook_id,
            outcome: AttemptOutcome::Delivered,
            status_code: Some(200),
            error: None,
            response_body: Some("ok"),
            started_at: self.at,
            duration_ms: 5,
            worker: "seeder",
        };
        let day = Day {
            day: self.at.date_naive(),
            kind,
            events: [event].into_iter(),
            deliveries: [delivery].into_iter(),
            attempts: [attempt].into_iter(),
        };
        seeder.copy_day(day).await
    }

    fn delivered(&self) -> SeedState {
        SeedState::Delivered { at: self.at + TimeDelta::milliseconds(7), latency_ms: 7 }
    }
}

/// What is known of a day's tables, with the day taken out of every name.
async fn shape(world: &mut World, day: NaiveDate) -> Option<String> {
    let name = day.format("%Y%m%d");
    let query = format!(
        "SELECT string_agg(replace(part, '{name}', 'DAY'), E'\\n' ORDER BY part) FROM (
             SELECT c.relname || coalesce(c.reloptions::text, '') || c.relispartition AS part FROM pg_class AS c WHERE c.relname ~ '{name}$'
             UNION ALL SELECT indexdef FROM pg_indexes WHERE tablename ~ '{name}$'
             UNION ALL SELECT c.relname || ' ' || k.conname || ' ' || k.coninhcount || pg_get_constraintdef(k.oid) FROM pg_constraint AS k
                 JOIN pg_class AS c ON c.oid = k.conrelid WHERE c.relname ~ '{name}$'
             UNION ALL SELECT c.relname || ' ' || t.tgname || t.tgenabled::text FROM pg_trigger AS t
                 JOIN pg_class AS c ON c.oid = t.tgrelid WHERE c.relname ~ '{name}$'
             UNION ALL SELECT i.inhparent::regclass || ' ' || c.relname FROM pg_inherits AS i
                 JOIN pg_class AS c ON c.oid = i.inhrelid WHERE c.relname ~ '{name}'
         ) AS parts"
    );
    world.text(&query).await
}

#[tokio::test]
async fn a_day_that_was_missing_is_as_the_platform_would_have_made_it() {
    let mut world = World::new().await;
    let past = Past::new(&world, 9);
    let mut seeder = Seeder::open(&world.config()).await.unwrap();
    past.partner(&mut seeder).await.unwrap();
    past.copy(&mut seeder, DayKind::Missing, past.delivered()).await.unwrap();

    let other = past.at.date_naive() - Days::new(1);
    world.sql(&format!("SELECT onering.ensure_partitions('{other}', '{other}')")).await;
    let made = shape(&mut world, past.at.date_naive()).await.unwrap();
    assert_eq!(Some(&made), shape(&mut world, other).await.as_ref());
    assert!(made.contains("fillfactor=70") && made.contains("final_deliveries_stay"), "{made}");
    assert!(days(&mut world.connection).await.unwrap().contains(&past.at.date_naive()));

    // Rows and indexes are those of any other day.
    let late = format!("WHERE delivery_id = '{}'", past.delivery_id.uuid());
    world.refused(&format!("UPDATE webhook_deliveries SET attempt_count = 9 {late}")).await;
    let ledger = ledger_of(&mut world, past.at).await;
    assert!(ledger.balances() && ledger.delivered == 1, "{ledger:?}");
}

async fn ledger_of(world: &mut World, at: DateTime<Utc>) -> onering_delivery::Ledger {
    let hour = TimeDelta::hours(1);
    crate::ledger::read(&mut world.connection, at - hour, at + hour).await.unwrap()
}

#[tokio::test]
async fn rows_are_added_to_a_day_that_is_there() {
    let mut world = World::new().await;
    let past = Past::new(&world, 1);
    let mut seeder = Seeder::open(&world.config()).await.unwrap();
    past.partner(&mut seeder).await.unwrap();
    assert!(!has_events(&mut world.connection).await.unwrap());
    past.copy(&mut seeder, DayKind::Present, past.delivered()).await.unwrap();
    assert!(has_events(&mut world.connection).await.unwrap());
    assert!(ledger_of(&mut world, past.at).await.balances());

    fill_statistics(&mut world.connection, "seeder", past.at).await.unwrap();
    let counted = world.number(
        "SELECT (SELECT sum(count + attempts)::bigint FROM delivery_stats WHERE outcome = 'DELIVERED') \
                                + (SELECT sum(bucket * count)::bigint FROM delivery_latency_stats)",
    );
    assert_eq!(counted.await, 2 + 7);
    assert!(matches!(
        fill_statistics(&mut world.connection, "seeder", past.at).await,
        Err(StoreError::Conflict { .. })
    ));
    vacuum(&mut world.connection).await.unwrap();
}

#[tokio::test]
async fn a_day_is_seeded_whole_or_not_at_all() {
    let mut world = World::new().await;
    let past = Past::new(&world, 9);
    let mut seeder = Seeder::open(&world.config()).await.unwrap();
    past.partner(&mut seeder).await.unwrap();
    // No lease can end before the calendar of Postgres begins, so its deliveries are refused after its events were taken.
    let impossible = SeedState::Pending { queued_until: DateTime::<Utc>::MIN_UTC };
    let refused = past.copy(&mut seeder, DayKind::Missing, impossible).await.unwrap_err();
    assert!(matches!(refused, StoreError::Copy { .. }), "{refused:?}");
    assert!(!has_events(&mut world.connection).await.unwrap());
    assert!(!days(&mut world.connection).await.unwrap().contains(&past.at.date_naive()));

    // The connection is as good as new.
    past.copy(&mut seeder, DayKind::Missing, past.delivered()).await.unwrap();
    let twice = past.copy(&mut seeder, DayKind::Missing, past.delivered()).await;
    assert!(matches!(twice, Err(StoreError::Copy { .. })), "{twice:?}");
    assert!(matches!(past.partner(&mut seeder).await, Err(StoreError::Copy { .. })), "the partner is there");
}
