//! Which headers are passed on, in both directions. actix and reqwest have `HeaderMap`s of different generations; names
//! and values cross as bytes.

use std::collections::HashSet;

use actix_web::http::header as inbound;
use http::header as outbound;

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

/// The headers of a request, as they are passed on.
pub(super) fn to_upstream(from: &inbound::HeaderMap) -> outbound::HeaderMap {
    let named = named_by_connection(from.get_all("connection").map(inbound::HeaderValue::as_bytes));
    let mut to = outbound::HeaderMap::with_capacity(from.len());
    for (name, value) in from {
        let text = name.as_str();
        if HOP_BY_HOP.contains(&text) || OURS.contains(&text) || named.contains(text) {
            continue;
        }
        if let (Ok(name), Ok(value)) =
            (outbound::HeaderName::from_bytes(text.as_bytes()), outbound::HeaderValue::from_bytes(value.as_bytes()))
        {
            to.append(name, value);
        }
    }
    to
}

/// The headers of an upstream's answer, as they are passed on. Its length is the body's to say.
pub(super) fn to_client(from: &outbound::HeaderMap) -> Vec<(inbound::HeaderName, inbound::HeaderValue)> {
    let named = named_by_connection(from.get_all("connection").iter().map(outbound::HeaderValue::as_bytes));
    from.iter()
        .filter(|(name, _)| {
            let text = name.as_str();
            !HOP_BY_HOP.contains(&text) && text != "content-length" && !named.contains(text)
        })
        .filter_map(|(name, value)| {
            let name = inbound::HeaderName::from_bytes(name.as_str().as_bytes()).ok()?;
            Some((name, inbound::HeaderValue::from_bytes(value.as_bytes()).ok()?))
        })
        .collect()
}

/// Headers that `Connection` declares to be for one connection only.
fn named_by_connection<'a>(lines: impl Iterator<Item = &'a [u8]>) -> HashSet<String> {
    lines
        .filter_map(|line| std::str::from_utf8(line).ok())
        .flat_map(|line| line.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .filter(|name| !name.is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(map: &outbound::HeaderMap) -> Vec<&str> {
        let mut names: Vec<&str> = map.keys().map(outbound::HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn headers_of_one_connection_stay_behind() {
        let mut from = inbound::HeaderMap::new();
        for name in HOP_BY_HOP.into_iter().chain(OURS) {
            from.append(inbound::HeaderName::from_static(name), inbound::HeaderValue::from_static("x"));
        }
        for (name, value) in
            [("connection", "close, X-Secret-Hop"), ("x-secret-hop", "1"), ("accept", "a/b"), ("accept", "c/d")]
        {
            from.append(inbound::HeaderName::from_static(name), inbound::HeaderValue::from_static(value));
        }
        let to = to_upstream(&from);
        assert_eq!(names(&to), ["accept"]);
        assert_eq!(to.get_all("accept").iter().count(), 2);
    }

    #[test]
    fn an_answers_own_headers_pass_and_values_keep_their_bytes() {
        let mut from = outbound::HeaderMap::new();
        from.append("set-cookie", outbound::HeaderValue::from_static("a=1"));
        from.append("set-cookie", outbound::HeaderValue::from_static("b=2"));
        from.append("x-latin", outbound::HeaderValue::from_bytes(b"caf\xe9").unwrap());
        from.append("connection", outbound::HeaderValue::from_static("x-hop"));
        from.append("x-hop", outbound::HeaderValue::from_static("1"));
        from.append("content-length", outbound::HeaderValue::from_static("3"));
        let to = to_client(&from);
        let shown: Vec<(&str, &[u8])> = to.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        assert_eq!(shown, [("set-cookie", &b"a=1"[..]), ("set-cookie", b"b=2"), ("x-latin", b"caf\xe9")]);
    }
}
