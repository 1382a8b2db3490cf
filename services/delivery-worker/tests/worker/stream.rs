//! What comes through the stream: sent at once, acknowledged after its result, and never sent on a right that is over.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use onering_clock::Clock;
use onering_ids::EventId;
use onering_testkit::{Receiver, Reply, eventually};
use serde_json::json;

use crate::bench::{Bench, PATIENCE};

#[tokio::test(flavor = "multi_thread")]
async fn what_the_stream_brings_is_sent_and_acknowledged() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    bench.subscribe(&receiver.url("/hook"), json!({})).await;
    let mut entries = bench.publish_leased(20, "1 hour").await;
    // A body that was too large to travel is read from its event.
    entries[0].body = None;
    let _worker = bench.worker().start().await;
    bench.stream().push(&entries).await.unwrap();
    bench.wait_for("status = 'DELIVERED'", 20).await;
    bench.wait_for_empty_stream().await;
    assert!(receiver.requests().iter().all(|request| request.body == b"{\"data\":1}"));
    assert_eq!(receiver.count(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_whose_right_is_over_is_put_away_unsent() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    bench.subscribe(&receiver.url("/hook"), json!({})).await;
    let mut entries = bench.publish_leased(5, "1 hour").await;
    for entry in &mut entries {
        entry.queued_until -= Duration::from_secs(2 * 3600);
    }
    let _worker = bench.worker().start().await;
    bench.stream().push(&entries).await.unwrap();
    bench.wait_for_empty_stream().await;
    assert_eq!(receiver.count(), 0, "somebody else owns these deliveries");
    assert_eq!(bench.count("queued_until > now() + interval '50 minutes'").await, 5);
}

/// The worker has two places, and what comes together needs thirty-two.
#[tokio::test(flavor = "multi_thread")]
async fn a_pack_that_finds_too_few_places_waits_for_them() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    bench.subscribe(&receiver.url("/hook"), json!({})).await;
    let mut entries = bench.publish_leased(40, "1 hour").await;
    for entry in entries.iter_mut().skip(1).step_by(3) {
        entry.body = None;
    }
    bench.stream().push(&entries).await.unwrap();
    assert_eq!(bench.stream().len().await.unwrap(), 2);
    let _worker = bench.worker().env("ONERING_WEBHOOKS_MAX_IN_FLIGHT", "1").start().await;
    bench.wait_for("status = 'DELIVERED'", 40).await;
    bench.wait_for_empty_stream().await;
    assert_eq!(receiver.count(), 40);
}

/// A worker that stops hands back what it has read, also what has no place yet.
#[tokio::test(flavor = "multi_thread")]
async fn a_pack_that_waits_for_places_is_handed_back_by_a_worker_that_stops() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    receiver.otherwise(Reply::status(200).delay(Duration::from_secs(1)));
    bench.subscribe(&receiver.url("/hook"), json!({})).await;
    let mut entries = bench.publish_leased(32, "1 hour").await;
    entries[30].body = None;
    let mut worker = bench.worker().env("ONERING_WEBHOOKS_MAX_IN_FLIGHT", "1").start().await;
    bench.stream().push(&entries).await.unwrap();
    receiver.wait_for(1).await;
    assert_eq!(worker.terminate().await.code(), Some(0), "{}", worker.logs());
    assert_eq!(bench.count("settled_at IS NULL AND queued_until > now()").await, 0, "{}", worker.logs());
    assert!(bench.stream().is_empty().await.unwrap());
    assert_eq!(bench.count("status = 'DELIVERED'").await, i64::try_from(receiver.count()).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_dies_in_the_middle_of_a_pack_costs_what_was_under_way_a_second_request() {
    const ANSWERED: usize = 20;
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    let (is_mended, taken) = (Arc::new(AtomicBool::new(false)), AtomicUsize::new(0));
    let mended = Arc::clone(&is_mended);
    receiver.otherwise_by(move |_| {
        let number = taken.fetch_add(1, Ordering::Relaxed);
        if number < ANSWERED || mended.load(Ordering::Relaxed) { Reply::status(200) } else { Reply::hang() }
    });
    bench.subscribe(&receiver.url("/hook"), json!({ "timeout_seconds": 30 })).await;
    let entries = bench.publish_leased(32, "1 hour").await;
    let mut worker = bench.worker().start().await;
    bench.stream().push(&entries).await.unwrap();
    bench.wait_for("status = 'DELIVERED'", ANSWERED as i64).await;
    assert_eq!(bench.stream().len().await.unwrap(), 1, "one entry brought them all, and not all are done with");
    worker.kill9();
    let events = |requests: Vec<onering_testkit::Received>| -> Vec<String> {
        requests.iter().map(|request| request.header("webhook-id").unwrap().to_owned()).collect()
    };
    let before = events(receiver.requests());
    is_mended.store(true, Ordering::Relaxed);
    let _heir = bench.worker().env("ONERING_WEBHOOKS_LEASE_SECONDS", "2").start().await;
    bench.wait_for("status = 'DELIVERED'", 32).await;
    bench.wait_for_empty_stream().await;
    let after = events(receiver.requests()).split_off(before.len());
    let answered: HashSet<&String> = before[..ANSWERED].iter().collect();
    assert_eq!(after.len(), 32 - ANSWERED, "each that was not settled once more");
    assert!(after.iter().all(|event| !answered.contains(event)), "what was settled is not sent again");
    assert_eq!(before.iter().chain(&after).collect::<HashSet<_>>().len(), 32);
}

/// The entry is taken over although its worker lives, once it is older than a lease; what is under way is not disturbed.
#[tokio::test(flavor = "multi_thread")]
async fn a_pack_with_one_that_takes_long_is_acknowledged_without_it_and_sends_nothing_twice() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    receiver.script([Reply::status(200).delay(Duration::from_secs(15))]);
    bench.subscribe(&receiver.url("/hook"), json!({ "timeout_seconds": 30 })).await;
    // Less than a request may take: each is renewed before it is sent.
    let entries = bench.publish_leased(8, "3 seconds").await;
    bench.stream().push(&entries).await.unwrap();
    let _worker = bench.worker().env("ONERING_WEBHOOKS_LEASE_SECONDS", "3").start().await;
    bench.wait_for("status = 'DELIVERED'", 7).await;
    bench.wait_for_empty_stream().await;
    assert_eq!(receiver.in_flight(), 1, "the first is still under way");
    bench.wait_for("status = 'DELIVERED'", 8).await;
    assert_eq!(receiver.count(), 8, "nothing is sent twice without a crash");
}

/// Whoever took an entry and fell silent may have renewed its lease, or sent it: the entry alone proves nothing.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_over_from_a_dead_worker_is_renewed_before_it_is_sent() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    bench.subscribe(&receiver.url("/hook"), json!({})).await;
    let entries = bench.publish_leased(2, "1 hour").await;
    bench.stream().push(&entries).await.unwrap();
    let mut dead = bench.queue().consumer("dead");
    let taken = dead.read(10, Duration::from_secs(5)).await.unwrap();
    assert_eq!(taken.packs.iter().map(|(_, deliveries)| deliveries.len()).collect::<Vec<_>>(), [2]);
    let renewed = entries[0].delivery_id.uuid();
    bench
        .sql(&format!(
            "UPDATE webhook_deliveries SET queued_until = now() + interval '2 hours' WHERE delivery_id = '{renewed}'"
        ))
        .await;
    let _worker = bench.worker().env("ONERING_WEBHOOKS_LEASE_SECONDS", "2").start().await;
    bench.wait_for("status = 'DELIVERED'", 1).await;
    bench.wait_for_empty_stream().await;
    assert_eq!(receiver.count(), 1, "the other one's lease was renewed by its worker");
    assert_eq!(bench.count(&format!("settled_at IS NULL AND delivery_id = '{renewed}'")).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_over_is_renewed_before_it_is_held() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    bench.subscribe(&receiver.url("/hook"), json!({})).await;
    let entries = bench.publish_leased(1, "1 hour").await;
    bench.stream().push(&entries).await.unwrap();
    let mut dead = bench.queue().consumer("dead");
    assert_eq!(dead.read(10, Duration::from_secs(5)).await.unwrap().packs.len(), 1);
    bench
        .sql(
            "UPDATE external_webhooks SET status = 'paused'; \
             CREATE TABLE public.steps (step bigint GENERATED ALWAYS AS IDENTITY, what text); \
             CREATE FUNCTION note_step() RETURNS trigger LANGUAGE plpgsql AS \
                 'BEGIN INSERT INTO public.steps (what) VALUES (coalesce(NEW.held_reason, ''renewed'')); RETURN NULL; END'; \
             CREATE TRIGGER note_step AFTER UPDATE ON webhook_deliveries FOR EACH ROW EXECUTE FUNCTION note_step()",
        )
        .await;
    let _worker = bench.worker().env("ONERING_WEBHOOKS_LEASE_SECONDS", "2").start().await;
    bench.wait_for("held_reason = 'SUBSCRIPTION_PAUSED'", 1).await;
    let steps = "SELECT string_agg(what, ' ' ORDER BY step) FROM public.steps";
    let steps: String = bench.database.connect().await.query_one(steps, &[]).await.unwrap().get(0);
    assert_eq!(steps, "renewed SUBSCRIPTION_PAUSED");
    assert_eq!(receiver.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_whose_event_is_gone_does_not_stay_for_ever() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    bench.subscribe(&receiver.url("/hook"), json!({})).await;
    let mut entries = bench.publish_leased(1, "1 hour").await;
    entries[0].event_id = Clock::system().fresh_id::<EventId>();
    entries[0].body = None;
    let _worker = bench.worker().env("ONERING_WEBHOOKS_LEASE_SECONDS", "2").start().await;
    bench.stream().push(&entries).await.unwrap();
    bench.wait_for_empty_stream().await;
    assert_eq!(receiver.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_cannot_be_true_keeps_no_other_from_its_renewal() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    bench.subscribe(&receiver.url("/hook"), json!({ "timeout_seconds": 30 })).await;
    // Twenty seconds do not cover the request: every one of these has to be renewed.
    let mut entries = bench.publish_leased(3, "20 seconds").await;
    entries[0].queued_until = DateTime::<Utc>::MIN_UTC;
    let _worker = bench.worker().start().await;
    bench.stream().push(&entries).await.unwrap();
    bench.wait_for("status = 'DELIVERED'", 2).await;
    bench.wait_for_empty_stream().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_stays_until_its_result_is_committed() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    receiver.otherwise(Reply::status(200).delay(Duration::from_secs(1)));
    bench.subscribe(&receiver.url("/hook"), json!({})).await;
    let entries = bench.publish_leased(1, "1 hour").await;
    let (postgres, worker) = bench.worker_behind_proxy().await;
    let worker = worker.start().await;
    bench.stream().push(&entries).await.unwrap();
    receiver.wait_for(1).await;
    postgres.cut();
    eventually(PATIENCE, "settling fails", async || worker.logs().contains("\"task\":\"settling\"")).await;
    assert_eq!(bench.stream().len().await.unwrap(), 1, "nothing is acknowledged before its result is committed");
    postgres.restore();
    bench.wait_for("status = 'DELIVERED'", 1).await;
    bench.wait_for_empty_stream().await;
    assert_eq!(receiver.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_the_sweep_delivers() {
    let mut bench = Bench::new().await;
    let receiver = Receiver::start().await;
    bench.subscribe(&receiver.url("/hook"), json!({})).await;
    let worker = bench.worker().start().await;
    bench.redis.kill9();
    for number in 1..=20 {
        bench.publish(1).await;
        receiver.wait_for(number).await;
    }
    bench.wait_for("status = 'DELIVERED'", 20).await;
    let complaints = worker.logs().matches("the stream cannot be read").count();
    assert!(complaints <= 1, "an outage is logged when it begins, not twice a second: {complaints} lines");
}
