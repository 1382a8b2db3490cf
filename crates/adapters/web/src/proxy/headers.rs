//! Which headers are passed on, in both directions.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use onering_http_exchange::{AnswerHead, list, values};

/// Headers of one connection only (RFC 9110, 7.6.1, and the older ones that RFC 2616 named).
const HOP_BY_HOP: [&str; 10] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
];

/// Request headers that are set anew for the upstream, or were for us alone.
const OURS: [&str; 3] = ["host", "expect", "content-length"];

/// The headers of a request that are passed on.
pub(super) fn to_upstream(from: &HeaderMap) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
    let named: Vec<&[u8]> = from.get_all(CONNECTION).flat_map(|value| list(value.as_bytes())).collect();
    from.iter().filter(move |(name, _)| {
        let name = name.as_str();
        !HOP_BY_HOP.contains(&name) && !OURS.contains(&name) && !is_named(&named, name)
    })
}

/// An upstream's answer as it is passed on, without its body. Its length is the body's to say, unless there is none by its
/// status.
pub(super) fn to_client(head: &AnswerHead<'_, '_>, length: Option<u64>) -> HttpResponse {
    let status = StatusCode::from_u16(head.code).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut response = HttpResponse::new(status);
    let named: Vec<&[u8]> = values(head.headers, "connection").flat_map(list).collect();
    let is_hop = |name: &str| HOP_BY_HOP.iter().any(|hop| hop.eq_ignore_ascii_case(name));
    let headers = response.headers_mut();
    for header in head.headers {
        let name = header.name;
        if is_hop(name) || name.eq_ignore_ascii_case("content-length") || is_named(&named, name) {
            continue;
        }
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(header.value))
        {
            headers.append(name, value);
        }
    }
    if let Some(length) = length.filter(|_| status == StatusCode::NOT_MODIFIED) {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    response
}

/// Whether `Connection` declares the header to be for one connection only.
fn is_named(named: &[&[u8]], name: &str) -> bool {
    named.iter().any(|hop| hop.eq_ignore_ascii_case(name.as_bytes()))
}

#[cfg(test)]
mod tests {
    use onering_http_exchange::Header;

    use super::*;

    #[test]
    fn headers_of_one_connection_stay_behind() {
        let mut from = HeaderMap::new();
        for name in HOP_BY_HOP.into_iter().chain(OURS) {
            from.append(HeaderName::from_static(name), HeaderValue::from_static("x"));
        }
        for (name, value) in
            [("connection", "close, X-Secret-Hop"), ("x-secret-hop", "1"), ("accept", "a/b"), ("accept", "c/d")]
        {
            from.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let to: Vec<(&str, &[u8])> =
            to_upstream(&from).map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        assert_eq!(to, [("accept", &b"a/b"[..]), ("accept", b"c/d")]);
    }

    #[test]
    fn an_answers_own_headers_pass_and_values_keep_their_bytes() {
        let header = |name, value| Header { name, value };
        let headers = [
            header("Set-Cookie", b"a=1"),
            header("set-cookie", b"b=2"),
            header("X-Latin", b"caf\xe9"),
            header("Connection", b"X-Hop"),
            header("x-hop", b"1"),
            header("Keep-Alive", b"timeout=5"),
            header("Content-Length", b"3"),
        ];
        let to = to_client(&AnswerHead { code: 200, version: 1, headers: &headers }, Some(3));
        let mut shown: Vec<(&str, &[u8])> =
            to.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        shown.sort_unstable();
        assert_eq!(shown, [("set-cookie", &b"a=1"[..]), ("set-cookie", b"b=2"), ("x-latin", b"caf\xe9")]);
        let to = to_client(&AnswerHead { code: 304, version: 1, headers: &headers }, Some(3));
        assert_eq!(to.headers().get("content-length").unwrap(), "3", "of what is not sent");
    }
}
