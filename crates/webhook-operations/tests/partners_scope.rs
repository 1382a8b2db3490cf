//! What a partner may do through the operations, on real Postgres and Redis: its own things, and nobody else's.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers fail it by panicking")]

use std::fmt::Debug;
use std::time::Duration;

use onering_clock::Clock;
use onering_delivery::Status;
use onering_flags::FlagsHandle;
use onering_ids::{DeliveryId, OwnerId, SecretId, SubscriptionId};
use onering_problem::{Code, Problem};
use onering_queue::Queue;
use onering_rollout::SourceValues;
use onering_secrets::{KeyRing, Sealed};
use onering_signing::KeyPair;
use onering_store::{Pool, PoolConfig, migrate::migrate};
use onering_testkit::{Template, TestDatabase, TestRedis, eventually, postgres_from, redis};
use onering_webhook_client::AddressGuard;
use onering_webhook_operations::{
    DeliveryQuery, OperationError, Parts, RotateSecretInput, Scope, SubscriptionQuery, TestInput, WebhookOperations,
};
use onering_webhooks::{DisabledBy, SubscriptionInput, SubscriptionPatch, SubscriptionStatus};
use serde_json::{Value, json};

struct World {
    operations: WebhookOperations,
    key_ring: KeyRing,
    queue: Queue,
    database: TestDatabase,
    _redis: TestRedis,
    acme: OwnerId,
    other: OwnerId,
}

impl World {
    async fn new() -> Self {
        let template = Template::of_folder("onering", concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations"));
        let prepare = |url: String| async move { migrate(&PoolConfig::new(&url)?).await.map(drop) };
        let (database, redis) = tokio::join!(postgres_from(&template, prepare), redis());
        let clock = Clock::system();
        let queue = Queue::connect_to(&redis.url(), clock.clone()).unwrap();
        let on = SourceValues { webhooks: Some(true), delivery: Some(true), ..SourceValues::default() };
        let key_ring = KeyRing::parse("k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", clock.clone()).unwrap();
        let operations = WebhookOperations::new(Parts {
            pool: Pool::new(&PoolConfig::new(database.url()).unwrap()).unwrap(),
            queue: queue.clone(),
            flags: FlagsHandle::fixed(on, clock.clone()),
            key_ring: key_ring.clone(),
            guard: AddressGuard::new(true, vec!["127.0.0.0/8".parse().unwrap()]),
            clock,
            process: "test".to_owned(),
            lease: Duration::from_secs(30),
        });
        let (acme, other) = ("acme".parse().unwrap(), "other".parse().unwrap());
        Self { operations, key_ring, queue, database, _redis: redis, acme, other }
    }

    async fn subscribe(&self) -> SubscriptionId {
        let made = self.operations.create_subscription(Scope::Owner(&self.acme), &self.acme, input()).await;
        made.unwrap().subscription.id
    }

    async fn execute(&self, statement: &str) {
        self.database.connect().await.batch_execute(statement).await.unwrap();
    }

    async fn only_delivery(&self) -> DeliveryId {
        let page = self.operations.list_deliveries(Scope::Owner(&self.acme), DeliveryQuery::default()).await.unwrap();
        assert_eq!(page.items.len(), 1);
        page.items[0].id
    }
}

fn input() -> SubscriptionInput {
    serde_json::from_value(json!({"url": "http://127.0.0.1:9/", "events": ["*"], "timeout_seconds": 1})).unwrap()
}

fn patch(body: Value) -> SubscriptionPatch {
    serde_json::from_value(body).unwrap()
}

fn code<T: Debug>(outcome: Result<T, OperationError>) -> Code {
    problem(outcome).code
}

fn problem<T: Debug>(outcome: Result<T, OperationError>) -> Problem {
    match outcome.unwrap_err() {
        OperationError::Refused(problem) => problem,
        other => panic!("{other:?}"),
    }
}

fn disable(by: &str) -> String {
    format!(
        "UPDATE external_webhooks \
         SET status = 'disabled', disabled_by = '{by}', disabled_reason = 'noisy', disabled_at = now()"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn for_another_partner_it_is_not_there() {
    let world = World::new().await;
    let (operations, id) = (&world.operations, world.subscribe().await);
    world.execute("SELECT onering.publish_event('acme', 'ring.forged', '1')").await;
    let delivery = world.only_delivery().await;
    let stranger = Scope::Owner(&world.other);
    let rotation = RotateSecretInput::default();
    for refused in [
        code(operations.create_subscription(stranger, &world.acme, input()).await),
        code(operations.get_subscription(stranger, id).await),
        code(operations.change_subscription(stranger, id, patch(json!({"description": "mine"}))).await),
        code(operations.enable_subscription(stranger, id).await),
        code(operations.pause_subscription(stranger, id).await),
        code(operations.rotate_secret(stranger, id, &rotation).await),
        code(operations.test_subscription(stranger, id, TestInput::default()).await),
        code(operations.public_keys(stranger, id).await),
        code(operations.delete_subscription(stranger, id).await),
        code(operations.get_delivery(stranger, delivery).await),
        code(operations.resend_delivery(stranger, delivery).await),
    ] {
        assert_eq!(refused, Code::NotFound);
    }
    assert!(operations.list_subscriptions(stranger, SubscriptionQuery::default()).await.unwrap().items.is_empty());
    assert!(operations.list_deliveries(stranger, DeliveryQuery::default()).await.unwrap().items.is_empty());
    let untouched = operations.get_subscription(Scope::Owner(&world.acme), id).await.unwrap();
    assert_eq!((untouched.created_at, untouched.description.as_str()), (untouched.updated_at, ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_changes_pauses_and_enables_and_no_row_of_the_operators_log_is_written() {
    let world = World::new().await;
    let (operations, id, owner) = (&world.operations, world.subscribe().await, Scope::Owner(&world.acme));
    let paused = operations.change_subscription(owner, id, patch(json!({"status": "paused"}))).await.unwrap();
    assert_eq!(paused.status, SubscriptionStatus::Paused);
    assert_eq!(code(operations.test_subscription(owner, id, TestInput::default()).await), Code::Conflict);
    world.execute(&disable("platform")).await;
    let gone = operations.get_subscription(owner, id).await.unwrap();
    assert_eq!((gone.disabled_by, gone.disabled_reason.as_deref()), (Some(DisabledBy::Platform), Some("noisy")));
    let enabled = operations.change_subscription(owner, id, patch(json!({"status": "active"}))).await.unwrap();
    assert_eq!(
        (enabled.status, enabled.disabled_by, enabled.disabled_reason),
        (SubscriptionStatus::Active, None, None)
    );
    world.execute(&disable("platform")).await;
    let paused = operations.pause_subscription(owner, id).await.unwrap();
    assert_eq!((paused.status, paused.disabled_by), (SubscriptionStatus::Paused, None));
    let log = world.database.connect().await.query_one("SELECT count(*) FROM admin_audit_log", &[]).await.unwrap();
    assert_eq!(log.get::<_, i64>(0), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_operator_disabled_its_owner_neither_enables_nor_pauses() {
    let world = World::new().await;
    let (operations, id, owner) = (&world.operations, world.subscribe().await, Scope::Owner(&world.acme));
    world.execute(&disable("operator")).await;
    let before = operations.get_subscription(owner, id).await.unwrap();
    assert_eq!((before.status, before.disabled_by), (SubscriptionStatus::Disabled, Some(DisabledBy::Operator)));
    for status in ["active", "paused"] {
        let wanted = patch(json!({"status": status, "description": "let me"}));
        let refused = problem(operations.change_subscription(owner, id, wanted).await);
        assert_eq!((refused.code, refused.field.as_deref()), (Code::Conflict, Some("status")), "{status}");
        assert!(refused.detail.contains("operator") && refused.detail.contains("noisy"), "{}", refused.detail);
        assert!(refused.recovery.is_some());
    }
    for refused in [
        code(operations.enable_subscription(owner, id).await),
        code(operations.pause_subscription(owner, id).await),
        code(operations.disable_subscription(owner, id, "mine now").await),
    ] {
        assert_eq!(refused, Code::Conflict);
    }
    assert_eq!(operations.get_subscription(owner, id).await.unwrap(), before, "nothing of it was written");

    let described =
        operations.change_subscription(owner, id, patch(json!({"description": "still mine"}))).await.unwrap();
    assert_eq!((described.status, described.disabled_by), (before.status, before.disabled_by));
    assert_eq!(described.description, "still mine");
    operations.delete_subscription(owner, id).await.unwrap();
}

/// The decision is made on the row as the lock finds it, not as it was when the request came in.
#[tokio::test(flavor = "multi_thread")]
async fn an_operator_who_is_a_moment_earlier_wins() {
    let world = World::new().await;
    let (operations, id, owner) = (&world.operations, world.subscribe().await, Scope::Owner(&world.acme));
    operations.pause_subscription(owner, id).await.unwrap();
    let (operator, observer) = tokio::join!(world.database.connect(), world.database.connect());
    operator.batch_execute(&format!("BEGIN; {}", disable("operator"))).await.unwrap();
    let committed_once_the_owner_waits = async {
        eventually(Duration::from_secs(10), "the owner's change waits for the row", async || {
            let waiting = "SELECT count(*) FROM pg_stat_activity \
                           WHERE datname = current_database() AND wait_event_type = 'Lock'";
            observer.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0) == 1
        })
        .await;
        operator.batch_execute("COMMIT").await.unwrap();
    };
    let wanted = operations.change_subscription(owner, id, patch(json!({"status": "active"})));
    let (outcome, ()) = tokio::join!(wanted, committed_once_the_owner_waits);
    assert_eq!(code(outcome), Code::Conflict);
    assert_eq!(operations.get_subscription(owner, id).await.unwrap().disabled_by, Some(DisabledBy::Operator));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_sealed_for_its_row_and_opens_there_alone() {
    let world = World::new().await;
    let owner = Scope::Owner(&world.acme);
    let made = world.operations.create_subscription(owner, &world.acme, input()).await.unwrap();
    let rotation = RotateSecretInput { overlap_seconds: Some(60) };
    let rotated = world.operations.rotate_secret(owner, made.subscription.id, &rotation).await.unwrap();
    let statement = "SELECT secret_id::text, kid, sealed FROM external_webhook_secrets ORDER BY expires_at NULLS LAST";
    let rows = world.database.connect().await.query(statement, &[]).await.unwrap();
    let mut opened = Vec::new();
    for row in &rows {
        let sealed = Sealed { kid: row.get(1), bytes: row.get(2) };
        let secret_id = SecretId::from_uuid(row.get::<_, String>(0).parse().unwrap());
        let secret = world.key_ring.open(secret_id, &sealed).unwrap();
        opened.push(String::from_utf8(secret.to_vec()).unwrap());
        assert!(world.key_ring.open(Clock::system().fresh_id(), &sealed).is_err(), "in no other row");
    }
    assert_eq!(opened, [made.secret.expose(), rotated.secret.expose()]);
    assert!(!format!("{made:?} {rotated:?}").contains("whsec_"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_pair_comes_with_the_scheme_and_stays() {
    let world = World::new().await;
    let (operations, owner) = (&world.operations, Scope::Owner(&world.acme));
    let made = operations.create_subscription(owner, &world.acme, input()).await.unwrap();
    let id = made.subscription.id;
    let refused = problem(operations.public_keys(owner, id).await);
    assert_eq!((made.public_key, refused.code), (None, Code::Conflict));
    assert!(refused.recovery.is_some_and(|recovery| recovery.contains("standard-webhooks-v1a")));

    let schemes = |schemes: &[&str]| patch(json!({ "signature_schemes": schemes }));
    let both = ["standard-webhooks", "standard-webhooks-v1a"];
    operations.change_subscription(owner, id, schemes(&both)).await.unwrap();
    let first = operations.public_keys(owner, id).await.unwrap();
    assert_eq!((first.keys.len(), first.keys[0].current, first.keys[0].expires_at), (1, true, None));
    assert!(first.keys[0].public_key.starts_with("whpk_"));
    operations.change_subscription(owner, id, schemes(&["x-webhook"])).await.unwrap();
    assert_eq!(code(operations.public_keys(owner, id).await), Code::Conflict);
    operations.change_subscription(owner, id, schemes(&both)).await.unwrap();
    assert_eq!(
        operations.public_keys(owner, id).await.unwrap(),
        first,
        "the key pair is the same when it is chosen again"
    );

    let rotation = RotateSecretInput { overlap_seconds: Some(60) };
    let rotated = operations.rotate_secret(owner, id, &rotation).await.unwrap();
    let keys = operations.public_keys(owner, id).await.unwrap().keys;
    assert_eq!(
        (Some(&keys[0].public_key), &keys[1].public_key),
        (rotated.public_key.as_ref(), &first.keys[0].public_key)
    );
    assert!(keys[0].current && !keys[1].current && keys[1].expires_at.is_some());

    let born: SubscriptionInput = serde_json::from_value(
        json!({"url": "http://127.0.0.1:9/", "events": ["*"], "signature_schemes": ["standard-webhooks-v1a"]}),
    )
    .unwrap();
    let born = operations.create_subscription(owner, &world.acme, born).await.unwrap();
    let keys = operations.public_keys(owner, born.subscription.id).await.unwrap().keys;
    assert_eq!(Some(&keys[0].public_key), born.public_key.as_ref());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_pair_is_sealed_for_its_row() {
    let world = World::new().await;
    let (operations, id, owner) = (&world.operations, world.subscribe().await, Scope::Owner(&world.acme));
    let v1a = patch(json!({ "signature_schemes": ["standard-webhooks-v1a"] }));
    operations.change_subscription(owner, id, v1a).await.unwrap();
    let public = operations.public_keys(owner, id).await.unwrap().keys.remove(0).public_key;
    let statement = "SELECT secret_id::text, kid, sealed FROM external_webhook_secrets WHERE kind = 'ed25519'";
    let row = world.database.connect().await.query_one(statement, &[]).await.unwrap();
    let sealed = Sealed { kid: row.get(1), bytes: row.get(2) };
    let secret_id = SecretId::from_uuid(row.get::<_, String>(0).parse().unwrap());
    let opened = String::from_utf8(world.key_ring.open(secret_id, &sealed).unwrap().to_vec()).unwrap();
    assert_eq!(opened.parse::<KeyPair>().unwrap().public_key().to_string(), public);
    assert!(world.key_ring.open(Clock::system().fresh_id(), &sealed).is_err(), "in no other row");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_shows_where_one_subscription_is_asked_for() {
    let world = World::new().await;
    let (operations, id, owner) = (&world.operations, world.subscribe().await, Scope::Owner(&world.acme));
    assert_eq!(operations.get_subscription(owner, id).await.unwrap().rotation, Some(None));
    let rotation = RotateSecretInput { overlap_seconds: Some(60) };
    let rotated = operations.rotate_secret(owner, id, &rotation).await.unwrap();
    let shown = operations.get_subscription(owner, id).await.unwrap().rotation.flatten().unwrap();
    assert_eq!(Some(Some(shown.previous_expires_at)), rotated.previous_secret_expires_at);
    let known = (shown.sent_with_both, shown.confirmed_at, shown.still_on_previous);
    assert_eq!(known, (0, None, None), "nothing is known, and nothing is made up");
    let listed = operations.list_subscriptions(owner, SubscriptionQuery::default()).await.unwrap();
    assert_eq!(listed.items[0].rotation, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_subscriptions_waiting_deliveries_are_cancelled_and_cannot_be_resent() {
    let world = World::new().await;
    let (operations, id, owner) = (&world.operations, world.subscribe().await, Scope::Owner(&world.acme));
    world.execute("SELECT onering.publish_event('acme', 'ring.forged', '1')").await;
    let delivery = world.only_delivery().await;
    operations.delete_subscription(owner, id).await.unwrap();
    let cancelled = operations.get_delivery(owner, delivery).await.unwrap();
    assert_eq!((cancelled.status, cancelled.attempts), (Status::Cancelled, Some(Vec::new())));
    assert_eq!(code(operations.resend_delivery(owner, delivery).await), Code::Conflict);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_worker_a_test_answers_that_nothing_was_attempted_yet() {
    let world = World::new().await;
    let (operations, id) = (&world.operations, world.subscribe().await);
    let result = operations.test_subscription(Scope::Owner(&world.acme), id, TestInput::default()).await.unwrap();
    assert_eq!((result.status, result.delivered, result.attempt), (Status::Pending, false, None));
    assert_eq!(result.event_id.unix_ms(), result.delivery_id.unix_ms(), "one partition holds both");
    assert_eq!(world.queue.deliveries().len().await.unwrap(), 1, "a worker will find it");
}
