//! The middleware around everything beneath `/v1/external`: headers, counts and the canaries' log.

use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage};
use bytes::Bytes;
use onering_problem::Code;
use onering_rate_limit::{DEGRADED_HEADER, LIMIT_HEADER, POLICY_HEADER, QUOTA_HEADER, REMAINING_HEADER, RESET_HEADER};
use onering_telemetry::field;
use onering_web::{ApiError, RequestTag};

use super::standing::{Known, Standing};
use crate::statistics::Answer;
use crate::worker::Worker;

const CANARY_HEADER: HeaderName = HeaderName::from_static("x-canary-mode");
const YES: HeaderValue = HeaderValue::from_static("true");

/// What an answer may say about limits is ours to say: an upstream's own are taken off.
const OURS: [&str; 6] = [LIMIT_HEADER, REMAINING_HEADER, RESET_HEADER, POLICY_HEADER, QUOTA_HEADER, DEGRADED_HEADER];

/// Answers a request and gives the answer what its caller's standing says. Used with `middleware::from_fn`.
pub(crate) async fn answer_scope<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let worker = Worker::of(request.request()).map_err(ApiError::from)?;
    let standing = Rc::new(Standing::default());
    request.extensions_mut().insert(Rc::clone(&standing));
    let began = worker.clock.monotonic();
    let mut answer = next.call(request).await?;
    let took = worker.clock.monotonic().saturating_duration_since(began);
    let known = standing.known();
    put_headers(answer.headers_mut(), &known);
    let code = code_of(&answer);
    worker.answers.with([code.map_or("OK", Code::as_str)]).inc();
    worker.statistics.count(&Answer {
        at: worker.clock.now(),
        code,
        key: known.key.as_deref(),
        decision: known.decision,
        cost: known.cost,
        took,
    });
    if known.key.as_ref().is_some_and(|key| key.canary) {
        log_canary(&answer, &known, code, took);
    }
    drop(known);
    Ok(answer)
}

/// Takes off an upstream's answer what only we may say.
pub(crate) fn remove_our_headers(headers: &mut HeaderMap) {
    for name in OURS {
        headers.remove(name);
    }
    headers.remove(CANARY_HEADER);
}

fn put_headers(headers: &mut HeaderMap, known: &Known) {
    if let Some(decision) = known.decision {
        let limits = onering_rate_limit::headers(decision.outcome.quota(), decision.now_unix_s);
        let places = limits.places();
        // The values share the text.
        let text = Bytes::from(limits.text);
        for (name, place) in places {
            if let Ok(value) = HeaderValue::from_maybe_shared(text.slice(place)) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        if decision.degraded {
            headers.insert(HeaderName::from_static(DEGRADED_HEADER), YES);
        }
    }
    if known.key.as_ref().is_some_and(|key| key.canary) {
        headers.insert(CANARY_HEADER, YES);
    }
}

/// The code of the gateway's own refusal; `None` for an answer, also for one in which an upstream refuses.
fn code_of<B>(answer: &ServiceResponse<B>) -> Option<Code> {
    let error = answer.response().error()?;
    if let Some(error) = error.as_error::<ApiError>() {
        return Some(error.problem().code);
    }
    Some(match answer.status() {
        StatusCode::NOT_FOUND => Code::NotFound,
        status if status.is_client_error() => Code::MalformedRequest,
        _ => Code::Internal,
    })
}

/// Canary calls are logged whole, so that a rollout can be followed call by call: never the token, never the query string.
fn log_canary<B>(answer: &ServiceResponse<B>, known: &Known, code: Option<Code>, took: Duration) {
    let Some(key) = &known.key else { return };
    let request = answer.request();
    let tag = request.extensions().get::<RequestTag>().map(ToString::to_string);
    tracing::info!(
        { field::REQUEST_ID } = tag.unwrap_or_default(),
        { field::HTTP_METHOD } = %request.method(),
        { field::HTTP_PATH } = request.path(),
        { field::HTTP_STATUS } = answer.status().as_u16(),
        { field::ERROR_CODE } = code.map_or("OK", Code::as_str),
        { field::KEY_ID } = %key.key_id,
        { field::OWNER_ID } = %key.owner_id,
        { field::CLIENT_ADDRESS } = %known.address.map(|address| IpAddr::to_string(&address)).unwrap_or_default(),
        { field::DURATION_MS } = took.as_secs_f64() * 1_000.0,
        tier = key.tier.as_str(),
        remaining = known.decision.map(|decision| decision.outcome.quota().remaining),
        degraded = known.decision.is_some_and(|decision| decision.degraded),
        "canary request"
    );
}

#[cfg(test)]
mod tests {
    use onering_queue::Decision;
    use onering_rate_limit::{Outcome, Quota};

    use super::*;

    #[test]
    fn an_upstreams_limits_are_replaced_by_ours() {
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_static("x-ratelimit-limit"), HeaderValue::from_static("7"));
        headers.insert(HeaderName::from_static("x-ratelimit-degraded"), HeaderValue::from_static("true"));
        headers.insert(CANARY_HEADER, YES);
        remove_our_headers(&mut headers);
        put_headers(&mut headers, &Known::default());
        assert!(headers.is_empty(), "without a key there is nothing to say");
        let quota = Quota { limit: 100, remaining: 99, reset_unix_s: 7_200 };
        let decision = Decision { outcome: Outcome::Admitted(quota), now_unix_s: 7_000, degraded: true };
        put_headers(&mut headers, &Known { decision: Some(decision), ..Known::default() });
        let value = |name: &str| headers.get(name).unwrap().to_str().unwrap().to_owned();
        assert_eq!((value("x-ratelimit-limit"), value("x-ratelimit-remaining")), ("100".into(), "99".into()));
        assert_eq!((value("ratelimit"), value("x-ratelimit-degraded")), ("\"hour\";r=99;t=200".into(), "true".into()));
    }
}
