//! A receiver that is down is left alone by all workers together: its circuit opens, one delivery at a time probes it, what
//! waits spends no attempt, and all of it arrives when the receiver is back.
//!
//! With the breakers taken out of the worker these tests turn red: nothing opens, and attempts go on.
#![allow(clippy::unwrap_used, reason = "a test says what is wrong by failing")]

use std::time::Duration;

use onering_testkit::{Receiver, Reply, eventually};
use onering_tests::{Partner, Stack, StackOptions, Subscription};
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(60);
const EVENTS: i64 = 24;

async fn stack(open_seconds: &str, open_max_seconds: &str) -> Stack {
    Stack::start(StackOptions {
        more_workers: 1,
        environment: vec![
            ("ONERING_BREAKER_OPEN_SECONDS", open_seconds.to_owned()),
            ("ONERING_BREAKER_OPEN_MAX_SECONDS", open_max_seconds.to_owned()),
            ("ONERING_WEBHOOKS_BACKOFF_SECONDS", "1".to_owned()),
            ("ONERING_WEBHOOKS_MAX_ATTEMPTS", "50".to_owned()),
        ],
        ..StackOptions::default()
    })
    .await
}

/// A receiver that is down, a subscription of it, and events for it.
async fn outage(stack: &Stack) -> (Receiver, Partner, Subscription) {
    let receiver = Receiver::start().await;
    receiver.otherwise(Reply::status(503));
    let partner = Partner::create(stack, "acme", json!({})).await;
    let subscription = partner.subscribe(&receiver.url("/hook"), json!({ "max_in_flight": 2 })).await;
    for number in 0..EVENTS {
        partner.publish("ring.forged", json!({ "number": number })).await;
    }
    (receiver, partner, subscription)
}

/// Waits until both workers know that the circuit is open and nothing is under way: from then on only probes are sent.
async fn wait_until_open(stack: &Stack, receiver: &Receiver) {
    eventually(PATIENCE, "both workers know of the open circuit", async || {
        let mut known = Vec::new();
        for worker in &stack.workers {
            known.push(worker.metric("onering_circuits_open", &[]).await);
        }
        if known.iter().all(|open| *open == Some(1.0)) && receiver.in_flight() == 0 {
            Ok(())
        } else {
            Err(format!("{known:?}"))
        }
    })
    .await;
}

/// What the circuit did, in order, and whether it is open for some time yet.
async fn circuit(stack: &Stack) -> (Vec<String>, bool) {
    let sql = "SELECT coalesce(array_agg(kind ORDER BY at), '{}'), \
                   coalesce(max(open_until) > clock_timestamp() + interval '0.2 seconds', false) FROM circuit_events";
    let row = stack.database.connect().await.query_one(sql, &[]).await.unwrap();
    (row.get(0), row.get(1))
}

async fn held(stack: &Stack) -> i64 {
    stack.number("SELECT count(*) FROM webhook_deliveries WHERE held_reason = 'BREAKER_OPEN'").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_down_gets_one_probe_at_a_time_and_then_everything() {
    let stack = stack("2", "4").await;
    let (receiver, partner, subscription) = outage(&stack).await;
    wait_until_open(&stack, &receiver).await;

    // Between two looks at an open circuit that did nothing in between, what arrived is counted.
    let arrived = async |probes: usize| {
        eventually(PATIENCE, "the circuit is open after as many probes", async || {
            let before = circuit(&stack).await;
            let requests = receiver.count();
            let (kinds, open) = circuit(&stack).await;
            let probed = kinds.iter().filter(|kind| *kind == "PROBED").count();
            if open && before.0 == kinds && probed >= probes {
                Ok((requests, probed))
            } else {
                Err(format!("{kinds:?}"))
            }
        })
        .await
    };
    let (first, probed_before) = arrived(0).await;
    assert!(first >= 5, "{first} requests opened it");
    let (later, probed) = arrived(probed_before + 2).await;
    assert_eq!(later - first, probed - probed_before, "nothing but probes, and each of them once");
    let (kinds, _) = circuit(&stack).await;
    assert_eq!(kinds[0], "OPENED");
    for pair in kinds[1..].chunks_exact(2) {
        assert_eq!(pair, ["PROBED", "REOPENED"]);
    }

    let shown =
        async |field: &str| stack.monitoring().get("/v1/monitoring/webhooks/metrics").await.expect(200)[field].clone();
    assert_eq!(shown("circuit_opens_24h").await, 1);
    let page = partner.api.get("/v1/external/deliveries?limit=200").await.expect(200);
    assert!(page.to_string().contains("\"BREAKER_OPEN\""), "{page}");

    receiver.otherwise(Reply::status(200));
    stack.wait_until_settled(PATIENCE).await;
    assert_eq!(stack.number("SELECT count(*) FROM webhook_deliveries WHERE status = 'DELIVERED'").await, EVENTS);
    let attempts = stack.number("SELECT sum(attempt_count) FROM webhook_deliveries").await;
    assert_eq!(attempts, i64::try_from(receiver.count()).unwrap(), "waiting spends no attempt");
    eventually(PATIENCE, "it is closed", async || {
        let (kinds, _) = circuit(&stack).await;
        if kinds.last().is_some_and(|kind| kind == "CLOSED") { Ok(()) } else { Err(format!("{kinds:?}")) }
    })
    .await;
    assert_eq!(shown("circuit_open").await, 0);
    let health =
        stack.monitoring().get(&format!("/v1/monitoring/webhooks/{}/health", subscription.id)).await.expect(200);
    assert_eq!((&health["circuit_open"], &health["circuit_opens_24h"]), (&json!(false), &json!(1)));
    stack.assert_ledger_balances().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_open_circuit_holds_arrives_although_redis_lost_everything() {
    let stack = stack("3600", "3600").await;
    let (receiver, _, subscription) = outage(&stack).await;
    wait_until_open(&stack, &receiver).await;
    eventually(PATIENCE, "all is held", async || {
        let held = held(&stack).await;
        if held == EVENTS { Ok(()) } else { Err(held) }
    })
    .await;
    let health =
        stack.monitoring().get(&format!("/v1/monitoring/webhooks/{}/health", subscription.id)).await.expect(200);
    assert_eq!((&health["circuit_open"], &health["held"]), (&json!(true), &json!(EVENTS)));
    receiver.otherwise(Reply::status(200));
    assert_eq!(stack.redis_command("FLUSHALL").await, "+OK");
    stack.wait_until_settled(PATIENCE).await;
    assert_eq!(stack.number("SELECT count(*) FROM webhook_deliveries WHERE status = 'DELIVERED'").await, EVENTS);
    stack.assert_ledger_balances().await;
}
