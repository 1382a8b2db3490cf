//! The worker's own behaviour, with the real process on private stores: events come from plain SQL, receivers are real.

use std::time::Duration;

use onering_clock::Clock;
use onering_ids::{OwnerId, SecretId, SubscriptionId};
use onering_secrets::KeyRing;
use onering_signing::SigningSecret;
use onering_store::{PoolConfig, subscriptions};
use onering_testkit::{
    Receiver, Reply, ScratchDir, ServiceOptions, Template, TestDatabase, TestRedis, eventually, postgres_from, redis,
    scratch_dir,
};
use onering_webhooks::NewSubscription;
use serde_json::{Value, json};

const KEYS: &str = "test:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const PATIENCE: Duration = Duration::from_secs(30);

struct Bench {
    database: TestDatabase,
    redis: TestRedis,
    flags: ScratchDir,
}

impl Bench {
    async fn new() -> Self {
        let template = Template::of_folder("onering", concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations"));
        let database = postgres_from(&template, |url| async move {
            onering_store::migrate::migrate(&PoolConfig::new(&url)?).await.map(|_| ())
        })
        .await;
        let bench = Self { database, redis: redis().await, flags: scratch_dir("flags") };
        bench.delivery(true);
        bench
    }

    fn delivery(&self, on: bool) {
        let value = if on { "1" } else { "0" };
        std::fs::write(self.flags.path().join("ONERING_WEBHOOKS_DELIVERY_ENABLED"), value).unwrap();
    }

    fn worker(&self) -> ServiceOptions {
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

    async fn subscribe(&self, url: &str, further: Value) -> SubscriptionId {
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

    async fn publish(&self, count: i32) {
        let client = self.database.connect().await;
        let sql = "SELECT onering.publish_event('default', 'ring.forged', jsonb_build_object('number', n)) \
                   FROM generate_series(1, $1::integer) AS n";
        client.query(sql, &[&count]).await.unwrap();
    }

    async fn count(&self, condition: &str) -> i64 {
        let client = self.database.connect().await;
        let sql = format!("SELECT count(*) FROM webhook_deliveries WHERE {condition}");
        client.query_one(&sql, &[]).await.unwrap().get(0)
    }

    async fn wait_for(&self, condition: &str, expected: i64) {
        eventually(PATIENCE, condition, async || match self.count(condition).await {
            found if found == expected => Ok(()),
            found => Err(format!("{found} instead of {expected}")),
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn once_delivers_what_is_due_and_ends() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    bench.subscribe(&receiver.url("/hook"), json!({})).await;
    // More than a lane takes: what overflows is put off for seconds, and still delivered.
    bench.publish(1_500).await;
    let mut worker = bench.worker().arg("--once").spawn();
    let status = worker.wait_exit().await;
    assert!(status.success(), "{}", worker.logs());
    assert_eq!(receiver.count(), 1_500);
    assert_eq!(bench.count("status = 'DELIVERED'").await, 1_500);
    let logs = worker.logs();
    assert!(logs.contains("Webhook delivery worker started"), "{logs}");
    assert!(logs.contains("processing delivery"), "{logs}");
    assert!(!logs.contains("whsec_") && !logs.contains("\"number\""), "secrets and payloads are never logged");
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_lets_attempts_finish_and_gives_the_rest_back() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    receiver.otherwise(Reply::status(200).delay(Duration::from_secs(1)));
    bench.subscribe(&receiver.url("/hook"), json!({ "max_in_flight": 10 })).await;
    let mut worker = bench.worker().start().await;
    bench.publish(30).await;
    receiver.wait_until("ten attempts are under way", |_| receiver.in_flight() >= 10).await;
    let status = worker.terminate().await;
    assert_eq!(status.code(), Some(0), "{}", worker.logs());
    let delivered = bench.count("status = 'DELIVERED'").await;
    assert_eq!(i64::try_from(receiver.count()).unwrap(), delivered, "every attempt that was made is settled");
    assert_eq!(bench.count("queued_until > now() + interval '2 seconds'").await, 0, "the rest is due at once");
    receiver.otherwise(Reply::status(200));
    let _second = bench.worker().start().await;
    bench.wait_for("status = 'DELIVERED'", 30).await;
    assert_eq!(receiver.count(), 30, "nothing is sent twice without a crash");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_receiver_fills_its_own_lane_and_no_other() {
    let bench = Bench::new().await;
    let (slow, quick) = (Receiver::start().await, Receiver::start().await);
    slow.otherwise(Reply::hang());
    bench.subscribe(&slow.url("/hook"), json!({ "max_in_flight": 2, "timeout_seconds": 30 })).await;
    bench.subscribe(&quick.url("/hook"), json!({})).await;
    let _worker = bench.worker().start().await;
    bench.publish(200).await;
    quick.wait_for(200).await;
    assert!(slow.most_in_flight() <= 2, "max_in_flight is exceeded: {}", slow.most_in_flight());
    // What does not fit into the slow lane waits in Postgres, not in memory, and not in anybody's way.
    bench.wait_for("status = 'DELIVERED'", 200).await;
    assert_eq!(bench.count("settled_at IS NULL").await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_limit_paces_a_subscription() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    bench.subscribe(&receiver.url("/hook"), json!({ "rate_limit_per_second": 10 })).await;
    let _worker = bench.worker().start().await;
    bench.publish(16).await;
    let requests = receiver.wait_for(16).await;
    let took = requests[15].instant - requests[0].instant;
    assert!(took >= Duration::from_millis(1_400), "16 attempts at 10 a second took only {took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn switched_off_nothing_is_sent_and_switched_on_nothing_was_lost() {
    let bench = Bench::new().await;
    bench.delivery(false);
    let receiver = Receiver::start().await;
    bench.subscribe(&receiver.url("/hook"), json!({})).await;
    let _worker = bench.worker().start().await;
    bench.publish(50).await;
    assert_eq!(bench.count("settled_at IS NULL").await, 50);
    assert_eq!(receiver.count(), 0);
    bench.delivery(true);
    receiver.wait_for(50).await;
    bench.wait_for("status = 'DELIVERED'", 50).await;
    assert_eq!(receiver.count(), 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn old_events_expire_unsent() {
    let bench = Bench::new().await;
    bench.delivery(false);
    let receiver = Receiver::start().await;
    bench.subscribe(&receiver.url("/hook"), json!({ "max_event_age_seconds": 1 })).await;
    bench.publish(1).await;
    let client = bench.database.connect().await;
    eventually(PATIENCE, "the event is over a second old", async || {
        let old: bool = client
            .query_one("SELECT created_at < now() - interval '1.1 seconds' FROM webhook_events", &[])
            .await
            .unwrap()
            .get(0);
        old
    })
    .await;
    bench.delivery(true);
    let _worker = bench.worker().start().await;
    bench.wait_for("status = 'REPLAY_EXPIRED'", 1).await;
    assert_eq!(receiver.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_share_the_work_and_never_double_it() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    receiver.otherwise(Reply::status(200).delay(Duration::from_millis(5)));
    bench.subscribe(&receiver.url("/hook"), json!({})).await;
    let _one = bench.worker().env("ONERING_INSTANCE", "one").start().await;
    let _two = bench.worker().env("ONERING_INSTANCE", "two").start().await;
    for _ in 0..5 {
        bench.publish(200).await;
    }
    bench.wait_for("status = 'DELIVERED'", 1_000).await;
    assert_eq!(receiver.count(), 1_000, "nothing is sent twice without a crash");
    let client = bench.database.connect().await;
    let workers: i64 =
        client.query_one("SELECT count(DISTINCT worker) FROM external_delivery_logs", &[]).await.unwrap().get(0);
    assert_eq!(workers, 2);
}
