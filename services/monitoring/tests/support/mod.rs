//! The service as the process has it, on a Postgres and a Redis of the test's own.
#![allow(dead_code, reason = "each test file uses a part of this")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test's helpers fail it by panicking")]

pub(crate) mod schema;
pub(crate) mod seed;

use std::net::SocketAddr;
use std::time::Duration;

use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use monitoring::Application;
use onering_clock::Clock;
use onering_service_kit::{KitError, ServiceContext};
use onering_settings::{MonitoringSettings, Values};
use onering_store::PoolConfig;
use onering_store::migrate::migrate;
use onering_testkit::{TcpProxy, Template, TestDatabase, TestRedis, http_client, postgres_from};
use reqwest::{RequestBuilder, StatusCode};
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) const SOON: Duration = Duration::from_secs(20);
pub(crate) const JWT_SECRET: &str = "0123456789abcdef0123456789abcdef";

pub(crate) async fn database() -> TestDatabase {
    let template = Template::of_folder("onering", concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations"));
    postgres_from(&template, |url| async move { migrate(&PoolConfig::new(&url)?).await.map(drop) }).await
}

/// A running monitoring service whose clock stands still.
pub(crate) struct Stack {
    /// The clock of the service: it stands still, at the whole minute in which the test began.
    pub(crate) clock: Clock,
    /// A plain connection for rows.
    pub(crate) sql: tokio_postgres::Client,
    /// Between the service and Postgres.
    pub(crate) network: TcpProxy,
    pub(crate) context: ServiceContext,
    address: SocketAddr,
    client: reqwest::Client,
    serving: JoinHandle<Result<(), KitError>>,
    _redis: TestRedis,
    // Last: dropped after what uses it.
    _database: TestDatabase,
}

impl Stack {
    /// Open to all.
    pub(crate) async fn open() -> Self {
        Self::with(&[("ONERING_MONITORING_OPEN", "1")]).await
    }

    pub(crate) async fn with(variables: &[(&str, &str)]) -> Self {
        let (database, redis) = tokio::join!(database(), onering_testkit::redis());
        let url: reqwest::Url = database.url().parse().unwrap();
        let network = TcpProxy::start(url.port().unwrap()).await;
        let mut values = Values::from_map([
            ("DATABASE_URL", network.url(database.url())),
            ("REDIS_URL", redis.url().clone()),
            ("ONERING_PROFILE", "dev".to_owned()),
            ("ONERING_BIND", "127.0.0.1:0".to_owned()),
            ("ONERING_INSTANCE", "monitoring-1".to_owned()),
            ("ONERING_SHUTDOWN_SECONDS", "5".to_owned()),
        ]);
        for (name, value) in variables {
            values = values.with(name, value);
        }
        let settings = MonitoringSettings::from_values(&values).unwrap();
        let mut context = ServiceContext::open(&settings, CancellationToken::new()).await.unwrap();
        // At a whole minute, as the per-minute tables count: so the edge of the 24 hours is where the test says it is.
        let clock = Clock::manual(context.clock.now().duration_trunc(TimeDelta::minutes(1)).unwrap());
        context.clock = clock.clone();
        let application = Application::build(context.clone(), &settings).unwrap();
        let server = application.bind().unwrap();
        let address = server.address();
        let running = context.clone();
        let serving = tokio::spawn(async move { running.run(server).await });
        let sql = database.connect().await;
        let client = http_client();
        Self { clock, sql, network, context, address, client, serving, _redis: redis, _database: database }
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn request(&self, path: &str) -> RequestBuilder {
        self.client.get(self.url(path))
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, Value) {
        answer(self.request(path)).await
    }

    /// The answer, which must be a good one.
    pub(crate) async fn read(&self, path: &str) -> Value {
        let (status, body) = self.get(path).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    pub(crate) async fn metrics(&self) -> String {
        self.request("/metrics").send().await.unwrap().text().await.unwrap()
    }

    pub(crate) async fn execute(&self, statements: &str) {
        self.sql.batch_execute(statements).await.unwrap_or_else(|error| panic!("{statements}: {error:?}"));
    }

    /// Ends it as SIGTERM does.
    pub(crate) async fn stop(self) {
        self.context.stop.cancel();
        tokio::time::timeout(SOON, self.serving).await.expect("it ends").unwrap().unwrap();
    }
}

pub(crate) async fn answer(request: RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.unwrap();
    let status = response.status();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")))
}

/// The problem's code and field, after checking what every problem has.
pub(crate) async fn problem(request: RequestBuilder) -> (u16, String, Option<String>) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(header("content-type").as_deref(), Some("application/problem+json"));
    let (code, id) = (header("x-error-code").unwrap(), header("x-request-id").unwrap());
    let body: Value = response.json().await.unwrap();
    assert_eq!((&body["status"], &body["code"]), (&status.into(), &code.as_str().into()), "{body}");
    assert_eq!(body["request_id"], id.as_str());
    (status, code, body["field"].as_str().map(str::to_owned))
}
