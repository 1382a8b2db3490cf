//! Everything else beneath `/v1/external`: passed on to the product where the route table says so.

use actix_web::{HttpRequest, web};
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use onering_keys::KeyRecord;
use onering_problem::{Code, Problem};
use onering_rate_limit::Cost;
use onering_telemetry::traceparent;
use onering_web::{ApiError, ApiResult, ClientIp, ForwardPlan, Forwarded, RequestTag};
use tracing::Span;

use super::method_not_allowed;
use crate::access::{Needs, Recognised};
use crate::forwarding::{Match, check_path};
use crate::worker::OnWorker;

/// Our own headers to the product; what a client sends under such names never gets there.
const OURS: &str = "x-onering-";

/// Passes a call on, or refuses it as no call of anybody's. Refusals come after the caller is known, so that strangers
/// learn nothing about the table, and count like any call.
pub(super) async fn forward(
    request: HttpRequest,
    payload: web::Payload,
    tag: RequestTag,
    ClientIp(client): ClientIp,
    OnWorker(worker): OnWorker,
) -> ApiResult {
    let path = request.uri().path().to_owned();
    let routes = worker.forwarder.in_force();
    let is_sound = check_path(&path);
    let found = if is_sound { routes.table.find(request.method(), &path) } else { Match::Nothing };
    let (scope, cost) = match &found {
        Match::Route(route, _) => (route.scope.as_ref(), route.cost),
        Match::WrongMethod(_) | Match::Nothing => (None, Cost::ONE),
    };
    let caller = Recognised::needing(&request, Needs { scope, webhooks: false }).await?;
    caller.charge(cost).await?;
    let (route, rest) = match found {
        Match::Route(route, rest) => (route, rest),
        Match::WrongMethod(methods) => return Err(method_not_allowed(methods)),
        Match::Nothing => return Err(nothing_here(is_sound)),
    };
    let plan = ForwardPlan {
        upstreams: &route.upstreams,
        path_and_query: &route.upstream_target(rest, request.uri().query()),
        timeout: route.timeout,
        body_cap: route.body_cap,
        forwarded: Forwarded::Replace(client),
        keep_host: false,
        remove: &kept_back(&request),
        set: identification(&caller.key, &tag),
    };
    worker.forwarder.proxy.forward(&request, payload, plan).await
}

fn nothing_here(is_sound: bool) -> ApiError {
    if is_sound {
        ApiError::from(Code::NotFound)
    } else {
        Problem::new(Code::MalformedRequest)
            .detail("The path may not hold `.` or `..` segments, control characters or broken percent-encoding.")
            .into()
    }
}

/// The token, and whatever poses as ours.
fn kept_back(request: &HttpRequest) -> Vec<HeaderName> {
    let posing = request.headers().keys().filter(|name| name.as_str().starts_with(OURS));
    let posing = posing.filter_map(|name| HeaderName::from_bytes(name.as_str().as_bytes()).ok());
    posing.chain([AUTHORIZATION, HeaderName::from_static("x-admin-key")]).collect()
}

/// Who calls, as the product may rely on it.
fn identification(key: &KeyRecord, tag: &RequestTag) -> Vec<(HeaderName, HeaderValue)> {
    let scopes: Vec<&str> = key.scopes.iter().map(onering_keys::Scope::as_str).collect();
    let told = [
        ("x-onering-key-id", Some(key.key_id.to_string())),
        ("x-onering-owner-id", Some(key.owner_id.to_string())),
        ("x-onering-scopes", Some(scopes.join(" "))),
        ("x-onering-request-id", Some(tag.to_string())),
        (traceparent::HEADER, traceparent::of(&Span::current())),
    ];
    let header = |(name, value): (&'static str, Option<String>)| {
        Some((HeaderName::from_static(name), HeaderValue::from_str(&value?).ok()?))
    };
    told.into_iter().filter_map(header).collect()
}
