//! What is sent.

use std::fmt;
use std::io::Write as _;
use std::time::Duration;

use onering_delivery::{Answer, DatabaseTime};

use crate::endpoint::{Endpoint, Prepared, unsendable_header};
use crate::header_line;

/// One attempt's request: always a POST.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// Where to, and with which headers each time.
    pub endpoint: &'a Endpoint,
    /// The attempt's own headers, names and values unchecked. None may be among the endpoint's or the client's.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body, byte for byte.
    pub body: &'a [u8],
    /// How long the attempt may take in all, from name resolution to the answer's head.
    pub timeout: Duration,
    /// When it begins, by the clock that everything about the delivery is judged by: so are dates in the answer.
    pub at: DatabaseTime,
}

impl Request<'_> {
    /// The head as it goes over the wire, or the answer when a header cannot be sent.
    pub(crate) fn head(&self, prepared: &Prepared) -> Result<Vec<u8>, Answer> {
        // `: ` and the end of line; the length's line and the empty one.
        let own: usize = self.headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
        let mut head = Vec::with_capacity(prepared.head.len() + own + 48);
        head.extend_from_slice(&prepared.head);
        for (at, (name, value)) in self.headers.iter().enumerate() {
            let is_double = self.headers[..at].iter().any(|(before, _)| before.eq_ignore_ascii_case(name));
            if is_double || prepared.has(name) || !header_line::push(&mut head, name, value) {
                return Err(unsendable_header(name));
            }
        }
        // A vector takes whatever is written.
        let _ = write!(head, "content-length: {}\r\n\r\n", self.body.len());
        Ok(head)
    }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| *name).collect();
        f.debug_struct("Request")
            .field("endpoint", &self.endpoint)
            .field("headers", &names)
            .field("body_bytes", &self.body.len())
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;
    use crate::guard::AddressGuard;

    fn endpoint() -> Endpoint {
        let url = Url::parse("https://example.com/path-token?query-token").unwrap();
        Endpoint::new(&AddressGuard::new(false, Vec::new()), "OneRing/1", &url, [("x-tenant", "42")])
    }

    fn request<'a>(endpoint: &'a Endpoint, headers: &'a [(&'a str, &'a str)]) -> Request<'a> {
        let at = DatabaseTime::from_millis(0);
        Request { endpoint, headers, body: b"payload", timeout: Duration::from_secs(1), at }
    }

    #[test]
    fn the_attempts_headers_and_the_length_follow_the_endpoints() {
        let endpoint = endpoint();
        let prepared = endpoint.prepared().unwrap();
        let head = request(&endpoint, &[("X-Webhook-Event", "ring.forged")]).head(prepared).unwrap();
        let own = head.strip_prefix(&prepared.head[..]).unwrap();
        assert_eq!(own, b"x-webhook-event: ring.forged\r\ncontent-length: 7\r\n\r\n");
        assert!(head.capacity() < head.len() + 48, "one allocation, and no more than it needs");
    }

    #[test]
    fn a_header_that_cannot_be_sent_is_named_without_its_value() {
        let endpoint = endpoint();
        for headers in [
            [("X-A", "1"), ("X-Bad", "a\r\nsecret: 1")],
            [("X-A", "1"), ("x-a", "secret")],
            [("X-A", "1"), ("X-Tenant", "secret")],
            [("X-A", "1"), ("User-Agent", "secret")],
            [("X-A", "1"), ("Content-Length", "secret")],
        ] {
            let text = request(&endpoint, &headers).head(endpoint.prepared().unwrap()).unwrap_err().describe();
            assert!(text.contains(headers[1].0) && !text.contains("secret"), "{text}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let text = format!("{:?}", request(&endpoint(), &[("Authorization", "Bearer hidden")]));
        for secret in ["hidden", "path-token", "query-token", "payload", "42"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}
