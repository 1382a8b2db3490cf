//! The head of a request as the upstream gets it.

use std::io::Write as _;

use actix_web::HttpRequest;
use actix_web::http::Version;
use actix_web::http::header::HOST;
use onering_telemetry::traceparent;
use tracing::Span;

use super::forward::{ForwardPlan, Forwarded};
use super::headers::to_upstream;
use super::upstreams::Upstream;
use crate::client_address::peer_address;
use crate::request_id::{RequestTag, tag_of};

const REQUEST_ID: &str = "x-request-id";
const FORWARDED: &str = "forwarded";
const FORWARDED_FOR: &str = "x-forwarded-for";
const FORWARDED_HOST: &str = "x-forwarded-host";
const FORWARDED_PROTO: &str = "x-forwarded-proto";

/// Enough for most heads.
const USUAL_BYTES: usize = 1024;

/// What a head says of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyLength {
    /// Nothing: there is none.
    None,
    /// It has this many bytes.
    Known(u64),
    /// It comes in chunks.
    Chunked,
}

/// A head that is being written. Nothing that could end a line, or the head, is ever written into one.
struct Head(Vec<u8>);

impl Head {
    /// A line whose value is a text of our own; one that could not be sent is left out.
    fn line(&mut self, name: &str, value: &str) {
        if !value.bytes().any(|byte| byte != b'\t' && byte.is_ascii_control()) {
            self.sent_line(name, value.as_bytes());
        }
    }

    /// A line whose value came as a header's, and so is one.
    fn sent_line(&mut self, name: &str, value: &[u8]) {
        for part in [name.as_bytes(), b": ", value, b"\r\n"] {
            self.0.extend_from_slice(part);
        }
    }
}

/// Writes the head of a request for `target` at this upstream.
pub(super) fn request_head(
    request: &HttpRequest,
    plan: &ForwardPlan<'_>,
    (upstream, target): (&Upstream, &str),
    length: BodyLength,
) -> Vec<u8> {
    let mut head = Head(Vec::with_capacity(USUAL_BYTES));
    for part in [request.method().as_str(), " ", target, " HTTP/1.1\r\n"] {
        head.0.extend_from_slice(part.as_bytes());
    }
    match sent_host(request).filter(|_| plan.keep_host) {
        Some(host) => head.sent_line("host", host),
        None => head.line("host", upstream.host()),
    }
    let tag = tag_of(request);
    let trace = if is_set(plan, traceparent::HEADER) { None } else { traceparent::of(&Span::current()) };
    let own = [(REQUEST_ID, tag.as_ref().map(RequestTag::as_str)), (traceparent::HEADER, trace.as_deref())];
    let own = own.iter().filter_map(|(name, value)| Some((*name, (*value)?)));
    let own = own.filter(|(name, _)| !is_set(plan, name));
    let is_first_hop = is_first_hop(request, plan);
    for (name, value) in to_upstream(request.headers()) {
        let name = name.as_str();
        let is_ours = is_set(plan, name) || own.clone().any(|(ours, _)| ours == name);
        if !is_ours && !(plan.keep_back)(name) && passes(name, plan.forwarded, is_first_hop) {
            head.sent_line(name, value.as_bytes());
        }
    }
    describe_client(&mut head, request, plan, is_first_hop);
    own.chain(plan.set.iter().copied()).for_each(|(name, value)| head.line(name, value));
    match length {
        BodyLength::Chunked => head.line("transfer-encoding", "chunked"),
        // A vector takes whatever is written.
        BodyLength::Known(length) => _ = write!(head.0, "content-length: {length}\r\n"),
        BodyLength::None => {}
    }
    head.0.extend_from_slice(b"\r\n");
    head.0
}

/// Whether the plan has a word of its own under this name.
fn is_set(plan: &ForwardPlan<'_>, name: &str) -> bool {
    plan.set.iter().any(|(set, _)| *set == name)
}

/// Whether nobody before us, whose word is passed on, has said how the client came.
fn is_first_hop(request: &HttpRequest, plan: &ForwardPlan<'_>) -> bool {
    plan.forwarded != Forwarded::Append || !is_said(request, FORWARDED_PROTO)
}

fn is_said(request: &HttpRequest, name: &str) -> bool {
    to_upstream(request.headers()).any(|(said, _)| *said == name)
}

/// Whether what a client says about where it comes from is passed on.
fn passes(name: &str, forwarded: Forwarded, is_first_hop: bool) -> bool {
    match name {
        FORWARDED => false,
        FORWARDED_FOR => forwarded == Forwarded::Append,
        FORWARDED_HOST | FORWARDED_PROTO => !is_first_hop,
        _ => true,
    }
}

fn describe_client(head: &mut Head, request: &HttpRequest, plan: &ForwardPlan<'_>, is_first_hop: bool) {
    let address = match plan.forwarded {
        Forwarded::Hide => return,
        Forwarded::Append => peer_address(request),
        Forwarded::Replace(address) => address,
    };
    head.line(FORWARDED_FOR, &address.to_string());
    if is_first_hop {
        head.line(FORWARDED_PROTO, if request.app_config().secure() { "https" } else { "http" });
    }
    if let Some(host) = sent_host(request)
        && (is_first_hop || !is_said(request, FORWARDED_HOST))
    {
        head.sent_line(FORWARDED_HOST, host);
    }
}

/// The host the client asked for: of HTTP/2 in the URI, else in the header.
fn sent_host(request: &HttpRequest) -> Option<&[u8]> {
    if request.version() == Version::HTTP_2
        && let Some(authority) = request.uri().authority()
    {
        return Some(authority.as_str().as_bytes());
    }
    request.headers().get(HOST).map(|host| host.as_bytes())
}
