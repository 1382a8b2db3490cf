//! What is sent.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};
use onering_delivery::DatabaseTime;
use url::Url;

/// One attempt's request: always a POST.
#[derive(Clone)]
pub struct Request {
    /// Where to; judged anew by the guard.
    pub url: Url,
    /// Headers, names and values unchecked. A later one replaces an earlier one of the same name. `Content-Type:
    /// application/json` and a `User-Agent` are there unless given; `Content-Length` and `Host` are the client's.
    pub headers: Vec<(Cow<'static, str>, String)>,
    /// The body, byte for byte.
    pub body: Bytes,
    /// How long the attempt may take in all, from name resolution to the answer's head.
    pub timeout: Duration,
    /// When it begins, by the clock that everything about the delivery is judged by: so are dates in the answer.
    pub at: DatabaseTime,
}

impl Request {
    /// The headers as the client takes them, or the name of the one that is none.
    pub(crate) fn header_map(&self, user_agent: &HeaderValue) -> Result<HeaderMap, String> {
        let mut map = HeaderMap::with_capacity(self.headers.len() + 2);
        map.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        map.insert(USER_AGENT, user_agent.clone());
        for (name, value) in &self.headers {
            let parsed = HeaderName::from_bytes(name.as_bytes()).ok().zip(HeaderValue::from_str(value).ok());
            let (key, mut value) =
                parsed.ok_or_else(|| format!("the header {} cannot be sent", name.escape_debug()))?;
            // They may be credentials; this keeps them out of anybody's Debug.
            value.set_sensitive(true);
            map.insert(key, value);
        }
        Ok(map)
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_ref()).collect();
        f.debug_struct("Request")
            .field("host", &self.url.host_str())
            .field("headers", &names)
            .field("body_bytes", &self.body.len())
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &[(&'static str, &str)]) -> Request {
        Request {
            url: Url::parse("https://example.com/path-token?query-token").unwrap(),
            headers: headers.iter().map(|(name, value)| (Cow::Borrowed(*name), (*value).to_owned())).collect(),
            body: Bytes::from_static(b"payload"),
            timeout: Duration::from_secs(1),
            at: DatabaseTime::from_millis(0),
        }
    }

    #[test]
    fn what_is_given_replaces_what_is_ours() {
        let agent = HeaderValue::from_static("OneRing/1");
        let map = request(&[("user-agent", "theirs"), ("X-A", "1"), ("x-a", "2")]).header_map(&agent).unwrap();
        assert_eq!((map["user-agent"].as_bytes(), map["x-a"].as_bytes()), (&b"theirs"[..], &b"2"[..]));
        assert_eq!((map["content-type"].as_bytes(), map.len()), (&b"application/json"[..], 3));
    }

    #[test]
    fn a_header_that_is_none_is_named_without_its_value() {
        let agent = HeaderValue::from_static("x");
        for (name, value) in [("X-Bad", "a\r\nInjected: 1"), ("X Bad", "secret"), ("", "x"), ("X-Nul", "\0")] {
            let text = request(&[(name, value)]).header_map(&agent).unwrap_err();
            assert!(text.contains(name) && !text.contains("secret") && !text.contains("Injected"), "{text}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let text = format!("{:?}", request(&[("Authorization", "Bearer hidden")]));
        for secret in ["hidden", "path-token", "query-token", "payload"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}
