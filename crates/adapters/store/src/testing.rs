//! What the tests of this crate share: a migrated database of their own, and the few things they put into it.

use std::time::Duration;

use diesel::dsl::sql;
use diesel::sql_types::{BigInt, Nullable, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use onering_clock::Clock;
use onering_delivery::{AttemptLog, AttemptOutcome, DatabaseTime, HeldReason, Ledger, Settlement, Transition, Work};
use onering_ids::{EventId, OwnerId, Recipient, SubscriptionId};
use onering_testkit::{Template, TestDatabase, eventually, postgres_from};

use crate::ingest::{IncomingEvent, Ingested, Terms};
use crate::leases::{Swept, Wanted};
use crate::{PoolConfig, connect, ingest, leases, ledger, migrate};

pub(crate) const LEASE: Duration = Duration::from_secs(30);

/// A database of this test alone, with every migration applied.
pub(crate) async fn database() -> TestDatabase {
    let template = Template::of_folder("onering", concat!(env!("CARGO_MANIFEST_DIR"), "/../../../migrations"));
    postgres_from(&template, async |url| {
        migrate::migrate(&PoolConfig::new(&url).expect("the test database has a good address")).await.map(|_| ())
    })
    .await
}

/// A database with a connection to it.
pub(crate) struct World {
    pub(crate) connection: AsyncPgConnection,
    pub(crate) clock: Clock,
    // Last: dropped after the connection.
    pub(crate) database: TestDatabase,
}

impl World {
    pub(crate) async fn new() -> Self {
        let database = database().await;
        let connection = connect(&PoolConfig::new(database.url()).unwrap()).await.unwrap();
        Self { connection, clock: Clock::system(), database }
    }

    pub(crate) fn config(&self) -> PoolConfig {
        PoolConfig::new(self.database.url()).unwrap()
    }

    pub(crate) async fn another_connection(&self) -> AsyncPgConnection {
        connect(&self.config()).await.unwrap()
    }

    pub(crate) async fn sql(&mut self, statements: &str) {
        self.connection.batch_execute(statements).await.unwrap_or_else(|error| panic!("{statements}: {error}"));
    }

    /// The error that refuses the statements.
    pub(crate) async fn refused(&mut self, statements: &str) -> String {
        let refused = self.connection.batch_execute(statements).await;
        refused.expect_err(statements).to_string()
    }

    pub(crate) async fn number(&mut self, query: &str) -> i64 {
        sql::<BigInt>(query).get_result(&mut self.connection).await.unwrap_or_else(|error| panic!("{query}: {error}"))
    }

    pub(crate) async fn text(&mut self, query: &str) -> Option<String> {
        sql::<Nullable<Text>>(query)
            .get_result(&mut self.connection)
            .await
            .unwrap_or_else(|error| panic!("{query}: {error}"))
    }

    pub(crate) async fn partner(&mut self, owner: &str) -> OwnerId {
        self.sql(&format!(
            "INSERT INTO partners (owner_id, name) VALUES ('{owner}', '{owner}') ON CONFLICT DO NOTHING"
        ))
        .await;
        owner.parse().unwrap()
    }

    /// An active subscription of a partner, made if need be.
    pub(crate) async fn subscription(&mut self, owner: &str, pattern: &str) -> SubscriptionId {
        self.partner(owner).await;
        let id: SubscriptionId = self.clock.fresh_id();
        let insert = format!(
            "INSERT INTO external_webhooks (webhook_id, owner_id, url, events) \
             VALUES ('{}', '{owner}', 'https://example.org/', ARRAY['{pattern}'])",
            id.uuid()
        );
        self.sql(&insert).await;
        id
    }

    /// Accepts one event and answers what is to be queued.
    pub(crate) async fn publish(&mut self, owner: &str, event_type: &str) -> Vec<Work> {
        self.publish_under(owner, event_type, LEASE).await.1
    }

    /// Accepts one event whose deliveries are leased for so long.
    pub(crate) async fn publish_under(
        &mut self,
        owner: &str,
        event_type: &str,
        lease: Duration,
    ) -> (EventId, Vec<Work>) {
        let event_id: EventId = self.clock.fresh_id();
        let recipient: Recipient = owner.parse().unwrap();
        let body = format!(r#"{{"event_id":"{event_id}","event_type":"{event_type}","data":{{"ring":1}}}}"#);
        let event = IncomingEvent {
            event_id,
            recipient: &recipient,
            event_type,
            body: body.as_bytes(),
            occurred_at: self.clock.now(),
            publisher: None,
            idempotency: None,
        };
        let ingested = ingest::accept(&mut self.connection, &[event], Terms::queued_within(lease)).await.unwrap();
        match ingested.into_iter().next() {
            Some(Ingested::Accepted(accepted)) => (event_id, accepted.queued),
            other => panic!("not accepted: {other:?}"),
        }
    }

    /// What a sweep leases that takes at most so many.
    pub(crate) async fn sweep(&mut self, limit: u32) -> Vec<Swept> {
        let swept = leases::sweep(&mut self.connection, "w", LEASE, &Wanted::at_most(limit)).await;
        swept.unwrap().deliveries
    }

    /// One delivery to a subscription of its own.
    pub(crate) async fn one_delivery(&mut self) -> Work {
        let owner = format!("partner-{}", self.clock.fresh_id::<EventId>());
        self.subscription(&owner, "*").await;
        self.publish(&owner, "ring.forged").await.remove(0)
    }

    /// The ledger of the last hour and the next.
    pub(crate) async fn ledger(&mut self) -> Ledger {
        let (now, hour) = (self.clock.now(), chrono::TimeDelta::hours(1));
        ledger::read(&mut self.connection, now - hour, now + hour).await.unwrap()
    }

    pub(crate) fn now(&self) -> DatabaseTime {
        DatabaseTime::from_utc(self.clock.now())
    }

    /// The result of an attempt under the lease of `work`.
    pub(crate) fn result(&self, work: &Work, transition: Transition, outcome: AttemptOutcome) -> Settlement {
        let log = AttemptLog {
            attempt: work.lease.attempt(),
            outcome,
            status_code: Some(if outcome == AttemptOutcome::Delivered { 200 } else { 503 }),
            error: (outcome != AttemptOutcome::Delivered).then(|| "answered 503".to_owned()),
            response_body: Some("thanks".to_owned()),
            started_at: self.clock.now(),
            duration_ms: 12,
        };
        Settlement { attempt: Some(log), transition, ..Settlement::hold(work, HeldReason::DeliveryOff) }
    }

    pub(crate) fn delivered(&self, work: &Work) -> Settlement {
        let transition = Transition::Delivered { at: self.now(), latency_ms: 123 };
        self.result(work, transition, AttemptOutcome::Delivered)
    }
}

/// Waits until somebody waits for a lock in the database of this connection.
pub(crate) async fn somebody_waits_for_a_lock(connection: &mut AsyncPgConnection) {
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
    eventually(Duration::from_secs(30), "somebody waits for a lock", async || {
        sql::<BigInt>(waiting).get_result::<i64>(connection).await.unwrap() > 0
    })
    .await;
}
