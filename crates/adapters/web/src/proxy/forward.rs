//! One request, passed on.

use std::fmt;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use onering_clock::Clock;
use onering_http_exchange::Connector;
use onering_problem::{Code, Problem};

use super::answer::{Home, passed_on};
use super::exchange::{Answering, Broken, Sending};
use super::pool::Pool;
use super::request_head::{BodyLength, request_head};
use super::target::target;
use super::upload::Upload;
use super::upstreams::{Upstream, Upstreams};
use crate::api_error::{ApiError, ApiResult};
use crate::request_body::{announced_length, has_body, too_large};

/// Passes requests on, for one thread. Clones share their connections.
#[derive(Clone)]
pub struct Proxy {
    pool: Rc<Pool>,
}

/// How one request is passed on.
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
    /// Whether a request header of this name, in lower case, is not passed on, `authorization` for one.
    pub keep_back: fn(&str) -> bool,
    /// Request headers in the place of whatever the client sent under these names, which are in lower case.
    pub set: &'a [(&'a str, &'a str)],
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

/// A request as it goes to the upstreams, whichever takes it.
struct Outbound<'a> {
    request: &'a HttpRequest,
    plan: &'a ForwardPlan<'a>,
    /// What the upstream is told of the body.
    length: BodyLength,
    /// Whether sending it twice is as good as once.
    is_repeatable: bool,
}

/// An answer that has begun.
struct Answered {
    answering: Answering,
    sending: Sending,
    home: Home,
}

impl Proxy {
    /// A proxy for the calling thread, whose runtime its connections belong to.
    #[must_use]
    pub fn new(connector: Connector, clock: Clock) -> Self {
        Self { pool: Pool::new(connector, clock) }
    }

    /// Passes one request on and answers what the upstream answers, both as they arrive.
    ///
    /// # Errors
    /// `UPSTREAM_UNAVAILABLE` (502) where no upstream could be connected to, one broke off, or answered what cannot be passed
    /// on; `UPSTREAM_TIMEOUT` (504), `BODY_TOO_LARGE` (413), `MALFORMED_REQUEST` (400) for a path that leads out of its route.
    pub async fn forward(&self, request: &HttpRequest, payload: web::Payload, plan: ForwardPlan<'_>) -> ApiResult {
        let length = announced_length(request)?;
        if length.is_some_and(|length| length > plan.body_cap as u64) {
            return Err(too_large(plan.body_cap).into());
        }
        let upload = has_body(request).then(|| Upload::new(payload, length, plan.body_cap));
        let is_repeatable = upload.is_none() && request.method().is_safe();
        let length = match (length, &upload) {
            (Some(length), _) => BodyLength::Known(length),
            (None, Some(_)) => BodyLength::Chunked,
            (None, None) => BodyLength::None,
        };
        let outbound = Outbound { request, plan: &plan, length, is_repeatable };
        let answered = tokio::time::timeout(plan.timeout, self.ask(&outbound, upload)).await.map_err(|_| {
            let seconds = plan.timeout.as_secs_f32();
            Problem::new(Code::UpstreamTimeout).detail(format!("The product did not answer within {seconds} seconds."))
        })??;
        Ok(answered.passed_on(plan.timeout, request.method() == Method::HEAD))
    }

    /// Tries the upstreams in turn until one can be connected to.
    async fn ask(&self, outbound: &Outbound<'_>, upload: Option<Upload>) -> ApiResult<Answered> {
        let mut failure = None;
        let mut sending = Sending::new(Bytes::new(), upload);
        for upstream in outbound.plan.upstreams.in_turn() {
            let head = outbound.head(upstream)?;
            match self.ask_one(upstream, &head, &mut sending, outbound).await {
                Ok(answering) => {
                    let home = Home { pool: Rc::clone(&self.pool), origin: Arc::clone(&upstream.origin) };
                    return Ok(Answered { answering, sending, home });
                }
                Err(Broken::Caller(fault)) => return Err(Problem::from(fault).into()),
                Err(unconnected @ (Broken::Unconnected(_) | Broken::Unresolved(_))) => failure = Some(unconnected),
                Err(broken) => return Err(ApiError::from(Code::UpstreamUnavailable).caused_by(broken)),
            }
        }
        let unavailable = ApiError::from(Code::UpstreamUnavailable);
        Err(match failure {
            Some(failure) => unavailable.caused_by(failure),
            None => unavailable,
        })
    }

    /// Asks over a kept connection or a new one.
    ///
    /// A kept connection may be gone without our knowing. Where it took not a byte of the request, the request goes over a new
    /// one, and also where it said nothing and asking twice does no harm.
    async fn ask_one(
        &self,
        upstream: &Upstream,
        head: &Bytes,
        sending: &mut Sending,
        outbound: &Outbound<'_>,
    ) -> Result<Answering, Broken> {
        let is_head = outbound.request.method() == Method::HEAD;
        if let Some(connection) = self.pool.take(&upstream.origin) {
            sending.begin_anew(head.clone());
            match connection.ask(sending, is_head).await {
                Err(Broken::Unsent(_)) => {}
                Err(Broken::Wordless(_)) if outbound.is_repeatable => {}
                asked => return asked,
            }
        }
        let connection = self.pool.connect(&upstream.origin).await?;
        sending.begin_anew(head.clone());
        connection.ask(sending, is_head).await
    }
}

impl Outbound<'_> {
    /// The request's head for this upstream.
    fn head(&self, upstream: &Upstream) -> Result<Bytes, Problem> {
        let target = target(&upstream.url, self.plan.path_and_query)?;
        Ok(request_head(self.request, self.plan, (upstream, &target), self.length).into())
    }
}

impl Answered {
    fn passed_on(self, silence: Duration, is_head: bool) -> HttpResponse {
        passed_on(self.answering, self.sending, self.home, silence, is_head)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").finish_non_exhaustive()
    }
}

impl fmt::Debug for ForwardPlan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForwardPlan")
            .field("upstreams", &self.upstreams)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
