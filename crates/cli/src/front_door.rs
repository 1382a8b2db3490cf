//! The dev stack's front door: routes paths to the services, as the Ingress does in production.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::LOCATION;
use actix_web::{HttpRequest, HttpResponse, web};
use anyhow::Context as _;
use onering_clock::Clock;
use onering_http_exchange::{Connector, tls_config};
use onering_telemetry::Metrics;
use onering_web::{
    ApiResult, ForwardPlan, Forwarded, Health, Proxy, ServerOptions, Upstreams, run_server, stop_on_signals,
};

use crate::args::FrontDoor;

/// Longer than any service takes to answer, so that it is they who say what is wrong.
const TIMEOUT: Duration = Duration::from_secs(60);
/// The services have caps of their own; this one only bounds what passes through.
const BODY_CAP: usize = 64 * 1024 * 1024;

/// Paths (with everything beneath them) and the service that answers them.
const ROUTES: [(&str, Service); 6] = [
    ("/v1/external", Service::Gateway),
    ("/docs", Service::Gateway),
    ("/openapi.json", Service::Gateway),
    ("/v1/admin", Service::Admin),
    ("/console", Service::Admin),
    ("/v1/monitoring", Service::Monitoring),
];

#[derive(Clone, Copy)]
enum Service {
    Gateway,
    Admin,
    Monitoring,
}

struct Door {
    gateways: Upstreams,
    admins: Upstreams,
    monitorings: Upstreams,
}

impl Door {
    fn upstreams(&self, service: Service) -> &Upstreams {
        match service {
            Service::Gateway => &self.gateways,
            Service::Admin => &self.admins,
            Service::Monitoring => &self.monitorings,
        }
    }
}

/// Routes until SIGTERM or SIGINT.
pub(crate) async fn run(options: FrontDoor) -> anyhow::Result<ExitCode> {
    let door = Arc::new(Door {
        gateways: Upstreams::new(options.gateways).context("--gateway")?,
        admins: Upstreams::new(options.admins).context("--admin")?,
        monitorings: Upstreams::new(options.monitorings).context("--monitoring")?,
    });
    let clock = Clock::system();
    let connector = Connector::new(Duration::from_secs(2), tls_config().context("TLS cannot be set up")?);
    let for_proxies = clock.clone();
    let health = Health::new(clock.clone());
    let mut server = ServerOptions::at(SocketAddr::from((Ipv4Addr::LOCALHOST, options.port)));
    server.variable = "ONERING_FRONT_DOOR_PORT";
    server.workers = 2;
    let stop = stop_on_signals().context("signals cannot be listened to")?;
    let metrics = Metrics::new(onering_settings::Service::Cli)?;
    run_server(&server, &clock, &health, &metrics, stop, move |config| {
        config.route("/", web::get().to(to_documentation));
        let proxy = Proxy::new(connector.clone(), for_proxies.clone());
        for (path, service) in ROUTES {
            let (door, proxy) = (Arc::clone(&door), proxy.clone());
            let handler = move |request: HttpRequest, payload: web::Payload| {
                let (door, proxy) = (Arc::clone(&door), proxy.clone());
                async move { pass_on(&proxy, door.upstreams(service), request, payload).await }
            };
            config.route(path, web::to(handler.clone()));
            config.route(&format!("{path}/{{rest:.*}}"), web::to(handler));
        }
    })
    .await?;
    Ok(ExitCode::SUCCESS)
}

/// Who opens the bare address in a browser wants to see something.
async fn to_documentation() -> HttpResponse {
    HttpResponse::TemporaryRedirect().insert_header((LOCATION, "/docs")).finish()
}

async fn pass_on(proxy: &Proxy, upstreams: &Upstreams, request: HttpRequest, payload: web::Payload) -> ApiResult {
    let path_and_query = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let plan = ForwardPlan {
        upstreams,
        path_and_query: &path_and_query,
        timeout: TIMEOUT,
        body_cap: BODY_CAP,
        forwarded: Forwarded::Append,
        keep_host: true,
        keep_back: |_| false,
        set: &[],
    };
    proxy.forward(&request, payload, plan).await
}
