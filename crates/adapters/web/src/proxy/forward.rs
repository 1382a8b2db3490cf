//! One request, passed on.

use std::net::IpAddr;
use std::time::Duration;

use actix_web::http::{Method, Version, header as inbound};
use actix_web::{HttpRequest, web};
use http::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue};
use onering_problem::{Code, Problem};
use onering_telemetry::traceparent;
use reqwest::{Client, Request, redirect, retry};
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;
use tracing::Span;

use super::headers::to_upstream;
use super::request_stream::RequestStream;
use super::response_stream::passed_on;
use super::target::target;
use super::upstreams::Upstreams;
use crate::api_error::{ApiError, ApiResult};
use crate::client_address::peer_address;
use crate::request_body::{announced_length, has_body, too_large};
use crate::request_id::tag_of;

const FORWARDED: HeaderName = HeaderName::from_static("forwarded");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Passes requests on. Clones share their connections, which belong to the runtime the proxy was made on and not to the
/// HTTP worker that happened to open them.
#[derive(Debug, Clone)]
pub struct Proxy {
    client: Client,
    runtime: Handle,
}

/// How one request is passed on.
#[derive(Debug)]
pub struct ForwardPlan<'a> {
    /// Where to.
    pub upstreams: &'a Upstreams,
    /// Path and query for the upstream, beginning with `/`; usually the request's own.
    pub path_and_query: &'a str,
    /// The longest wait for the head of the answer, uploading included, and then for each next chunk of its body.
    pub timeout: Duration,
    /// The most bytes of body passed on.
    pub body_cap: usize,
    /// What the upstream learns about the client.
    pub forwarded: Forwarded,
    /// Whether the upstream sees the `Host` the client sent, instead of its own.
    pub keep_host: bool,
    /// Request headers that are not passed on, `Authorization` for one.
    pub remove: &'a [HeaderName],
    /// Request headers in the place of whatever the client sent under these names.
    pub set: Vec<(HeaderName, HeaderValue)>,
}

/// What becomes of `X-Forwarded-For`, `-Proto` and `-Host`. `Forwarded` is never passed on: nobody here checks it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forwarded {
    /// They are removed: the upstream learns nothing.
    Hide,
    /// The peer is appended to what the client sent: for a proxy among proxies.
    Append,
    /// What the client sent is replaced by its true address: for the last proxy before the product.
    Replace(IpAddr),
}

/// Why there is no proxy.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// No TLS provider was installed for the process.
    #[error("no TLS provider is installed: install rustls' ring provider first")]
    NoTlsProvider,
    /// The HTTP client could not be made.
    #[error("the HTTP client for forwarding could not be made")]
    Client(#[source] reqwest::Error),
}

impl Proxy {
    /// A proxy that waits at most `connect_timeout` for each connection.
    ///
    /// # Errors
    /// Where no TLS provider is installed, or the client cannot be made.
    ///
    /// # Panics
    /// Outside a Tokio runtime.
    pub fn new(connect_timeout: Duration) -> Result<Self, ProxyError> {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            return Err(ProxyError::NoTlsProvider);
        }
        let client = Client::builder()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .connect_timeout(connect_timeout)
            // Below the keep-alive of any sane upstream, so that it is seldom the one to close first.
            .pool_idle_timeout(Duration::from_secs(4))
            .tcp_nodelay(true)
            .build()
            .map_err(ProxyError::Client)?;
        Ok(Self { client, runtime: Handle::current() })
    }

    /// Passes one request on and answers what the upstream answers, both as they arrive.
    ///
    /// # Errors
    /// `UPSTREAM_UNAVAILABLE` (502) where no upstream could be connected to or one broke off, `UPSTREAM_TIMEOUT` (504),
    /// `BODY_TOO_LARGE` (413), `MALFORMED_REQUEST` (400) for a path that leads out of its route.
    pub async fn forward(&self, request: &HttpRequest, payload: web::Payload, plan: ForwardPlan<'_>) -> ApiResult {
        let length = announced_length(request)?;
        if length.is_some_and(|length| length > plan.body_cap as u64) {
            return Err(too_large(plan.body_cap).into());
        }
        let method = outbound_method(request.method())?;
        let headers = outbound_headers(request, length, &plan);
        let body = has_body(request).then(|| RequestStream::start(payload, plan.body_cap));
        let answer = self.ask(&method, &headers, body.as_ref(), &plan);
        match tokio::time::timeout(plan.timeout, answer).await {
            Ok(answer) => Ok(passed_on(answer?, request.method() == Method::HEAD, plan.timeout)),
            Err(_) => {
                let seconds = plan.timeout.as_secs_f32();
                let detail = format!("The product did not answer within {seconds} seconds.");
                Err(Problem::new(Code::UpstreamTimeout).detail(detail).into())
            }
        }
    }

    /// Tries the upstreams in turn until one can be connected to.
    async fn ask(
        &self,
        method: &http::Method,
        headers: &HeaderMap,
        body: Option<&RequestStream>,
        plan: &ForwardPlan<'_>,
    ) -> ApiResult<reqwest::Response> {
        let mut failure = None;
        for base in plan.upstreams.in_turn() {
            let mut request = Request::new(method.clone(), target(base, plan.path_and_query)?);
            request.headers_mut().clone_from(headers);
            *request.body_mut() = body.map(RequestStream::body);
            // On the proxy's runtime: a connection lives and dies with the runtime it was opened on.
            let sending = AbortOnDropHandle::new(self.runtime.spawn(self.client.execute(request)));
            match sending.await.map_err(ApiError::internal)? {
                Ok(answer) => return Ok(answer),
                Err(error) if error.is_connect() => failure = Some(error),
                Err(error) => return Err(broken_off(error, body)),
            }
        }
        Err(failure.map_or_else(|| ApiError::from(Code::UpstreamUnavailable), |error| broken_off(error, None)))
    }
}

/// The problem behind a failed exchange: the caller's own body, or the upstream.
fn broken_off(error: reqwest::Error, body: Option<&RequestStream>) -> ApiError {
    match body.and_then(RequestStream::problem) {
        Some(problem) => problem.into(),
        // The URL is the inside of the house: it is for the log, where the route names it.
        None => ApiError::from(Code::UpstreamUnavailable).caused_by(error.without_url()),
    }
}

fn outbound_method(method: &Method) -> Result<http::Method, Problem> {
    http::Method::from_bytes(method.as_str().as_bytes()).map_err(|_| Problem::new(Code::MalformedRequest))
}

fn outbound_headers(request: &HttpRequest, length: Option<u64>, plan: &ForwardPlan<'_>) -> HeaderMap {
    let mut headers = to_upstream(request.headers());
    for name in plan.remove {
        headers.remove(name);
    }
    describe_client(&mut headers, request, plan.forwarded);
    if let Some(length) = length {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    if let Some(tag) = tag_of(request).and_then(|tag| HeaderValue::from_str(tag.as_str()).ok()) {
        headers.insert(HeaderName::from_static("x-request-id"), tag);
    }
    if let Some(trace) = traceparent::of(&Span::current()).and_then(|trace| HeaderValue::from_str(&trace).ok()) {
        headers.insert(HeaderName::from_static(traceparent::HEADER), trace);
    }
    if plan.keep_host
        && let Some(host) = sent_host(request)
    {
        headers.insert(HOST, host);
    }
    for (name, value) in &plan.set {
        headers.insert(name.clone(), value.clone());
    }
    headers
}

fn describe_client(headers: &mut HeaderMap, request: &HttpRequest, forwarded: Forwarded) {
    headers.remove(FORWARDED);
    let address = match forwarded {
        Forwarded::Append => peer_address(request),
        Forwarded::Replace(address) => address,
        Forwarded::Hide => {
            for name in [FORWARDED_FOR, FORWARDED_HOST, FORWARDED_PROTO] {
                headers.remove(name);
            }
            return;
        }
    };
    if forwarded != Forwarded::Append {
        headers.remove(FORWARDED_FOR);
    }
    if let Ok(hop) = HeaderValue::from_str(&address.to_string()) {
        headers.append(FORWARDED_FOR, hop);
    }
    let first_hop = forwarded != Forwarded::Append || !headers.contains_key(FORWARDED_PROTO);
    if first_hop {
        let scheme = if request.app_config().secure() { "https" } else { "http" };
        headers.insert(FORWARDED_PROTO, HeaderValue::from_static(scheme));
    }
    if let Some(host) = sent_host(request)
        && (first_hop || !headers.contains_key(FORWARDED_HOST))
    {
        headers.insert(FORWARDED_HOST, host);
    }
}

/// The host the client asked for: of HTTP/2 in the URI, else in the header.
fn sent_host(request: &HttpRequest) -> Option<HeaderValue> {
    if request.version() == Version::HTTP_2
        && let Some(authority) = request.uri().authority()
    {
        return HeaderValue::from_str(authority.as_str()).ok();
    }
    let host = request.headers().get(inbound::HOST)?;
    HeaderValue::from_bytes(host.as_bytes()).ok()
}
