//! A server on a free port, and what to say to it.

use std::net::SocketAddr;
use std::time::Duration;

use actix_web::web;
use onering_clock::Clock;
use onering_settings::Service;
use onering_telemetry::Metrics;
use onering_web::{Health, ServeError, Server, ServerOptions};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A server that answers until it is dropped or stopped.
pub(crate) struct TestServer {
    pub(crate) address: SocketAddr,
    pub(crate) health: Health,
    pub(crate) client: reqwest::Client,
    stop: CancellationToken,
    running: JoinHandle<Result<(), ServeError>>,
}

impl TestServer {
    pub(crate) fn start(configure: impl Fn(&mut web::ServiceConfig) + Clone + Send + 'static) -> Self {
        Self::start_with(|_| {}, configure)
    }

    pub(crate) fn start_with(
        adjust: impl FnOnce(&mut ServerOptions),
        configure: impl Fn(&mut web::ServiceConfig) + Clone + Send + 'static,
    ) -> Self {
        let client = onering_testkit::http_client();
        let clock = Clock::system();
        let health = Health::new(clock.clone());
        let metrics = Metrics::new(Service::Admin).unwrap();
        let mut options = ServerOptions::at("127.0.0.1:0".parse().unwrap());
        adjust(&mut options);
        let server = Server::bind(&options, &clock, &health, &metrics, configure).unwrap();
        let (address, stop) = (server.address(), CancellationToken::new());
        let running = tokio::spawn(server.run_until(stop.clone()));
        Self { address, health, client, stop, running }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) async fn get(&self, path: &str) -> reqwest::Response {
        self.client.get(self.url(path)).send().await.unwrap()
    }

    /// Sends bytes as they are and reads what comes back until the server closes or falls silent for a while.
    pub(crate) async fn raw(&self, request: &[u8]) -> String {
        let mut connection = TcpStream::connect(self.address).await.unwrap();
        connection.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(5), connection.read_to_end(&mut answer)).await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    pub(crate) fn tell_to_stop(&self) {
        self.stop.cancel();
    }

    pub(crate) async fn stopped(self) -> Result<(), ServeError> {
        self.running.await.unwrap()
    }
}

/// The parts of a problem answer that tests look at, after checking what all of them have in common.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) field: Option<String>,
}

pub(crate) async fn refusal(response: reqwest::Response) -> Refusal {
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let text = response.text().await.unwrap();
    let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
    let body: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{status} {text:?}: {error}"));
    assert_eq!(header("content-type"), "application/problem+json", "{text}");
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(header("x-error-code"), body["code"].as_str().unwrap());
    assert_eq!(header("x-request-id"), body["request_id"].as_str().unwrap());
    assert_eq!(body["status"], status);
    for member in ["type", "title", "detail"] {
        assert!(body[member].as_str().is_some_and(|text| !text.is_empty()), "{member} of {text}");
    }
    Refusal { status, code: header("x-error-code"), field: body["field"].as_str().map(str::to_owned) }
}

pub(crate) fn refused(status: u16, code: &str, field: Option<&str>) -> Refusal {
    Refusal { status, code: code.to_owned(), field: field.map(str::to_owned) }
}
