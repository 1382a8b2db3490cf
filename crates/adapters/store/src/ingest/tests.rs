use super::*;
use crate::idempotency;
use crate::testing::{LEASE, World, somebody_waits_for_a_lock};

struct Sample {
    event_id: EventId,
    recipient: Recipient,
    event_type: &'static str,
    body: String,
    key: Option<(OwnerId, &'static str, [u8; 32])>,
}

impl Sample {
    fn new(world: &World, recipient: &str, event_type: &'static str, data: &str) -> Self {
        let event_id: EventId = world.clock.fresh_id();
        let body = format!(r#"{{"event_id":"{event_id}","event_type":"{event_type}","data":{data}}}"#);
        Self { event_id, recipient: recipient.parse().unwrap(), event_type, body, key: None }
    }

    fn keyed(mut self, owner: &str, key: &'static str, digest: u8) -> Self {
        self.key = Some((owner.parse().unwrap(), key, [digest; 32]));
        self
    }
}

async fn accept_all(world: &mut World, samples: &[Sample], hold: Option<HeldReason>) -> Vec<Ingested> {
    try_accept(world, samples, hold).await.unwrap()
}

async fn try_accept(
    world: &mut World,
    samples: &[Sample],
    hold: Option<HeldReason>,
) -> Result<Vec<Ingested>, StoreError> {
    accept_on(world, samples, Terms { hold, ..Terms::queued_within(LEASE) }).await
}

async fn accept_on(world: &mut World, samples: &[Sample], terms: Terms<'_>) -> Result<Vec<Ingested>, StoreError> {
    let now = world.clock.now();
    let events: Vec<IncomingEvent<'_>> = samples
        .iter()
        .map(|sample| IncomingEvent {
            event_id: sample.event_id,
            recipient: &sample.recipient,
            event_type: sample.event_type,
            body: sample.body.as_bytes(),
            occurred_at: now,
            publisher: None,
            idempotency: sample.key.as_ref().map(|(owner, key, digest)| IdempotencyClaim { owner, key, digest }),
        })
        .collect();
    accept(&mut world.connection, &events, terms).await
}

fn matched(ingested: &[Ingested]) -> Vec<Option<u32>> {
    ingested
        .iter()
        .map(|one| match one {
            Ingested::Accepted(accepted) => Some(accepted.matched),
            Ingested::KeyTaken => None,
        })
        .collect()
}

/// Lists go by delivery id, so what one process accepted is listed in the order in which it came.
/// Whoever queues them says whose it will not: those do not wait for the end of a lease that nobody uses.
#[tokio::test]
async fn surplus_is_due_at_once_and_the_others_have_their_lease() {
    let mut world = World::new().await;
    let (flooded, other) = (world.subscription("acme", "*").await, world.subscription("acme", "*").await);
    let terms = Terms { surplus: &[flooded], ..Terms::queued_within(LEASE) };
    let sample = Sample::new(&world, "acme", "a.b", "1");
    let ingested = accept_on(&mut world, &[sample], terms).await.unwrap();
    let Ingested::Accepted(accepted) = &ingested[0] else { panic!("{ingested:?}") };
    assert_eq!((accepted.matched, accepted.due, accepted.queued.len()), (2, 1, 1));
    assert_eq!(accepted.queued[0].webhook_id, other);
    let swept = world.sweep(10).await;
    assert_eq!(swept.iter().map(|row| row.work.webhook_id).collect::<Vec<_>>(), [flooded]);
}

#[tokio::test]
async fn deliveries_sort_as_their_events_do_however_fast_they_came() {
    let mut world = World::new().await;
    world.clock = onering_clock::Clock::manual(world.clock.now());
    world.subscription("a", "*").await;
    let samples: Vec<_> = (0..50).map(|_| Sample::new(&world, "a", "ring.forged", "{}")).collect();
    accept_all(&mut world, &samples, None).await;
    let out_of_order = "SELECT count(*) FROM (SELECT event_id, lag(event_id) OVER (ORDER BY delivery_id) AS before \
                            FROM webhook_deliveries) AS listed WHERE before > event_id";
    assert_eq!(world.number(out_of_order).await, 0);
    assert_eq!(world.number("SELECT count(*) FROM webhook_deliveries").await, 50);
}

#[tokio::test]
async fn events_meet_the_subscriptions_they_match_in_the_order_given() {
    let mut world = World::new().await;
    let exact = world.subscription("a", "ring.forged").await;
    let prefix = world.subscription("a", "ring.*").await;
    let other = world.subscription("b", "*").await;
    let samples = [
        Sample::new(&world, "a", "ring.forged", "{}"),
        Sample::new(&world, "a", "ring.lost", "{}"),
        Sample::new(&world, "a", "draft.published", "{}"),
        Sample::new(&world, "*", "ring.forged", "{}"),
        Sample::new(&world, "nobody", "ring.forged", "{}"),
    ];
    let ingested = accept_all(&mut world, &samples, None).await;
    assert_eq!(matched(&ingested), [Some(2), Some(1), Some(0), Some(3), Some(0)]);
    let Ingested::Accepted(everybody) = &ingested[3] else { panic!("accepted") };
    let mut webhooks: Vec<_> = everybody.queued.iter().map(|work| work.webhook_id).collect();
    let mut expected = [exact, prefix, other];
    webhooks.sort_unstable();
    expected.sort_unstable();
    assert_eq!(webhooks, expected);
    for work in &everybody.queued {
        assert_eq!((work.event_id, &*work.event_type), (samples[3].event_id, "ring.forged"));
        assert_eq!(work.delivery_id.unix_ms(), work.event_id.unix_ms(), "of one millisecond, for the ledger's sake");
        assert_eq!(work.lease.until, everybody.created_at.plus(LEASE));
    }
    let ledger = world.ledger().await;
    assert_eq!((ledger.matched, ledger.pending, ledger.balances()), (6, 6, true));
}

#[tokio::test]
async fn filters_look_at_the_data() {
    let mut world = World::new().await;
    world.subscription("a", "*").await;
    world.sql(r#"UPDATE external_webhooks SET filter = '{"size": [{"numeric": [">", 10]}]}'"#).await;
    let samples = [
        Sample::new(&world, "a", "ring.forged", r#"{"size":11}"#),
        Sample::new(&world, "a", "ring.forged", r#"{"size":10}"#),
        // Valid JSON that jsonb cannot hold: to filters it has no fields, and it harms nobody else's event.
        Sample::new(&world, "a", "ring.forged", r#"{"size":11,"text":"\u0000"}"#),
        Sample::new(&world, "a", "ring.forged", r#"{"size":1e999999}"#),
        Sample::new(&world, "a", "ring.forged", r#"{"size":11,"text":"\ud800"}"#),
    ];
    let ingested = accept_all(&mut world, &samples, None).await;
    assert_eq!(matched(&ingested), [Some(1), Some(0), Some(0), Some(0), Some(0)]);
}

#[tokio::test]
async fn deliveries_that_may_not_go_out_are_held_from_the_start() {
    let mut world = World::new().await;
    for (owner, change) in [
        ("a", "UPDATE external_webhooks SET status = 'paused' WHERE owner_id = 'a'"),
        (
            "b",
            "UPDATE external_webhooks SET status = 'disabled', disabled_by = 'operator', disabled_reason = 'x', disabled_at = now() WHERE owner_id = 'b'",
        ),
        ("c", "UPDATE partners SET status = 'disabled' WHERE owner_id = 'c'"),
        ("d", "UPDATE external_webhooks SET deleted_at = now() WHERE owner_id = 'd'"),
        ("e", "SELECT 1"),
    ] {
        world.subscription(owner, "*").await;
        world.sql(change).await;
    }
    let sample = [Sample::new(&world, "*", "ring.forged", "{}")];
    let ingested = accept_all(&mut world, &sample, Some(HeldReason::DeliveryOff)).await;
    let Ingested::Accepted(accepted) = &ingested[0] else { panic!("accepted") };
    assert_eq!((accepted.matched, accepted.queued.len()), (4, 0));
    let held = "SELECT string_agg(owner_id || ' ' || held_reason, ', ' ORDER BY owner_id) FROM webhook_deliveries";
    assert_eq!(
        world.text(held).await.as_deref(),
        Some("a SUBSCRIPTION_PAUSED, b SUBSCRIPTION_DISABLED, c PARTNER_DISABLED, e DELIVERY_OFF")
    );
}

#[tokio::test]
async fn an_idempotency_key_counts_once_in_a_batch_and_for_ever_after() {
    let mut world = World::new().await;
    world.subscription("a", "*").await;
    let keyed = |world: &World, owner, digest| Sample::new(world, "a", "ring.forged", "{}").keyed(owner, "k", digest);
    let first = [keyed(&world, "a", 1), keyed(&world, "a", 1), keyed(&world, "b", 2)];
    let ingested = accept_all(&mut world, &first, None).await;
    assert_eq!(matched(&ingested), [Some(1), None, Some(1)], "the first of the batch; keys of partners never meet");
    let again = [keyed(&world, "a", 9)];
    assert_eq!(matched(&accept_all(&mut world, &again, None).await), [None]);
    assert_eq!(world.number("SELECT count(*) FROM webhook_events").await, 2);

    let (a, nobody) = ("a".parse().unwrap(), "nobody".parse().unwrap());
    let found = idempotency::find(&mut world.connection, &[(&a, "k"), (&nobody, "k"), (&a, "other")]).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].event_id, found[0].digest, found[0].matched), (first[0].event_id, [1; 32], Some(1)));

    assert_eq!(idempotency::forget(&mut world.connection, Duration::from_secs(3600), 10).await.unwrap(), 0);
    assert_eq!(idempotency::forget(&mut world.connection, Duration::ZERO, 1).await.unwrap(), 1);
    assert_eq!(idempotency::forget(&mut world.connection, Duration::ZERO, 10).await.unwrap(), 1);
    assert_eq!(matched(&accept_all(&mut world, &again, None).await), [Some(1)]);
}

/// Two gateways get the same keys in opposite orders at once: one of each wins, and nobody deadlocks.
#[tokio::test]
async fn batches_with_crossed_keys_do_not_deadlock() {
    let mut world = World::new().await;
    world.subscription("a", "*").await;
    let config = world.config();
    let keys: [&'static str; 6] = ["k1", "k2", "k3", "k4", "k5", "k6"];
    let gateway = |reverse: bool| {
        let config = config.clone();
        async move {
            let mut world = crate::connect(&config).await.unwrap();
            let clock = onering_clock::Clock::system();
            let (owner, recipient): (OwnerId, Recipient) = ("a".parse().unwrap(), "a".parse().unwrap());
            let mut keys = keys.to_vec();
            if reverse {
                keys.reverse();
            }
            let events: Vec<_> = keys
                .iter()
                .map(|key| IncomingEvent {
                    event_id: clock.fresh_id(),
                    recipient: &recipient,
                    event_type: "ring.forged",
                    body: br#"{"data":{}}"#,
                    occurred_at: clock.now(),
                    publisher: None,
                    idempotency: Some(IdempotencyClaim { owner: &owner, key, digest: &[1; 32] }),
                })
                .collect();
            accept(&mut world, &events, Terms::queued_within(LEASE)).await.unwrap()
        }
    };
    let (one, two) = tokio::join!(gateway(false), gateway(true));
    let accepted = matched(&one).into_iter().chain(matched(&two)).flatten().count();
    assert_eq!(accepted, keys.len());
}

/// The product's own way in: plain SQL in its own transaction.
#[tokio::test]
async fn publish_event_belongs_to_the_callers_transaction() {
    let mut world = World::new().await;
    world.subscription("acme", "ring.*").await;
    let product = world.database.connect().await;
    let call = "SELECT onering.publish_event('acme', 'ring.forged', '{\"ring\": 1}', 'order-1')::text AS id";

    product.batch_execute(&format!("BEGIN; {call}; ROLLBACK")).await.unwrap();
    let written = "SELECT (SELECT count(*) FROM webhook_events) + (SELECT count(*) FROM webhook_deliveries) \
                   + (SELECT count(*) FROM idempotency_keys)";
    assert_eq!(world.number(written).await, 0, "a rollback leaves nothing");

    let first: String = product.query_one(call, &[]).await.unwrap().get(0);
    let again: String = product.query_one(call, &[]).await.unwrap().get(0);
    assert_eq!(first, again, "the same key and content: the same event");
    assert_eq!(world.number(written).await, 3);

    let other =
        product.query_one("SELECT onering.publish_event('acme', 'ring.forged', '{\"ring\": 2}', 'order-1')", &[]).await;
    let refused = other.unwrap_err();
    assert_eq!(refused.code().map(tokio_postgres::error::SqlState::code), Some("23505"), "{refused:?}");

    let swept = world.sweep(10).await;
    assert_eq!(swept.len(), 1, "due at once");
    let body: serde_json::Value = serde_json::from_slice(&swept[0].body).unwrap();
    let event_id = EventId::from_uuid(first.parse().unwrap());
    assert_eq!(body["event_id"], event_id.to_string());
    assert_eq!((&body["event_type"], &body["data"]["ring"]), (&"ring.forged".into(), &1.into()));
    let stamp = body["timestamp"].as_str().unwrap();
    assert!(stamp.ends_with('Z') && stamp.len() == 24 && stamp.parse::<DateTime<Utc>>().is_ok(), "{stamp}");
}

/// The product's keys and a partner's are each one's own, whatever they are called.
#[tokio::test]
async fn publish_event_and_partners_never_share_a_key() {
    let mut world = World::new().await;
    world.subscription("a", "*").await;
    let by_partner = [Sample::new(&world, "a", "ring.forged", "{}").keyed("a", "k", 9)];
    assert_eq!(matched(&accept_all(&mut world, &by_partner, None).await), [Some(1)]);
    let call = "SELECT onering.publish_event('a', 'ring.forged', '{}', 'k')::text";
    let first = world.text(call).await;
    assert_eq!(world.text(call).await, first);
    let again = [Sample::new(&world, "a", "ring.forged", "{}").keyed("a", "k", 9)];
    assert_eq!(matched(&accept_all(&mut world, &again, None).await), [None], "the partner's own repetition");
    let to_all = world.text("SELECT onering.publish_event('*', 'ring.forged', '{}', 'k')::text").await;
    assert_ne!(to_all, first);
    assert_eq!(world.number("SELECT count(*) FROM webhook_events").await, 3);
    // Nor does one wait for the other's transaction.
    let product = world.database.connect().await;
    product.batch_execute("BEGIN; SELECT onering.publish_event('a', 'ring.forged', '{}', 'open')").await.unwrap();
    let meanwhile = Sample::new(&world, "a", "ring.forged", "{}").keyed("a", "open", 9);
    world.sql("SET lock_timeout = '1ms'").await;
    assert_eq!(matched(&accept_all(&mut world, &[meanwhile], None).await), [Some(1)]);
}

/// The product's role sees none of the tables.
#[tokio::test]
async fn publish_event_needs_no_right_but_its_own() {
    let mut world = World::new().await;
    world.subscription("acme", "*").await;
    let role = format!("product_{}", world.clock.fresh_id::<EventId>().uuid().simple());
    let call = "SELECT onering.publish_event('acme', 'ring.forged', '{}', 'k')";
    world.sql(&format!("CREATE ROLE {role}; GRANT USAGE ON SCHEMA onering TO {role}; SET ROLE {role}")).await;
    assert!(world.refused(call).await.contains("permission denied for function"));
    let grant = format!("GRANT EXECUTE ON FUNCTION onering.publish_event TO {role}");
    world.sql(&format!("RESET ROLE; {grant}; SET ROLE {role}; {call}; {call}")).await;
    for forbidden in [
        "SELECT * FROM webhook_events",
        "SELECT * FROM onering.ingest_events('{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '{}', '0', NULL)",
        "SELECT onering.ensure_partitions('2020-01-01', '2020-01-01')",
    ] {
        assert!(world.refused(forbidden).await.contains("permission denied"), "{forbidden}");
    }
    world.sql(&format!("RESET ROLE; DROP OWNED BY {role}; DROP ROLE {role}")).await;
    assert_eq!(world.number("SELECT count(*) FROM webhook_deliveries").await, 1);
}

/// It runs with its owner's rights: whoever may create in `public` must not be able to lend it a function of its own that fits
/// a call more closely than the built-in one.
#[tokio::test]
async fn publish_event_calls_nothing_that_was_put_into_public() {
    let mut world = World::new().await;
    world.subscription("acme", "*").await;
    world
        .sql(
            "CREATE FUNCTION public.jsonb_build_array(text, text, jsonb) RETURNS jsonb LANGUAGE plpgsql AS
             $$ BEGIN RAISE EXCEPTION 'hijacked'; END $$;
             CREATE FUNCTION public.cardinality(text[]) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS
             $$ BEGIN RAISE EXCEPTION 'hijacked'; END $$",
        )
        .await;
    world.sql("SELECT onering.publish_event('acme', 'ring.forged', '{}', 'k')").await;
    assert_eq!(world.number("SELECT count(*) FROM webhook_deliveries").await, 1);
}

/// Nobody made the day's partition: a failure of the platform, which no caller's data caused.
#[tokio::test]
async fn a_day_without_a_partition_is_said_to_be_one() {
    let mut world = World::new().await;
    world.subscription("acme", "*").await;
    let partitions = "SELECT string_agg(inhrelid::regclass::text, ',') FROM pg_inherits WHERE inhparent = 'webhook_events'::regclass";
    let partitions = world.text(partitions).await.unwrap();
    world.sql(&format!("DROP TABLE {partitions}")).await;
    let event = Sample::new(&world, "acme", "ring.forged", "{}");
    let refused = try_accept(&mut world, &[event], None).await.unwrap_err();
    assert!(matches!(&refused, StoreError::MissingPartition { table, .. } if table == "webhook_events"), "{refused:?}");
    assert!(refused.is_transient(), "a partition may be made");
}

#[tokio::test]
async fn publish_event_refuses_nonsense_with_a_sentence() {
    let mut world = World::new().await;
    for (call, word) in [
        ("onering.publish_event(NULL, 'a.b', '{}')", "owner"),
        ("onering.publish_event('no spaces', 'a.b', '{}')", "owner"),
        ("onering.publish_event('acme', 'not a type', '{}')", "type"),
        ("onering.publish_event('acme', 'a.b', NULL)", "data"),
        ("onering.publish_event('acme', 'a.b', to_jsonb(repeat('x', 1048575)))", "data"),
    ] {
        let refused = world.refused(&format!("SELECT {call}")).await;
        assert!(refused.starts_with(word), "{call}: {refused}");
    }
    world.sql("SELECT onering.publish_event('*', 'a.b', '[1, null]')").await;
    assert_eq!(world.number("SELECT count(*) FROM webhook_events WHERE owner_id = '*' AND matched = 0").await, 1);
}

/// A second publisher with the same key waits for the first one's transaction and then answers its event.
#[tokio::test]
async fn publish_event_waits_for_the_first_with_the_same_key() {
    let mut world = World::new().await;
    let (first, second) = (world.database.connect().await, world.database.connect().await);
    let call = "SELECT onering.publish_event('acme', 'ring.forged', '{}', 'k')::text";
    first.batch_execute("BEGIN").await.unwrap();
    let mine: String = first.query_one(call, &[]).await.unwrap().get(0);
    let waiting = tokio::spawn(async move { second.query_one(call, &[]).await.unwrap().get::<_, String>(0) });
    somebody_waits_for_a_lock(&mut world.connection).await;
    first.batch_execute("COMMIT").await.unwrap();
    assert_eq!(waiting.await.unwrap(), mine);
}
