//! The id that ties an answer, its log lines and its audit rows together.

use std::fmt;
use std::future::{Ready, ready};
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use onering_clock::Clock;

use crate::api_error::ApiError;

/// The header a request id arrives and leaves in.
pub const REQUEST_ID_HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// The id of the request being answered: the caller's own where it sent a sane one, else a fresh `req_…`.
///
/// As an argument of a handler it is the id that [`RequestScope`](crate::RequestScope) gave the request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RequestTag(Arc<str>);

impl RequestTag {
    /// The longest id taken over from a caller, in characters.
    pub const MAX_LENGTH: usize = 128;

    /// The id as text: visible ASCII, so it can stand in a header.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id as a header's value.
    #[must_use]
    pub fn header_value(&self) -> HeaderValue {
        HeaderValue::from_str(&self.0).unwrap_or_else(|_| HeaderValue::from_static("unknown"))
    }

    /// Takes the caller's id if it is sane, else makes one. Two ids are no id.
    pub(crate) fn of(headers: &HeaderMap, clock: &Clock) -> Self {
        let mut sent = headers.get_all(REQUEST_ID_HEADER);
        match (sent.next().and_then(sane), sent.next()) {
            (Some(text), None) => Self(Arc::from(text)),
            _ => Self(Arc::from(clock.fresh_id::<onering_ids::RequestId>().to_string())),
        }
    }
}

/// What may be echoed and logged as it came: 1–128 visible ASCII characters.
fn sane(value: &HeaderValue) -> Option<&str> {
    let bytes = value.as_bytes();
    let fits = (1..=RequestTag::MAX_LENGTH).contains(&bytes.len());
    if fits && bytes.iter().all(u8::is_ascii_graphic) { value.to_str().ok() } else { None }
}

impl fmt::Display for RequestTag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl FromRequest for RequestTag {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(tag_of(request).ok_or_else(|| ApiError::internal("a handler ran outside RequestScope")))
    }
}

/// The id that [`RequestScope`](crate::RequestScope) gave this request.
pub(crate) fn tag_of(request: &HttpRequest) -> Option<RequestTag> {
    request.extensions().get::<RequestTag>().cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(values: &[&[u8]]) -> String {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(REQUEST_ID_HEADER, HeaderValue::from_bytes(value).unwrap());
        }
        RequestTag::of(&headers, &Clock::system()).to_string()
    }

    #[test]
    fn a_sane_id_is_kept() {
        for id in ["a", "req_01h455vb4pex5vsknk084sn02q", "7f/{x}", &"x".repeat(128)] {
            assert_eq!(tag(&[id.as_bytes()]), id);
        }
    }

    #[test]
    fn another_is_replaced_by_one_of_ours() {
        let too_long = "x".repeat(129);
        for id in [b"".as_slice(), b"a b", b"a\tb", "é".as_bytes(), too_long.as_bytes()] {
            let made = tag(&[id]);
            assert!(made.parse::<onering_ids::RequestId>().is_ok(), "{made}");
        }
        assert!(tag(&[b"one", b"two"]).starts_with("req_"));
        assert!(tag(&[]).starts_with("req_"));
    }
}
