//! The sink's HTTP side.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use anyhow::Context as _;
use onering_clock::Clock;
use onering_signing::{KeyAge, header};
use serde_json::json;

use super::arrivals::{Arrival, Arrivals, Reply};
use crate::args::Sink;
use crate::output;
use crate::signatures::receiver_keys;

/// A request body may be this long; the platform's own cap is 256 KiB.
const BODY_CAP: usize = 16 * 1024 * 1024;

struct State {
    arrivals: Mutex<Arrivals>,
    delay_ms: AtomicU64,
    quiet: bool,
    clock: Clock,
}

impl State {
    fn arrivals(&self) -> MutexGuard<'_, Arrivals> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How old a stamp may be where nothing else is said, in seconds.
const REPLAY_WINDOW: u32 = 300;

/// A sink that listens; it ends when dropped.
pub(crate) struct RunningSink {
    port: u16,
    state: web::Data<State>,
    replay_window: Duration,
    handle: actix_web::dev::ServerHandle,
    server: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl RunningSink {
    /// Starts listening on 127.0.0.1.
    pub(crate) fn start(options: &Sink) -> anyhow::Result<Self> {
        let keys = options.secret.as_deref().map(receiver_keys).transpose()?.unwrap_or_default();
        let window = Duration::from_secs(options.replay_window.unwrap_or(REPLAY_WINDOW).into());
        let state = web::Data::from(Arc::new(State {
            arrivals: Mutex::new(Arrivals::new(keys, window, options.fail, options.times)),
            delay_ms: AtomicU64::new(options.delay),
            quiet: options.quiet,
            clock: Clock::system(),
        }));
        let of_server = state.clone();
        let server = HttpServer::new(move || {
            App::new()
                .app_data(of_server.clone())
                .app_data(web::PayloadConfig::new(BODY_CAP))
                .route("/", web::get().to(index))
                .route("/webhook", web::post().to(receive))
                .route("/deliveries", web::get().to(list))
                .route("/deliveries", web::delete().to(clear))
                .route("/delete", web::delete().to(clear))
        })
        .workers(1)
        .disable_signals()
        .bind(("127.0.0.1", options.port))
        .with_context(|| format!("port {} cannot be listened on; choose another with --port", options.port))?;
        let port = server.addrs().first().map_or(options.port, std::net::SocketAddr::port);
        let server = server.run();
        let handle = server.handle();
        Ok(Self { port, state, replay_window: window, handle, server: tokio::spawn(server) })
    }

    /// Its base address.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// From now on requests must be signed with this secret.
    pub(crate) fn expect(&self, secret: &str) -> anyhow::Result<()> {
        self.state.arrivals().expect(receiver_keys(secret)?, self.replay_window);
        Ok(())
    }

    /// From now on every answer takes so long.
    pub(crate) fn delay(&self, delay: Duration) {
        self.state.delay_ms.store(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// From now on every genuine request is answered with this status, or taken again.
    pub(crate) fn fail(&self, status: Option<u16>) {
        self.state.arrivals().fail(status);
    }

    /// What arrived, oldest first.
    pub(crate) fn arrivals(&self) -> Vec<Arrival> {
        self.state.arrivals().list().to_vec()
    }

    /// Waits until the server has ended.
    ///
    /// # Errors
    /// Why, when it ended by itself.
    pub(crate) async fn ended(mut self) -> anyhow::Result<()> {
        (&mut self.server).await.context("the sink panicked")?.context("the sink failed")
    }
}

impl Drop for RunningSink {
    fn drop(&mut self) {
        // The future of stopping need not be awaited: the command to stop is sent at once.
        drop(self.handle.stop(false));
    }
}

async fn index(state: web::Data<State>) -> HttpResponse {
    let arrivals = state.arrivals();
    let verified = arrivals.list().iter().filter(|arrival| arrival.verified).count();
    HttpResponse::Ok().json(json!({ "service": "onering sink", "count": arrivals.list().len(), "verified": verified }))
}

async fn receive(request: HttpRequest, body: web::Bytes, state: web::Data<State>) -> HttpResponse {
    let delay = Duration::from_millis(state.delay_ms.load(Ordering::Relaxed));
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    let headers: BTreeMap<String, String> = request
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    let described = describe(&headers);
    let (reply, with) = {
        let mut arrivals = state.arrivals();
        let reply = arrivals.receive(headers, &body, state.clock.now());
        (reply, arrivals.list().last().and_then(|arrival| arrival.verified_with))
    };
    if !state.quiet {
        let verdict = match with {
            Some(KeyAge::Current) => "  verified",
            Some(KeyAge::Previous) => "  verified with the previous secret",
            None => "",
        };
        output::line(&format!("{described}  {} {}{verdict}", reply.status(), reply.text()));
    }
    let mut response = HttpResponse::build(
        actix_web::http::StatusCode::from_u16(reply.status())
            .unwrap_or(actix_web::http::StatusCode::INTERNAL_SERVER_ERROR),
    );
    if reply == Reply::Stale {
        response.insert_header((header::ERROR, "REPLAY_EXPIRED"));
    }
    if let Some(age) = with {
        response.insert_header((header::VERIFIED_WITH, age.as_str()));
    }
    response.json(json!({ "status": reply.text() }))
}

/// One line about a request, from its headers.
fn describe(headers: &BTreeMap<String, String>) -> String {
    [header::EVENT, header::EVENT_ID, header::DELIVERY_ID, header::ATTEMPT]
        .iter()
        .map(|name| headers.get(&name.to_ascii_lowercase()).map_or("-", String::as_str))
        .collect::<Vec<_>>()
        .join("  ")
}

async fn list(state: web::Data<State>) -> HttpResponse {
    let arrivals = state.arrivals();
    HttpResponse::Ok().json(json!({ "count": arrivals.list().len(), "deliveries": arrivals.list() }))
}

async fn clear(state: web::Data<State>) -> HttpResponse {
    state.arrivals().clear();
    HttpResponse::Ok().json(json!({ "status": "cleared" }))
}
