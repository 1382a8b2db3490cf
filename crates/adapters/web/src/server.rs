//! One HTTP server: bound at start, drained at the end.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use actix_web::dev::Server as ActixServer;
use actix_web::{App, HttpResponse, HttpServer, web};
use onering_clock::Clock;
use onering_telemetry::{Metrics, MetricsError};
use tokio_util::sync::CancellationToken;

use crate::client_address::TrustedProxies;
use crate::health::Health;
use crate::health_routes;
use crate::http_metrics::HttpMetrics;
use crate::request_body::BodyLimits;
use crate::request_scope::RequestScope;

/// Longer than the idle time of common load balancers (60 s), so that they close first and never write into a connection
/// that is being closed.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// For a request's head.
const HEAD_DEADLINE: Duration = Duration::from_secs(10);

/// How a server listens and answers.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// Where to listen; port 0 takes any free one.
    pub bind: SocketAddr,
    /// The variable that sets `bind`, named when the address cannot be had.
    pub variable: &'static str,
    /// Threads that answer.
    pub workers: usize,
    /// For bodies, where a route says nothing else.
    pub body: BodyLimits,
    /// Whose `X-Forwarded-For` is believed; extractor: [`ClientIp`](crate::ClientIp).
    pub trusted_proxies: TrustedProxies,
    /// How long requests in flight may take once the server is told to stop; whole seconds.
    pub drain: Duration,
}

impl ServerOptions {
    /// The defaults at this address: one worker, bodies to 256 KiB, no trusted proxy, 25 s to drain.
    #[must_use]
    pub fn at(bind: SocketAddr) -> Self {
        Self {
            bind,
            variable: "ONERING_BIND",
            workers: 1,
            body: BodyLimits::default(),
            trusted_proxies: TrustedProxies::default(),
            drain: Duration::from_secs(25),
        }
    }
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address} ({reason}): free it, or set {variable} to another address", reason = reason(.source))]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The variable that sets it.
        variable: &'static str,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Metrics of the same name are declared already.
    #[error("the metrics of the HTTP server cannot be declared")]
    Metrics(#[source] MetricsError),
    /// It stopped by itself.
    #[error("the HTTP server failed")]
    Failed(#[source] io::Error),
}

fn reason(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "another process has it",
        io::ErrorKind::AddrNotAvailable => "this machine does not have it",
        io::ErrorKind::PermissionDenied => "it needs more rights",
        _ => "the system refuses it",
    }
}

/// A server that is bound and answers; it stops when its [`Server::run_until`] is done or dropped.
pub struct Server {
    running: ActixServer,
    address: SocketAddr,
    health: Health,
}

impl Server {
    /// Binds and starts to answer: the routes of `configure`, `/healthz`, `/readyz` and `/metrics`, all within
    /// [`RequestScope`]. What no route matches is a problem: 404, or 405 with `Allow`.
    ///
    /// `configure` runs once a worker, on the worker's thread.
    ///
    /// # Errors
    /// Where the address cannot be had or the metrics cannot be declared.
    pub fn bind<F>(
        options: &ServerOptions,
        clock: &Clock,
        health: &Health,
        metrics: &Metrics,
        configure: F,
    ) -> Result<Self, ServeError>
    where
        F: Fn(&mut web::ServiceConfig) + Clone + Send + 'static,
    {
        let refused = |source| ServeError::Bind { address: options.bind, variable: options.variable, source };
        let listener = listen(options.bind).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let http_metrics = HttpMetrics::declare(metrics).map_err(ServeError::Metrics)?;
        let scope = RequestScope::new(clock.clone(), Some(http_metrics));
        let (body, trusted) = (options.body, options.trusted_proxies.clone());
        let (for_routes, metrics) = (health.clone(), metrics.clone());
        let running = HttpServer::new(move || {
            App::new()
                .app_data(body)
                .app_data(trusted.clone())
                .configure(|config| health_routes::configure(config, &for_routes, &metrics))
                .configure(configure.clone())
                .default_service(web::to(nothing_here))
                .wrap(scope.clone())
        })
        .workers(options.workers)
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(HEAD_DEADLINE)
        .disable_signals()
        .shutdown_timeout(options.drain.as_secs())
        .listen(listener)
        .map_err(refused)?
        .run();
        Ok(Self { running, address, health: health.clone() })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop` is cancelled. Then: readiness goes false, nothing new is accepted, idle connections are closed,
    /// requests in flight are finished, for as long as the options allow.
    ///
    /// # Errors
    /// Where the server stops by itself.
    pub async fn run_until(self, stop: CancellationToken) -> Result<(), ServeError> {
        let handle = self.running.handle();
        let mut running = std::pin::pin!(self.running);
        tokio::select! {
            ended = &mut running => return ended.map_err(ServeError::Failed),
            () = stop.cancelled() => {}
        }
        self.health.drain();
        tracing::info!("no longer ready; finishing requests in flight");
        let stopping = handle.stop(true);
        let (ended, ()) = tokio::join!(running, stopping);
        ended.map_err(ServeError::Failed)
    }
}

/// Binds, starts and runs a server until `stop`: for programs that need nothing in between.
///
/// # Errors
/// As [`Server::bind`] and [`Server::run_until`].
pub async fn run_server<F>(
    options: &ServerOptions,
    clock: &Clock,
    health: &Health,
    metrics: &Metrics,
    stop: CancellationToken,
    configure: F,
) -> Result<(), ServeError>
where
    F: Fn(&mut web::ServiceConfig) + Clone + Send + 'static,
{
    let server = Server::bind(options, clock, health, metrics, configure)?;
    tracing::info!(address = %server.address(), "listening");
    server.run_until(stop).await
}

/// An empty answer becomes a problem in [`RequestScope`].
async fn nothing_here() -> HttpResponse {
    HttpResponse::NotFound().finish()
}

/// Listens with `SO_REUSEADDR`, which the standard library sets on Unix: a restarted process gets its address back at once.
fn listen(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    std::net::TcpListener::bind(address)
}
