//! The binary itself: it starts from its environment, answers, and ends when told to.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use onering_testkit::{ServiceOptions, eventually, http_client};
use support::answer;

#[tokio::test(flavor = "multi_thread")]
async fn it_starts_answers_and_ends_in_order() {
    let (database, redis) = tokio::join!(support::database(), onering_testkit::redis());
    let options = ServiceOptions::of("monitoring")
        .env("DATABASE_URL", database.url())
        .env("REDIS_URL", redis.url())
        .env("ONERING_PROFILE", "dev")
        .env("ONERING_MONITORING_OPEN", "1")
        .env("ONERING_ALERT_DEAD_LETTER_24H", "3");
    let mut service = options.start().await;
    let client = http_client();
    let (status, alerts) = answer(client.get(service.url("/v1/monitoring/alerts"))).await;
    assert_eq!((status.as_u16(), &alerts["firing"]), (200, &0.into()));
    assert_eq!(alerts["alert_thresholds"]["dead_letter_24h"], 3);
    eventually(Duration::from_secs(20), "the ledger is checked", async || {
        service.metric("onering_ledger_balanced", &[]).await == Some(1.0)
    })
    .await;
    assert!(service.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_loss_is_seen_at_once_and_named() {
    let (database, redis) = tokio::join!(support::database(), onering_testkit::redis());
    let broken_promise =
        "INSERT INTO webhook_events (event_id, owner_id, event_type, body, matched, occurred_at, created_at)
         VALUES (onering.uuid_v7(), 'default', 'ring.lost', '', 2, now(), now())";
    database.connect().await.batch_execute(broken_promise).await.unwrap();
    let options = ServiceOptions::of("monitoring")
        .env("DATABASE_URL", database.url())
        .env("REDIS_URL", redis.url())
        .env("ONERING_PROFILE", "dev");
    let mut service = options.start().await;
    eventually(Duration::from_secs(20), "the loss is shown", async || {
        (service.metric("onering_ledger_balanced", &[]).await, service.metric("onering_ledger_missing", &[]).await)
            == (Some(0.0), Some(2.0))
    })
    .await;
    eventually(Duration::from_secs(20), "the loss is logged", async || {
        let logs = service.logs();
        logs.lines().any(|line| line.contains("the ledger does not balance") && line.contains("evt_"))
    })
    .await;
    assert!(service.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn open_monitoring_is_refused_in_production() {
    let mut service = ServiceOptions::of("monitoring")
        .env("DATABASE_URL", "postgres://onering@127.0.0.1:1/onering?sslmode=require")
        .env("REDIS_URL", "redis://127.0.0.1:1")
        .env("ONERING_PROFILE", "production")
        .env("ONERING_MONITORING_OPEN", "1")
        .spawn();
    assert!(!service.wait_exit().await.success());
    assert!(service.logs().contains("ONERING_MONITORING_OPEN"), "{}", service.logs());
}
