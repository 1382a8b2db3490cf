//! What the tests of this crate share: private stores, a worker on them, and looking at rows.

use std::time::Duration;

use bytes::Bytes;
use chrono::DateTime;
use onering_clock::Clock;
use onering_ids::{DeliveryId, EventId, OwnerId, SecretId, SubscriptionId};
use onering_queue::{DeliveryStream, Queue, StreamEntry};
use onering_secrets::KeyRing;
use onering_signing::SigningSecret;
use onering_store::{PoolConfig, subscriptions};
use onering_testkit::{
    ScratchDir, ServiceOptions, TcpProxy, Template, TestDatabase, TestRedis, eventually, postgres_from, redis,
    scratch_dir,
};
use onering_webhooks::NewSubscription;
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

const KEYS: &str = "test:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Bench {
    pub(crate) database: TestDatabase,
    pub(crate) redis: TestRedis,
    flags: ScratchDir,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        let template = Template::of_folder("onering", concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations"));
        let database = postgres_from(&template, |url| async move {
            onering_store::migrate::migrate(&PoolConfig::new(&url)?).await.map(|_| ())
        })
        .await;
        let bench = Self { database, redis: redis().await, flags: scratch_dir("flags") };
        bench.delivery(true);
        bench
    }

    pub(crate) fn delivery(&self, on: bool) {
        let value = if on { "1" } else { "0" };
        std::fs::write(self.flags.path().join("ONERING_WEBHOOKS_DELIVERY_ENABLED"), value).unwrap();
    }

    pub(crate) fn worker(&self) -> ServiceOptions {
        ServiceOptions::of("delivery-worker")
            .env("ONERING_PROFILE", "dev")
            .env("DATABASE_URL", self.database.url())
            .env("REDIS_URL", self.redis.url())
            .env("ONERING_FLAGS_DIR", self.flags.path().display().to_string())
            .env("ONERING_SECRETS_KEYS", KEYS)
            .env("ONERING_WEBHOOKS_ALLOW_HTTP", "1")
            .env("ONERING_WEBHOOKS_ALLOW_CIDRS", "127.0.0.0/8")
            .env("ONERING_WEBHOOKS_BACKOFF_SECONDS", "1,1")
    }

    pub(crate) async fn subscribe(&self, url: &str, further: Value) -> SubscriptionId {
        let clock = Clock::system();
        let mut input = json!({ "url": url, "events": ["*"] });
        for (field, value) in further.as_object().into_iter().flatten() {
            input[field] = value.clone();
        }
        let new = NewSubscription::parse(serde_json::from_value(input).unwrap()).unwrap();
        let (id, secret_id) = (clock.fresh_id::<SubscriptionId>(), clock.fresh_id::<SecretId>());
        let secret = SigningSecret::from_entropy([7; 32]);
        let sealed = KeyRing::parse(KEYS, clock).unwrap().seal(secret_id, secret.expose().as_bytes()).unwrap();
        let sealed = subscriptions::NewSealedSecret { secret_id, kid: sealed.kid, sealed: sealed.bytes };
        let mut connection = onering_store::connect(&PoolConfig::new(self.database.url()).unwrap()).await.unwrap();
        subscriptions::create(&mut connection, &OwnerId::default_partner(), id, &new, sealed).await.unwrap();
        id
    }

    pub(crate) async fn publish(&self, count: i32) {
        let client = self.database.connect().await;
        let sql = "SELECT onering.publish_event('default', 'ring.forged', jsonb_build_object('number', n)) \
                   FROM generate_series(1, $1::integer) AS n";
        client.query(sql, &[&count]).await.unwrap();
    }

    pub(crate) async fn count(&self, condition: &str) -> i64 {
        let client = self.database.connect().await;
        let sql = format!("SELECT count(*) FROM webhook_deliveries WHERE {condition}");
        client.query_one(&sql, &[]).await.unwrap().get(0)
    }

    pub(crate) async fn wait_for(&self, condition: &str, expected: i64) {
        eventually(PATIENCE, condition, async || match self.count(condition).await {
            found if found == expected => Ok(()),
            found => Err(format!("{found} instead of {expected}")),
        })
        .await;
    }

    /// Events whose deliveries belong to somebody until `lease` (SQL) from now: no sweep finds them. Answers what the
    /// stream would say.
    pub(crate) async fn publish_leased(&self, count: i32, lease: &str) -> Vec<StreamEntry> {
        let client = self.database.connect().await;
        let sql = format!(
            "WITH made AS MATERIALIZED (SELECT onering.uuid_v7() AS event_id FROM generate_series(1, {count})), \
             events AS (INSERT INTO webhook_events (event_id, owner_id, event_type, body, matched, occurred_at, created_at) \
                 SELECT event_id, 'default', 'ring.forged', '{{\"data\":1}}', 1, now(), now() FROM made) \
             INSERT INTO webhook_deliveries (delivery_id, event_id, webhook_id, owner_id, event_type, queued_until, created_at) \
                 SELECT onering.sibling_id(m.event_id), m.event_id, w.webhook_id, 'default', 'ring.forged', \
                     now() + interval '{lease}', now() FROM made AS m, external_webhooks AS w \
             RETURNING delivery_id::text, event_id::text, webhook_id::text, (extract(epoch FROM queued_until) * 1000000)::bigint"
        );
        let rows = client.query(&sql, &[]).await.unwrap();
        rows.iter()
            .map(|row| {
                let id = |column| Uuid::parse_str(row.get(column)).unwrap();
                StreamEntry {
                    delivery_id: DeliveryId::from_uuid(id(0)),
                    event_id: EventId::from_uuid(id(1)),
                    webhook_id: SubscriptionId::from_uuid(id(2)),
                    attempt_count: 0,
                    queued_until: DateTime::from_timestamp_micros(row.get(3)).unwrap(),
                    created_at: Clock::system().now(),
                    event_type: "ring.forged".to_owned(),
                    body: Some(Bytes::from_static(b"{\"data\":1}")),
                }
            })
            .collect()
    }

    /// One event for this subscription alone, held.
    pub(crate) async fn hold(&self, webhook: Uuid, reason: &str) {
        self.sql(&format!(
            "WITH made AS MATERIALIZED (SELECT onering.uuid_v7() AS event_id), \
             events AS (INSERT INTO webhook_events (event_id, owner_id, event_type, body, matched, occurred_at, created_at) \
                 SELECT event_id, 'default', 'ring.forged', '{{\"data\":1}}', 1, now(), now() FROM made) \
             INSERT INTO webhook_deliveries (delivery_id, event_id, webhook_id, owner_id, event_type, held_reason, created_at) \
                 SELECT onering.sibling_id(event_id), event_id, '{webhook}', 'default', 'ring.forged', '{reason}', now() FROM made"
        ))
        .await;
    }

    /// The stream, as a gateway sees it.
    pub(crate) fn stream(&self) -> DeliveryStream {
        self.queue().deliveries()
    }

    pub(crate) fn queue(&self) -> Queue {
        Queue::connect_to(&self.redis.url(), Clock::system()).unwrap()
    }

    pub(crate) async fn wait_for_empty_stream(&self) {
        let stream = self.stream();
        eventually(PATIENCE, "the stream is empty", async || match stream.len().await.unwrap() {
            0 => Ok(()),
            left => Err(format!("{left} entries are left")),
        })
        .await;
    }

    /// A network between the worker and Postgres, and the worker behind it.
    pub(crate) async fn worker_behind_proxy(&self) -> (TcpProxy, ServiceOptions) {
        let port = Url::parse(self.database.url()).unwrap().port().unwrap_or(5432);
        let proxy = TcpProxy::start(port).await;
        let worker = self.worker().env("DATABASE_URL", proxy.url(self.database.url()));
        (proxy, worker)
    }

    pub(crate) async fn sql(&self, statements: &str) {
        self.database.connect().await.batch_execute(statements).await.unwrap();
    }
}
