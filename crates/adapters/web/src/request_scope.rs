//! What surrounds the answering of every request: its id, its span, its count, and the last word on how errors look.

use std::future::{Future, Ready, ready};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::rc::Rc;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::error::InternalError;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use actix_web::{Error, HttpMessage, HttpResponse, ResponseError};
use futures_util::FutureExt;
use onering_clock::Clock;
use onering_problem::{Code, Problem};
use onering_telemetry::{field, traceparent};
use tracing::Instrument;

use crate::api_error::ApiError;
use crate::http_metrics::HttpMetrics;
use crate::request_id::{REQUEST_ID_HEADER, RequestTag};

/// Marks an answer that belongs to an upstream: its errors are passed on as they are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Verbatim;

/// The outermost middleware; [`Server`](crate::Server) puts it around every application.
///
/// Whatever happens inside, what leaves has `X-Request-Id` and `X-Content-Type-Options: nosniff`, and every error is a
/// problem document: those of handlers, of actix itself (no such path, wrong method, a path that does not parse), and
/// panics, which are caught, counted as 500 and keep the connection.
///
/// The span holds request id, method and the route's pattern. Paths as sent, query strings and headers are not logged:
/// they are where tokens and payloads turn up.
#[derive(Debug, Clone)]
pub struct RequestScope {
    clock: Clock,
    metrics: Option<HttpMetrics>,
}

impl RequestScope {
    /// Surrounds requests with ids from this clock, counting them where there are metrics.
    #[must_use]
    pub const fn new(clock: Clock, metrics: Option<HttpMetrics>) -> Self {
        Self { clock, metrics }
    }
}

impl<S, B> Transform<S, ServiceRequest> for RequestScope
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type Transform = RequestScopeService<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, inner: S) -> Self::Future {
        ready(Ok(RequestScopeService { inner: Rc::new(inner), scope: self.clone() }))
    }
}

/// [`RequestScope`] around one worker's application.
#[derive(Debug)]
pub struct RequestScopeService<S> {
    inner: Rc<S>,
    scope: RequestScope,
}

impl<S, B> Service<ServiceRequest> for RequestScopeService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>>>>;

    forward_ready!(inner);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let scope = self.scope.clone();
        let inner = Rc::clone(&self.inner);
        let tag = RequestTag::of(request.headers(), &scope.clock);
        let route = request.match_pattern();
        let span = tracing::info_span!(
            "request",
            { field::REQUEST_ID } = tag.as_str(),
            { field::HTTP_METHOD } = request.method().as_str(),
            http.route = route.as_deref().unwrap_or_default(),
        );
        if let Some(caller) = request.headers().get(traceparent::HEADER).and_then(|value| value.to_str().ok()) {
            traceparent::adopt(&span, caller);
        }
        request.extensions_mut().insert(tag.clone());
        Box::pin(async move { scope.answer(&*inner, request, &tag, route.as_deref()).await }.instrument(span))
    }
}

impl RequestScope {
    async fn answer<S, B>(
        &self,
        inner: &S,
        request: ServiceRequest,
        tag: &RequestTag,
        route: Option<&str>,
    ) -> Result<ServiceResponse<BoxBody>, Error>
    where
        S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
        B: MessageBody + 'static,
    {
        let in_flight = self.metrics.as_ref().map(HttpMetrics::enter);
        let began = self.clock.monotonic();
        let method = request.method().clone();
        let answered = AssertUnwindSafe(inner.call(request)).catch_unwind().await;
        let answered = answered.unwrap_or_else(|panic| Err(panicked(&*panic).into()));
        let answer = match answered {
            Ok(answer) => {
                let (request, response) = answer.into_parts();
                Ok(ServiceResponse::new(request, finished(response.map_into_boxed_body(), tag)))
            }
            // Without the request there is no answer to build, only an error that knows its own.
            Err(error) => Err(finished(HttpResponse::from_error(error), tag)),
        };
        let status = match &answer {
            Ok(answer) => answer.status(),
            Err(response) => response.status(),
        };
        let took = self.clock.monotonic().duration_since(began);
        if let Some(metrics) = &self.metrics {
            metrics.answered(method.as_str(), route, status.as_str(), took);
        }
        tracing::debug!(
            { field::HTTP_STATUS } = status.as_u16(),
            { field::DURATION_MS } = took.as_secs_f64() * 1e3,
            "answered"
        );
        drop(in_flight);
        answer.map_err(|response| InternalError::from_response(status, response).into())
    }
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> ApiError {
    let words = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    ApiError::internal(format!("a handler panicked: {}", words.unwrap_or("with no message")))
}

/// The answer as it leaves: errors as problem documents, and the headers that every answer has.
fn finished(response: HttpResponse, tag: &RequestTag) -> HttpResponse {
    let mut response = match problem_of(&response) {
        Some(problem) => with_problem(response, &problem, tag),
        None => response,
    };
    response.headers_mut().insert(REQUEST_ID_HEADER, tag.header_value());
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// The problem that an answer stands for and whose document it does not carry yet.
fn problem_of(response: &HttpResponse) -> Option<Problem> {
    let status = response.status();
    if let Some(error) = response.error() {
        if let Some(error) = error.as_error::<ApiError>() {
            log_cause(error);
            return Some(error.problem().clone());
        }
        if status.is_server_error() {
            tracing::error!({ field::ERROR } = %error, "answered with an error of no kind of ours");
        }
        return is_error(status).then(|| Problem::new(code_of(status)));
    }
    let empty = matches!(response.body().size(), BodySize::None | BodySize::Sized(0));
    let theirs = response.extensions().get::<Verbatim>().is_some();
    (is_error(status) && empty && !theirs).then(|| Problem::new(code_of(status)))
}

fn log_cause(error: &ApiError) {
    let (code, cause) = (error.problem().code.as_str(), error.cause_chain());
    match cause {
        Some(cause) if error.status_code().is_server_error() => {
            tracing::error!({ field::ERROR_CODE } = code, { field::ERROR } = cause, "could not answer");
        }
        Some(cause) => tracing::debug!({ field::ERROR_CODE } = code, { field::ERROR } = cause, "refused"),
        None => tracing::debug!({ field::ERROR_CODE } = code, "refused"),
    }
}

fn with_problem(response: HttpResponse, problem: &Problem, tag: &RequestTag) -> HttpResponse {
    // The head may have been given headers on its way here, rate limits for one: they stay, and so does `Allow`.
    let own = ApiError::new(problem.clone()).error_response();
    let mut response = response.set_body(BoxBody::new(problem.to_json(tag.as_str())));
    *response.status_mut() = own.status();
    response.headers_mut().remove(CONTENT_TYPE);
    for (name, value) in own.headers() {
        if !response.headers().contains_key(name) {
            response.headers_mut().insert(name.clone(), value.clone());
        }
    }
    response
}

fn is_error(status: StatusCode) -> bool {
    status.is_client_error() || status.is_server_error()
}

/// The code for an error that came without one: from actix, or an empty answer.
fn code_of(status: StatusCode) -> Code {
    match status.as_u16() {
        401 => Code::Unauthorized,
        403 => Code::Forbidden,
        404 => Code::NotFound,
        405 => Code::MethodNotAllowed,
        408 => Code::RequestTimeout,
        409 => Code::Conflict,
        413 => Code::BodyTooLarge,
        415 => Code::UnsupportedMediaType,
        422 => Code::ValidationFailed,
        502 => Code::UpstreamUnavailable,
        503 => Code::DependencyUnavailable,
        504 => Code::UpstreamTimeout,
        400..500 => Code::MalformedRequest,
        _ => Code::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_any_status_keeps_its_class() {
        for status in (400..600).filter_map(|status| StatusCode::from_u16(status).ok()) {
            let code = code_of(status);
            assert_eq!(code.status() / 100, status.as_u16() / 100, "{status} became {code}");
        }
    }
}
