//! Everything else beneath `/v1/external`: passed on to the product where the route table says so.

use actix_web::{HttpRequest, web};
use onering_clock::Clock;
use onering_keys::KeyRecord;
use onering_problem::{Code, Problem};
use onering_rate_limit::Cost;
use onering_telemetry::traceparent;
use onering_web::{ApiError, ApiResult, ClientIp, ForwardPlan, Forwarded, RequestTag};
use tracing::Span;

use super::method_not_allowed;
use crate::access::{Needs, Recognised, remove_our_headers};
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
    let path = request.uri().path();
    let routes = worker.forwarder.in_force();
    let is_sound = check_path(path);
    let found = if is_sound { routes.table.find(request.method(), path) } else { Match::Nothing };
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
    let identity = Identity::of(&caller.key, &tag, trace(&request, &worker.clock));
    let plan = ForwardPlan {
        upstreams: &route.upstreams,
        path_and_query: &route.upstream_target(rest, request.uri().query()),
        timeout: route.timeout,
        body_cap: route.body_cap,
        forwarded: Forwarded::Replace(client),
        keep_host: false,
        keep_back: is_kept_back,
        set: &identity.headers(),
    };
    let mut answer = worker.proxy.forward(&request, payload, plan).await?;
    remove_our_headers(answer.headers_mut());
    Ok(answer)
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

/// The token, and whatever poses as ours. That is also every name with an underscore: CGI and its heirs (WSGI, Rack, PHP)
/// make one name of `X-OneRing-Owner-Id` and `X_OneRing_Owner_Id`, so the product could take a client's word for ours.
fn is_kept_back(name: &str) -> bool {
    matches!(name, "authorization" | "x-admin-key") || name.starts_with(OURS) || name.contains('_')
}

/// Who calls, as the product may rely on it.
struct Identity<'a> {
    key_id: String,
    owner_id: String,
    scopes: String,
    tag: &'a RequestTag,
    trace: Option<String>,
}

impl<'a> Identity<'a> {
    fn of(key: &KeyRecord, tag: &'a RequestTag, trace: Option<String>) -> Self {
        let scopes: Vec<&str> = key.scopes.iter().map(onering_keys::Scope::as_str).collect();
        Self {
            key_id: key.key_id.to_string(),
            owner_id: key.owner_id.to_string(),
            scopes: scopes.join(" "),
            tag,
            trace,
        }
    }

    fn headers(&self) -> Vec<(&str, &str)> {
        let known = [
            ("x-onering-key-id", self.key_id.as_str()),
            ("x-onering-owner-id", &self.owner_id),
            ("x-onering-scopes", &self.scopes),
            ("x-onering-request-id", self.tag.as_str()),
        ];
        known.into_iter().chain(self.trace.as_deref().map(|trace| (traceparent::HEADER, trace))).collect()
    }
}

/// The trace the product is to join: our span of it, or else one that begins here. `None` leaves the caller's own.
fn trace(request: &HttpRequest, clock: &Clock) -> Option<String> {
    traceparent::of(&Span::current()).or_else(|| {
        let sent = request.headers().get(traceparent::HEADER).and_then(|value| value.to_str().ok());
        (!sent.is_some_and(is_traceparent)).then(|| fresh_traceparent(&clock.noise32()))
    })
}

/// `00-<trace>-<span>-00`: a trace that nobody has sampled yet.
fn fresh_traceparent(noise: &[u8; 32]) -> String {
    let (trace, rest) = noise.split_at(16);
    let mut text = String::with_capacity(55);
    text.push_str("00-");
    push_hex(&mut text, trace);
    text.push('-');
    push_hex(&mut text, &rest[..8]);
    text.push_str("-00");
    text
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    let digit = |half: u8| char::from(b"0123456789abcdef"[usize::from(half & 15)]);
    text.extend(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]));
}

/// Whether the text is W3C's trace context: ids that are not all zeros, and behind the flags whatever a later version has.
fn is_traceparent(text: &str) -> bool {
    let hex = |part: &str, length| {
        part.len() == length && part.bytes().all(|digit| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit))
    };
    let id = |part: &str, length| hex(part, length) && part.bytes().any(|digit| digit != b'0');
    match text.split('-').collect::<Vec<_>>()[..] {
        [version, trace, span, flags, ref later @ ..] => {
            hex(version, 2)
                && version != "ff"
                && (version != "00" || later.is_empty())
                && id(trace, 32)
                && id(span, 16)
                && hex(flags, 2)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_trace_context_is_one() {
        const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert!(is_traceparent(GOOD) && is_traceparent(&format!("01{}-more", &GOOD[2..])));
        assert!(is_traceparent(&fresh_traceparent(&[0xa5; 32])));
        let zeros = GOOD.replace("b7ad6b7169203331", "0000000000000000");
        for bad in ["", "nonsense", &zeros, &GOOD.to_uppercase(), &format!("{GOOD}-more"), &format!("ff{}", &GOOD[2..])]
        {
            assert!(!is_traceparent(bad), "{bad}");
        }
    }
}
