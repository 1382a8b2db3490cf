//! Postgres goes away while deliveries are under way.

use std::time::Duration;

use onering_dev_servers::Signal;
use onering_testkit::{Receiver, Reply, TcpProxy, eventually, http_client};
use serde_json::json;

use crate::bench::{Bench, PATIENCE};

/// A lease that is over is still its holder's until a sweep takes the row, and no sweep may do so before results that
/// waited for Postgres had their turn.
async fn a_result_outlives_its_lease(goes_away: fn(&TcpProxy)) {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    receiver.otherwise(Reply::status(200).delay(Duration::from_secs(1)));
    // Six seconds are needed and seven are there: these are sent without a renewal.
    bench.subscribe(&receiver.url("/hook"), json!({ "timeout_seconds": 2 })).await;
    let (postgres, worker) = bench.worker_behind_proxy().await;
    let _worker = worker.env("ONERING_WEBHOOKS_LEASE_SECONDS", "8").start().await;
    bench.publish(40).await;
    receiver.wait_for(40).await;
    goes_away(&postgres);
    eventually(PATIENCE, "the leases are over", async || {
        let over = bench.count("queued_until < now() - interval '1 second'").await;
        let settled = bench.count("status = 'DELIVERED'").await;
        if over > 0 && over + settled == 40 { Ok(()) } else { Err(format!("{over} over, {settled} settled")) }
    })
    .await;
    postgres.restore();
    bench.wait_for("status = 'DELIVERED'", 40).await;
    assert_eq!(receiver.count(), 40, "nothing is sent twice without a crash");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_outlives_its_lease_while_postgres_is_away() {
    a_result_outlives_its_lease(TcpProxy::cut).await;
}

/// Over connections that stay open: nothing fails, and everything arrives at once, late.
#[tokio::test(flavor = "multi_thread")]
async fn a_result_outlives_its_lease_while_the_network_stands_still() {
    a_result_outlives_its_lease(TcpProxy::pause).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_stops_waits_for_postgres_to_take_its_results() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    receiver.otherwise(Reply::status(200).delay(Duration::from_secs(1)));
    bench.subscribe(&receiver.url("/hook"), json!({})).await;
    let (postgres, worker) = bench.worker_behind_proxy().await;
    let mut worker = worker.start().await;
    bench.publish(10).await;
    let requests = receiver.wait_for(10).await;
    postgres.cut();
    worker.signal(Signal::TERM);
    eventually(PATIENCE, "it has stopped for five seconds", async || {
        !worker.is_running() || requests[9].instant.elapsed().as_secs() >= 6
    })
    .await;
    postgres.restore();
    assert_eq!(worker.wait_exit().await.code(), Some(0), "{}", worker.logs());
    assert_eq!(bench.count("status = 'DELIVERED'").await, 10, "{}", worker.logs());
}

/// What waits for its lease to be renewed when the worker is told to stop was not sent: it goes back, due at once.
#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_renewed_is_given_back() {
    let bench = Bench::new().await;
    let receiver = Receiver::start().await;
    receiver.otherwise(Reply::status(200).delay(Duration::from_secs(1)));
    // A request of 30 s needs more than the lease a sweep gives: each is renewed before it is sent.
    bench.subscribe(&receiver.url("/hook"), json!({ "timeout_seconds": 30, "max_in_flight": 1 })).await;
    let (postgres, worker) = bench.worker_behind_proxy().await;
    let mut worker = worker.start().await;
    bench.publish(5).await;
    receiver.wait_for(1).await;
    postgres.cut();
    eventually(PATIENCE, "a renewal fails", async || worker.logs().contains("renewing leases")).await;
    worker.signal(Signal::TERM);
    eventually(PATIENCE, "the worker is stopping", async || {
        http_client().get(worker.url("/readyz")).send().await.is_err()
    })
    .await;
    postgres.restore();
    assert_eq!(worker.wait_exit().await.code(), Some(0), "{}", worker.logs());
    assert_eq!(bench.count("settled_at IS NULL AND queued_until > now()").await, 0, "{}", worker.logs());
    assert_eq!(bench.count("status = 'DELIVERED'").await, i64::try_from(receiver.count()).unwrap());
}
