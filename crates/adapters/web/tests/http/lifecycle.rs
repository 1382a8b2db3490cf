//! Starting and stopping.

use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpResponse, web};
use onering_clock::Clock;
use onering_settings::Service;
use onering_telemetry::Metrics;
use onering_testkit::eventually;
use onering_web::{Health, Server, ServerOptions};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::support::TestServer;

#[tokio::test]
async fn an_address_that_is_taken_is_named_with_its_variable() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let clock = Clock::system();
    let (health, metrics) = (Health::new(clock.clone()), Metrics::new(Service::Admin).unwrap());
    let refused = Server::bind(&ServerOptions::at(address), &clock, &health, &metrics, |_| {});
    let text = refused.err().unwrap().to_string();
    assert_eq!(
        text,
        format!("cannot listen on {address} (another process has it): free it, or set ONERING_BIND to another address")
    );
}

#[tokio::test]
async fn health_can_be_asked_for_by_its_head_alone() {
    let server = TestServer::start(|_| {});
    for path in ["/healthz", "/readyz", "/metrics"] {
        let answer = server.client.head(server.url(path)).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        assert!(answer.headers().contains_key("content-type") && answer.bytes().await.unwrap().is_empty(), "{path}");
    }
}

/// Two gates: the handler says that it is in, and waits to be let go.
#[derive(Clone, Default)]
struct Gates {
    entered: Arc<Notify>,
    release: Arc<Notify>,
}

fn slow_server(gates: &Gates, drain: Duration) -> TestServer {
    let gates = gates.clone();
    TestServer::start_with(
        |options| options.drain = drain,
        move |config| {
            let gates = gates.clone();
            let slow = move || {
                let gates = gates.clone();
                async move {
                    gates.entered.notify_one();
                    gates.release.notified().await;
                    HttpResponse::Ok().body("finished")
                }
            };
            config.route("/slow", web::get().to(slow));
        },
    )
}

#[tokio::test]
async fn requests_in_flight_are_finished_and_no_other_is_begun() {
    let gates = Gates::default();
    let server = slow_server(&gates, Duration::from_secs(25));
    // An idle connection must not hold the server up.
    assert_eq!(server.get("/healthz").await.status(), 200);
    let slow = tokio::spawn(server.client.get(server.url("/slow")).send());
    gates.entered.notified().await;
    assert!(!server.health.is_draining());
    server.tell_to_stop();
    let address = server.address;
    eventually(Duration::from_secs(5), "the port is closed", async || TcpStream::connect(address).await.is_err()).await;
    assert!(server.health.is_draining());
    gates.release.notify_one();
    assert_eq!(slow.await.unwrap().unwrap().text().await.unwrap(), "finished");
    tokio::time::timeout(Duration::from_secs(5), server.stopped()).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_request_that_never_ends_does_not_hold_the_server_for_ever() {
    let gates = Gates::default();
    let server = slow_server(&gates, Duration::from_secs(1));
    let slow = tokio::spawn(server.client.get(server.url("/slow")).send());
    gates.entered.notified().await;
    server.tell_to_stop();
    tokio::time::timeout(Duration::from_secs(10), server.stopped()).await.unwrap().unwrap();
    assert!(slow.await.unwrap().is_err(), "cut off");
}
