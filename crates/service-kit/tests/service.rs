//! A service made of nothing but the kit, over real Postgres and Redis.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers fail it by panicking")]

use std::net::SocketAddr;
use std::time::Duration;

use actix_web::{HttpResponse, web};
use onering_queue::Announcement;
use onering_rollout::Switch;
use onering_service_kit::{KitError, ServiceContext, ServiceSettings};
use onering_settings::{Common, GatewaySettings, MonitoringSettings, Values};
use onering_store::flags::{NewOverride, clear_override, receipts, set_override};
use onering_store::{AsyncPgConnection, PoolConfig, connect, migrate::migrate};
use onering_testkit::{TcpProxy, Template, TestDatabase, TestRedis, eventually, http_client, postgres_from};
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const SOON: Duration = Duration::from_secs(10);

async fn database() -> TestDatabase {
    let template = Template::of_folder("onering", concat!(env!("CARGO_MANIFEST_DIR"), "/../../migrations"));
    postgres_from(&template, |url| async move { migrate(&PoolConfig::new(&url)?).await.map(drop) }).await
}

fn values(postgres: &str, redis: &str) -> Values {
    Values::from_map([
        ("DATABASE_URL", postgres),
        ("REDIS_URL", redis),
        ("ONERING_PROFILE", "dev"),
        ("ONERING_BIND", "127.0.0.1:0"),
        ("ONERING_INSTANCE", "kit-1"),
        ("ONERING_EXTERNAL_API_ENABLED", "1"),
        ("ONERING_WEBHOOKS_ENABLED", "1"),
        ("ONERING_SHUTDOWN_SECONDS", "5"),
        ("ONERING_SECRETS_KEYS", "1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
    ])
}

fn monitoring(postgres: &str, redis: &str) -> MonitoringSettings {
    MonitoringSettings::from_values(&values(postgres, redis)).unwrap()
}

/// A running service with one route.
struct Running {
    context: ServiceContext,
    address: SocketAddr,
    client: reqwest::Client,
    serving: JoinHandle<Result<(), KitError>>,
}

impl Running {
    async fn start(settings: &impl ServiceSettings) -> Self {
        let context = ServiceContext::open(settings, CancellationToken::new()).await.unwrap();
        let server = context.bind(|routes| {
            routes.route("/hello", web::get().to(|| async { HttpResponse::Ok().body("hello") }));
        });
        let server = server.unwrap();
        let address = server.address();
        let running = context.clone();
        let serving = tokio::spawn(async move { running.run(server).await });
        Self { context, address, client: http_client(), serving }
    }

    async fn get(&self, path: &str) -> reqwest::Response {
        self.client.get(format!("http://{}{path}", self.address)).send().await.unwrap()
    }

    async fn readiness(&self) -> (u16, Value) {
        let response = self.get("/readyz").await;
        (response.status().as_u16(), response.json().await.unwrap())
    }

    async fn ready_with(&self, status: u16, dependency: &str, state: &str) {
        eventually(SOON, "readiness", async || {
            let (got, body) = self.readiness().await;
            let fits = got == status && body["dependencies"][dependency]["status"] == state;
            if fits { Ok(()) } else { Err(format!("{got} {body}")) }
        })
        .await;
    }
}

async fn both() -> (TestDatabase, TestRedis) {
    tokio::join!(database(), onering_testkit::redis())
}

#[tokio::test(flavor = "multi_thread")]
async fn it_serves_with_all_the_common_routes_and_ends_in_order() {
    let (database, redis) = both().await;
    let service = Running::start(&monitoring(database.url(), &redis.url())).await;
    assert_eq!(service.get("/hello").await.text().await.unwrap(), "hello");
    let (status, body) = service.readiness().await;
    assert_eq!((status, &body["status"]), (200, &"ready".into()), "{body}");
    let metrics = service.get("/metrics").await.text().await.unwrap();
    for name in ["onering_config_reload_failed", "onering_flags_generation", "onering_http_requests_total"] {
        assert!(metrics.contains(name), "{name} is missing");
    }
    let (ended, mut when_ended) = tokio::sync::mpsc::channel(1);
    service.context.tasks.spawn("last", move |stop| {
        let ended = ended.clone();
        async move {
            stop.cancelled().await;
            ended.send(()).await.unwrap();
        }
    });
    service.context.stop.cancel();
    tokio::time::timeout(SOON, service.serving).await.unwrap().unwrap().unwrap();
    assert_eq!(when_ended.recv().await, Some(()), "background work was told to end");
    assert!(service.context.pool.get().await.is_err(), "the pool is closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgres_that_is_away_delays_the_start_and_no_more() {
    let (database, redis) = both().await;
    let network = TcpProxy::start(port_of(database.url())).await;
    network.pause();
    let settings = monitoring(&network.url(database.url()), &redis.url());
    let starting = tokio::spawn(async move { Running::start(&settings).await });
    eventually(SOON, "a first try", async || network.open_connections() > 0).await;
    network.cut();
    eventually(SOON, "the try fails", async || network.open_connections() == 0).await;
    assert!(!starting.is_finished());
    network.restore();
    let service = tokio::time::timeout(SOON, starting).await.unwrap().unwrap();
    service.ready_with(200, "postgres", "up").await;
    network.cut();
    service.ready_with(503, "postgres", "down").await;
    assert_eq!(service.get("/healthz").await.status(), 200);
    network.restore();
    service.ready_with(200, "postgres", "up").await;
}

fn port_of(url: &str) -> u16 {
    url.parse::<reqwest::Url>().unwrap().port().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_stop_while_it_waits_for_postgres_it_stops() {
    let (database, redis) = both().await;
    // It waits for an answer, or between two tries.
    for is_refused in [false, true] {
        let network = TcpProxy::start(port_of(database.url())).await;
        network.pause();
        let settings = monitoring(&network.url(database.url()), &redis.url());
        let stop = CancellationToken::new();
        let told = stop.clone();
        let opening = tokio::spawn(async move { ServiceContext::open(&settings, told).await.map(drop) });
        eventually(SOON, "a first try", async || network.open_connections() > 0).await;
        if is_refused {
            network.cut();
            eventually(SOON, "the try fails", async || network.open_connections() == 0).await;
        }
        assert!(!opening.is_finished());
        stop.cancel();
        let opened = tokio::time::timeout(SOON, opening).await.unwrap().unwrap();
        assert!(matches!(opened, Err(KitError::Stopped)), "{opened:?}");
    }
}

/// Opens and closes the API by an override, until each change is seen. More often than a service reads the overrides without
/// a reason: at its start, and when it first hears announcements.
async fn override_and_see(service: &Running, control: &mut AsyncPgConnection, is_announced: bool) {
    let flags = service.context.flags.clone();
    let mut changes = flags.subscribe();
    for is_open in [false, true, false, true] {
        if is_open {
            clear_override(control, Switch::ExternalApi).await.unwrap();
        } else {
            set_override(control, &closed(Switch::ExternalApi)).await.unwrap();
        }
        if is_announced {
            service.context.queue.announcer().announce(&Announcement::Flags).await.unwrap();
        }
        while flags.current().external_api != is_open {
            tokio::time::timeout(SOON, changes.changed()).await.unwrap().unwrap();
        }
    }
}

fn closed(switch: Switch) -> NewOverride {
    let value = switch.parse_value("0").unwrap();
    NewOverride { switch, value, reason: "test".to_owned(), set_by: "test".to_owned() }
}

#[tokio::test(flavor = "multi_thread")]
async fn overrides_that_are_announced_take_effect_without_polling() {
    let (database, redis) = both().await;
    let mut control = connect(&PoolConfig::new(database.url()).unwrap()).await.unwrap();
    let common = monitoring(database.url(), &redis.url()).common;
    let service = Running::start(&FifthService { overrides_poll: Duration::from_secs(3_600), common }).await;
    override_and_see(&service, &mut control, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn overrides_that_nobody_announces_take_effect_and_leave_receipts() {
    let (database, redis) = both().await;
    let mut control = connect(&PoolConfig::new(database.url()).unwrap()).await.unwrap();
    // One that is there before the start holds from the first moment.
    set_override(&mut control, &closed(Switch::Webhooks)).await.unwrap();
    let service = Running::start(&monitoring(database.url(), &redis.url())).await;
    let flags = service.context.flags.clone();
    assert!(!flags.current().webhooks && flags.current().external_api);
    override_and_see(&service, &mut control, false).await;

    let applied = flags.applied();
    let written = eventually(SOON, "the receipt", async || {
        let written = receipts(&mut control).await.unwrap();
        written.into_iter().find(|receipt| receipt.generation == applied.generation)
    })
    .await;
    assert_eq!((written.process.as_str(), written.service.as_str()), ("kit-1", "monitoring"));
    assert_eq!(written.fingerprint, applied.fingerprint);
    assert_eq!(
        written.switches["ONERING_WEBHOOKS_ENABLED"],
        serde_json::to_value(&*applied.switches).unwrap()["ONERING_WEBHOOKS_ENABLED"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn announcements_reach_every_hearer() {
    let (database, redis) = both().await;
    let service = Running::start(&monitoring(database.url(), &redis.url())).await;
    let mut hearers = [service.context.announcements.subscribe(), service.context.announcements.subscribe()];
    // Until the listener has connected nothing can be heard; announcing until both have heard needs no waiting for that.
    for hearer in &mut hearers {
        let announcer = service.context.queue.announcer();
        let heard = async {
            loop {
                announcer.announce(&Announcement::Blocklist).await.unwrap();
                let next = tokio::time::timeout(Duration::from_millis(50), hearer.next()).await;
                if next == Ok(Announcement::Blocklist) {
                    return;
                }
            }
        };
        tokio::time::timeout(SOON, heard).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_away_matters_to_those_who_need_it() {
    let (database, mut redis) = both().await;
    let gateway = GatewaySettings::from_values(&values(database.url(), &redis.url())).unwrap();
    let fifth = FifthService { overrides_poll: Duration::from_secs(1), common: gateway.common.clone() };
    let (needs_it, goes_on) = tokio::join!(Running::start(&fifth), Running::start(&gateway));
    needs_it.ready_with(200, "redis", "up").await;
    redis.kill9();
    needs_it.ready_with(503, "redis", "down").await;
    goes_on.ready_with(200, "redis", "down").await;
    redis.restart().await.unwrap();
    needs_it.ready_with(200, "redis", "up").await;
}

/// A fifth service, which needs Redis.
struct FifthService {
    overrides_poll: Duration,
    common: Common,
}

impl ServiceSettings for FifthService {
    fn common(&self) -> &Common {
        &self.common
    }

    fn overrides_poll(&self) -> Duration {
        self.overrides_poll
    }
}
