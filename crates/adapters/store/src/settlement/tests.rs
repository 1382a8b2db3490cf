use std::time::Duration;

use onering_delivery::{AttemptOutcome, HeldReason, Status};

use super::*;
use crate::testing::World;
use crate::{deliveries, subscriptions};

async fn settle_all(world: &mut World, batch: &[Settlement]) -> Settled {
    settle(&mut world.connection, "worker-1", batch).await.unwrap()
}

async fn read(world: &mut World, id: DeliveryId) -> deliveries::DeliveryWithAttempts {
    deliveries::get_any_owner(&mut world.connection, id).await.unwrap().unwrap()
}

async fn failing_since(world: &mut World) -> Option<String> {
    world.text("SELECT max(failing_since)::text FROM external_webhooks").await
}

#[tokio::test]
async fn a_success_is_final_logged_counted_and_timed() {
    let mut world = World::new().await;
    let work = world.one_delivery().await;
    let transition = Transition::Delivered { at: world.now(), latency_ms: 623 };
    let result = world.result(&work, transition, AttemptOutcome::Delivered);
    let settled = settle_all(&mut world, &[result]).await;
    assert_eq!(settled, Settled { written: [work.delivery_id].into(), disabled: HashSet::new() });

    let found = read(&mut world, work.delivery_id).await;
    assert_eq!(found.delivery.status, Status::Delivered);
    assert_eq!((found.delivery.attempt_count, found.delivery.delivery_latency_ms), (1, Some(623)));
    assert_eq!((found.delivery.queued_until, found.delivery.last_status_code), (None, Some(200)));
    assert_eq!(found.attempts.len(), 1);
    let attempt = &found.attempts[0];
    assert_eq!((attempt.attempt, attempt.outcome, attempt.worker.as_str()), (1, AttemptOutcome::Delivered, "worker-1"));
    assert_eq!((attempt.response_body.as_deref(), attempt.duration_ms), (Some("thanks"), 12));

    let counted = "SELECT string_agg(concat_ws(' ', process, outcome, count, attempts), ';') FROM delivery_stats";
    assert_eq!(world.text(counted).await.as_deref(), Some("worker-1 DELIVERED 1 1"));
    let timed = "SELECT string_agg(concat_ws(' ', process, bucket, count), ';') FROM delivery_latency_stats";
    assert_eq!(world.text(timed).await.as_deref(), Some("worker-1 620 1"));
    assert!(world.ledger().await.balances());
}

#[tokio::test]
async fn a_late_or_repeated_result_writes_nothing_at_all() {
    let mut world = World::new().await;
    let work = world.one_delivery().await;
    let result = world.delivered(&work);
    settle_all(&mut world, std::slice::from_ref(&result)).await;
    let everything = "SELECT md5(concat((SELECT string_agg(d::text, '') FROM webhook_deliveries AS d), \
                      (SELECT string_agg(l::text, '') FROM external_delivery_logs AS l), \
                      (SELECT string_agg(s::text, '') FROM delivery_stats AS s), \
                      (SELECT string_agg(t::text, '') FROM delivery_latency_stats AS t), \
                      (SELECT string_agg(w::text, '') FROM external_webhooks AS w)))";
    let before = world.text(everything).await;

    let at = world.now();
    let late = world.result(&work, Transition::Gone { at }, AttemptOutcome::Gone);
    assert_eq!(settle_all(&mut world, &[result, late]).await, Settled::default());
    assert_eq!(world.text(everything).await, before);
}

#[tokio::test]
async fn a_result_under_a_lease_that_was_swept_away_is_refused() {
    let mut world = World::new().await;
    world.subscription("acme", "*").await;
    let (_, works) = world.publish_under("acme", "ring.forged", Duration::ZERO).await;
    let stale = works[0].clone();
    let swept = world.sweep(10).await;
    assert_eq!(swept.len(), 1);

    let results = [world.delivered(&stale), world.delivered(&swept[0].work)];
    assert_eq!(settle_all(&mut world, &results[..1]).await, Settled::default());
    assert_eq!(settle_all(&mut world, &results[1..]).await.written.len(), 1);
    assert_eq!(read(&mut world, stale.delivery_id).await.attempts.len(), 1);
}

#[tokio::test]
async fn of_two_results_in_one_batch_the_first_counts() {
    let mut world = World::new().await;
    let work = world.one_delivery().await;
    let at = world.now();
    let dead = world.result(&work, Transition::Dead { at }, AttemptOutcome::Dead);
    let batch = [world.delivered(&work), dead];
    assert_eq!(settle_all(&mut world, &batch).await.written.len(), 1);
    let found = read(&mut world, work.delivery_id).await;
    assert_eq!((found.delivery.status, found.attempts.len()), (Status::Delivered, 1));
}

#[tokio::test]
async fn a_retry_waits_until_it_is_due_and_its_next_attempt_counts_on() {
    let mut world = World::new().await;
    let work = world.one_delivery().await;
    let at = world.now().plus(Duration::from_secs(60));
    let retry = world.result(&work, Transition::RetryAt { at }, AttemptOutcome::Retry);
    settle_all(&mut world, &[retry]).await;
    let delivery = read(&mut world, work.delivery_id).await.delivery;
    assert_eq!((delivery.status, delivery.attempt_count), (Status::Retrying, 1));
    assert_eq!((delivery.next_attempt_at, delivery.queued_until), (Some(at.to_utc()), Some(at.to_utc())));
    assert!(world.sweep(10).await.is_empty(), "not due yet");

    world.sql("UPDATE webhook_deliveries SET next_attempt_at = now(), queued_until = now()").await;
    let swept = world.sweep(10).await.remove(0).work;
    assert_eq!(swept.lease.attempt(), 2);
    let second = world.delivered(&swept);
    settle_all(&mut world, &[second]).await;
    let found = read(&mut world, work.delivery_id).await;
    assert_eq!((found.delivery.attempt_count, found.delivery.last_error), (2, None));
    assert_eq!(found.attempts.iter().map(|attempt| attempt.attempt).collect::<Vec<_>>(), [1, 2]);
    let attempts = "SELECT attempts FROM delivery_stats WHERE outcome = 'DELIVERED'";
    assert_eq!(world.number(attempts).await, 2, "the statistics keep attempt numbers");
}

#[tokio::test]
async fn holding_and_deferring_spend_no_attempt_and_count_nothing() {
    let mut world = World::new().await;
    let (first, second) = (world.one_delivery().await, world.one_delivery().await);
    let until = world.now().plus(Duration::from_secs(5));
    let batch = [Settlement::hold(&first, HeldReason::BreakerOpen), Settlement::defer(&second, until)];
    assert_eq!(settle_all(&mut world, &batch).await.written.len(), 2);

    let held = read(&mut world, first.delivery_id).await;
    assert_eq!((held.delivery.status, held.delivery.held_reason), (Status::Pending, Some(HeldReason::BreakerOpen)));
    assert_eq!((held.delivery.queued_until, held.attempts.len(), held.delivery.attempt_count), (None, 0, 0));
    let deferred = read(&mut world, second.delivery_id).await.delivery;
    assert_eq!((deferred.status, deferred.queued_until), (Status::Pending, Some(until.to_utc())));
    assert_eq!(world.number("SELECT count(*) FROM delivery_stats").await, 0);
}

/// A retrying delivery that is held is pending again; deferred, it goes on retrying.
#[tokio::test]
async fn a_retrying_delivery_can_be_held_or_deferred() {
    let mut world = World::new().await;
    let mut swept = Vec::new();
    for work in [world.one_delivery().await, world.one_delivery().await] {
        let at = world.now();
        let retry = world.result(&work, Transition::RetryAt { at }, AttemptOutcome::Retry);
        settle_all(&mut world, &[retry]).await;
        swept.extend(world.sweep(10).await);
    }
    let until = world.now().plus(Duration::from_secs(5));
    let batch =
        [Settlement::hold(&swept[0].work, HeldReason::SubscriptionPaused), Settlement::defer(&swept[1].work, until)];
    settle_all(&mut world, &batch).await;
    let held = read(&mut world, swept[0].work.delivery_id).await.delivery;
    assert_eq!((held.status, held.attempt_count, held.next_attempt_at), (Status::Pending, 1, None));
    assert_eq!(held.last_status_code, Some(503), "what went wrong stays readable");
    let deferred = read(&mut world, swept[1].work.delivery_id).await.delivery;
    assert_eq!((deferred.status, deferred.queued_until), (Status::Retrying, Some(until.to_utc())));
}

#[tokio::test]
async fn cancelled_and_expired_without_an_attempt() {
    let mut world = World::new().await;
    let (first, second) = (world.one_delivery().await, world.one_delivery().await);
    let now = world.now();
    settle_all(&mut world, &[Settlement::cancel(&first, now), Settlement::expire(&second, now)]).await;
    assert_eq!(read(&mut world, first.delivery_id).await.delivery.status, Status::Cancelled);
    assert_eq!(read(&mut world, second.delivery_id).await.delivery.status, Status::ReplayExpired);
    let counted =
        "SELECT string_agg(concat_ws(' ', outcome, count, attempts), ';' ORDER BY outcome) FROM delivery_stats";
    assert_eq!(world.text(counted).await.as_deref(), Some("CANCELLED 1 0;REPLAY_EXPIRED 1 0"));
    assert_eq!(world.number("SELECT count(*) FROM external_delivery_logs").await, 0);
    assert_eq!(world.ledger().await.settled(), 2);
}

#[tokio::test]
async fn gone_disables_the_subscription_and_says_so_once() {
    let mut world = World::new().await;
    let webhook = world.subscription("acme", "*").await;
    let (first, second) = (world.publish("acme", "a.b").await.remove(0), world.publish("acme", "a.b").await.remove(0));
    let at = world.now();
    let gone = |work| world.result(work, Transition::Gone { at }, AttemptOutcome::Gone);
    let (first, second) = (gone(&first), gone(&second));
    assert_eq!(settle_all(&mut world, &[first]).await.disabled, [webhook].into());
    let status =
        "SELECT concat_ws(' ', status, disabled_by, disabled_reason, disabled_at = updated_at) FROM external_webhooks";
    assert_eq!(world.text(status).await.as_deref(), Some("disabled platform the receiver answered 410 Gone t"));
    let settled = settle_all(&mut world, &[second]).await;
    assert_eq!((settled.written.len(), settled.disabled.len()), (1, 0));
}

#[tokio::test]
async fn what_an_operator_disabled_stays_the_operators_when_the_receiver_is_gone() {
    let mut world = World::new().await;
    let webhook = world.subscription("acme", "*").await;
    let work = world.publish("acme", "a.b").await.remove(0);
    subscriptions::disable_any_owner(&mut world.connection, webhook, "noisy").await.unwrap().unwrap();
    let at = world.now();
    let gone = world.result(&work, Transition::Gone { at }, AttemptOutcome::Gone);
    let settled = settle_all(&mut world, &[gone]).await;
    assert_eq!((settled.written.len(), settled.disabled.len()), (1, 0));
    let who = "SELECT concat_ws(' ', status, disabled_by, disabled_reason) FROM external_webhooks";
    assert_eq!(world.text(who).await.as_deref(), Some("disabled operator noisy"));
}

#[tokio::test]
async fn a_subscription_is_failing_from_its_first_failure_to_its_next_success() {
    let mut world = World::new().await;
    world.subscription("acme", "*").await;
    let mut works = Vec::new();
    for _ in 0..4 {
        works.push(world.publish("acme", "ring.forged").await.remove(0));
    }
    let untouched = "SELECT max(xmin::text::bigint) FROM external_webhooks";
    let before = world.number(untouched).await;
    let result = world.delivered(&works[0]);
    settle_all(&mut world, &[result]).await;
    assert_eq!(world.number(untouched).await, before, "a success of a healthy subscription writes no row of it");

    let at = world.now();
    let result = world.result(&works[1], Transition::Dead { at }, AttemptOutcome::Dead);
    settle_all(&mut world, &[result]).await;
    let since = failing_since(&mut world).await;
    assert!(since.is_some());
    let result = world.result(&works[2], Transition::Dead { at }, AttemptOutcome::Dead);
    settle_all(&mut world, &[result]).await;
    assert_eq!(failing_since(&mut world).await, since, "the first failure counts");
    let result = world.delivered(&works[3]);
    settle_all(&mut world, &[result]).await;
    assert_eq!(failing_since(&mut world).await, None);
}

#[tokio::test]
async fn no_answer_of_a_receiver_can_fail_its_batch() {
    let mut world = World::new().await;
    let work = world.one_delivery().await;
    let mut result = world.delivered(&work);
    let log = result.attempt.as_mut().unwrap();
    log.response_body = Some(format!("\0{}", "é".repeat(3000)));
    log.error = Some("nul \0".to_owned());
    (log.status_code, log.duration_ms) = (Some(u16::MAX), u32::MAX);
    assert_eq!(settle_all(&mut world, &[result]).await.written.len(), 1);
    let attempt = read(&mut world, work.delivery_id).await.attempts.remove(0);
    assert!(attempt.response_body.unwrap().len() <= 2048);
    assert_eq!(attempt.error.as_deref(), Some("nul \u{fffd}"));
}

/// Workers whose batches meet the same subscriptions in opposite orders, each changing them, wait and never deadlock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crossed_batches_do_not_deadlock() {
    let mut world = World::new().await;
    for _ in 0..8 {
        world.subscription("acme", "*").await;
    }
    let mut batches = Vec::new();
    for round in 0..40 {
        let mut works = world.publish("acme", "ring.forged").await;
        works.sort_unstable_by_key(|work| work.webhook_id);
        if round % 2 == 0 {
            works.reverse();
        }
        let at = world.now();
        let failed = |work| world.result(work, Transition::Dead { at }, AttemptOutcome::Dead);
        batches
            .push(works.iter().map(|work| if round % 4 < 2 { world.delivered(work) } else { failed(work) }).collect());
    }
    let mut workers = Vec::new();
    for (number, half) in [batches.split_off(20), batches].into_iter().enumerate() {
        let mut connection = world.another_connection().await;
        workers.push(tokio::spawn(async move {
            for batch in half {
                let batch: Vec<Settlement> = batch;
                let process = format!("worker-{}", number / 2);
                assert_eq!(settle(&mut connection, &process, &batch).await.unwrap().written.len(), 8);
            }
        }));
    }
    for worker in workers {
        worker.await.unwrap();
    }
    assert_eq!(world.number("SELECT sum(count)::bigint FROM delivery_stats").await, 320);
    let ledger = world.ledger().await;
    assert_eq!((ledger.settled(), ledger.balances()), (320, true));
}

#[tokio::test]
async fn an_empty_batch_is_no_statement() {
    let mut world = World::new().await;
    assert_eq!(settle_all(&mut world, &[]).await, Settled::default());
}
