//! A target as requests need it, taken apart once.

use std::fmt;

use onering_delivery::{Answer, Failure};
use onering_http_exchange::Origin;
use url::{Position, Url};

use crate::guard::AddressGuard;
use crate::{failure, header_line};

/// What HTTP and the client own: nobody else may say how a request ends or what becomes of its connection.
const OURS: [&str; 8] =
    ["connection", "content-length", "expect", "host", "te", "trailer", "transfer-encoding", "upgrade"];

/// Where requests go, with what is the same in all of them. Made by
/// [`WebhookClient::endpoint`](crate::WebhookClient::endpoint) once for many attempts.
///
/// One that nothing can be sent to is an endpoint too: each attempt is answered with the reason.
pub struct Endpoint {
    prepared: Result<Prepared, Answer>,
}

/// An endpoint that can be sent to.
pub(crate) struct Prepared {
    /// Whom to connect to.
    pub(crate) origin: std::sync::Arc<Origin>,
    /// The request line and the headers that are the same in all requests, each with its end of line.
    pub(crate) head: Vec<u8>,
    /// The names of those headers.
    names: Vec<String>,
}

impl Endpoint {
    pub(crate) fn new<'a>(
        guard: &AddressGuard,
        user_agent: &str,
        url: &Url,
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let judged = guard.check_url(url).map_err(|error| failure::of_guard(&error));
        Self { prepared: judged.and_then(|()| Prepared::new(user_agent, url, headers)) }
    }

    /// What is sent, or the answer to every attempt.
    pub(crate) const fn prepared(&self) -> Result<&Prepared, &Answer> {
        self.prepared.as_ref()
    }
}

impl Prepared {
    fn new<'a>(
        user_agent: &str,
        url: &Url,
        headers: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, Answer> {
        let origin = Origin::of(url).ok_or_else(|| unsendable("the URL has no host"))?;
        let target = &url[Position::BeforePath..Position::AfterQuery];
        // `url` has escaped whatever could end the request line; this does not take its word for it.
        if !target.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(unsendable("the URL cannot be sent"));
        }
        // Without the port where it is the scheme's own.
        let host_and_port = &url[Position::BeforeHost..Position::AfterPort];
        let mut own = vec![
            ("host", host_and_port),
            ("accept", "*/*"),
            ("content-type", "application/json"),
            ("user-agent", user_agent),
        ];
        for (name, value) in headers {
            if is_ours(name) {
                return Err(unsendable_header(name));
            }
            own.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
            own.push((name, value));
        }
        let mut head = format!("POST {target} HTTP/1.1\r\n").into_bytes();
        for (name, value) in &own {
            if !header_line::push(&mut head, name, value) {
                return Err(unsendable_header(name));
            }
        }
        let names = own.iter().map(|(name, _)| (*name).to_owned()).collect();
        Ok(Self { origin: origin.into(), head, names })
    }

    /// Whether a request may not add a header of this name: it is there already, or the client's.
    pub(crate) fn has(&self, name: &str) -> bool {
        is_ours(name) || self.names.iter().any(|known| known.eq_ignore_ascii_case(name))
    }
}

fn is_ours(name: &str) -> bool {
    OURS.iter().any(|ours| ours.eq_ignore_ascii_case(name))
}

fn unsendable(detail: &str) -> Answer {
    Answer::failed(Failure::InvalidRequest, detail)
}

/// Named without its value, which may be a credential.
pub(crate) fn unsendable_header(name: &str) -> Answer {
    Answer::failed(Failure::InvalidRequest, format!("the header {} cannot be sent", name.escape_debug()))
}

/// Path, query and the values of headers may be credentials.
impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Endpoint");
        match &self.prepared {
            Ok(prepared) => shown.field("origin", &prepared.origin).field("headers", &prepared.names),
            Err(answer) => shown.field("refused", &answer.describe()),
        };
        shown.finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(url: &str, headers: &[(&'static str, &'static str)]) -> Endpoint {
        let guard = AddressGuard::new(true, Vec::new());
        Endpoint::new(&guard, "OneRing/1", &Url::parse(url).unwrap(), headers.iter().copied())
    }

    fn head(url: &str, headers: &[(&'static str, &'static str)]) -> String {
        String::from_utf8(endpoint(url, headers).prepared().unwrap().head.clone()).unwrap()
    }

    #[test]
    fn what_is_given_replaces_what_is_ours_and_what_stood_before() {
        assert_eq!(
            head("https://example.com/a?b=c", &[("X-A", "1"), ("User-Agent", "theirs"), ("x-a", "2")]),
            "POST /a?b=c HTTP/1.1\r\nhost: example.com\r\naccept: */*\r\ncontent-type: application/json\r\n\
             user-agent: theirs\r\nx-a: 2\r\n"
        );
    }

    #[test]
    fn the_host_is_named_as_the_url_has_it() {
        for (url, line) in [
            ("https://example.com:443/", "host: example.com\r\n"),
            ("https://example.com:8443", "host: example.com:8443\r\n"),
            ("http://example.com:80/", "host: example.com\r\n"),
            ("http://bücher.example/", "host: xn--bcher-kva.example\r\n"),
            ("https://[2606:4700::1]:8443/", "host: [2606:4700::1]:8443\r\n"),
            ("https://8.8.8.8/#part", "host: 8.8.8.8\r\n"),
        ] {
            let head = head(url, &[]);
            assert!(head.contains(line) && head.starts_with("POST / HTTP/1.1\r\n"), "{head}");
        }
    }

    #[test]
    fn a_url_ends_no_line() {
        let head = head("https://example.com/a\r\nX: 1 \u{e9}?q=\r\n\0 'x'|^`", &[]);
        assert_eq!(head.lines().next(), Some("POST /aX:%201%20%C3%A9?q=%00%20%27x%27|^` HTTP/1.1"));
    }

    #[test]
    fn a_header_that_cannot_be_sent_is_named_without_its_value() {
        for (name, value) in [
            ("X-Bad", "a\r\nInjected: 1"),
            ("X Bad", "secret"),
            ("", "secret"),
            ("X-Nul", "secret\0"),
            ("X-Accent", "secret\u{e9}"),
            ("Content-Length", "secret"),
            ("transfer-encoding", "secret"),
            ("Host", "secret"),
        ] {
            let text = endpoint("https://example.com/", &[(name, value)]).prepared().err().unwrap().describe();
            assert!(text.contains(name) && !text.contains("secret") && !text.contains("Injected"), "{text}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let text = format!("{:?}", endpoint("https://example.com/path-token?query-token", &[("X-Key", "hidden")]));
        for secret in ["hidden", "path-token", "query-token"] {
            assert!(!text.contains(secret), "{text}");
        }
        assert!(text.contains("example.com") && text.contains("X-Key"), "{text}");
    }
}
