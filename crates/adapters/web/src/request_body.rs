//! Reading a request's body into memory, never more of it than the cap.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use onering_problem::{Code, Problem};

use crate::api_error::ApiError;

/// How much of a body is taken, and for how long it is waited for. As `app_data` of a scope or a resource it holds for
/// what lies beneath; [`serve`](crate::Server) sets it for the whole application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyLimits {
    /// The most bytes taken.
    pub cap: usize,
    /// From the first look to the last byte.
    pub deadline: Duration,
}

impl Default for BodyLimits {
    fn default() -> Self {
        Self { cap: 256 * 1024, deadline: Duration::from_secs(30) }
    }
}

impl BodyLimits {
    pub(crate) fn of(request: &HttpRequest) -> Self {
        request.app_data::<Self>().copied().unwrap_or_default()
    }
}

/// A body in memory, of any media type, within the [`BodyLimits`] that hold where it is asked for.
#[derive(Debug)]
pub struct CappedBody {
    /// The media type without its parameters, in lower case; empty where none was sent.
    pub media_type: String,
    /// The body.
    pub bytes: Bytes,
}

impl FromRequest for CappedBody {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let media_type = media_type(&request);
            let bytes = read_body(&request, payload).await?;
            Ok(Self { media_type, bytes })
        })
    }
}

/// Reads the whole body. One that says it is over the cap is refused before a byte of it is read.
pub(crate) async fn read_body(request: &HttpRequest, payload: Payload) -> Result<Bytes, Problem> {
    let limits = BodyLimits::of(request);
    refuse_encoded(request)?;
    let announced = announced_length(request)?;
    if announced.is_some_and(|length| length > limits.cap as u64) {
        return Err(too_large(limits.cap));
    }
    tokio::time::timeout(limits.deadline, gather(payload, announced, limits.cap)).await.unwrap_or_else(|_| {
        let detail = format!("The body did not arrive within {} seconds.", limits.deadline.as_secs_f32());
        Err(Problem::new(Code::RequestTimeout).detail(detail))
    })
}

async fn gather(mut payload: Payload, announced: Option<u64>, cap: usize) -> Result<Bytes, Problem> {
    // Memory follows what arrives, not what was announced.
    let expected = announced.and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
    let mut body = BytesMut::with_capacity(expected.min(8 * 1024));
    while let Some(chunk) = payload.next().await {
        let chunk =
            chunk.map_err(|_| Problem::new(Code::MalformedRequest).detail("The body broke off before its end."))?;
        if body.len() + chunk.len() > cap {
            return Err(too_large(cap));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// The problem of a body over `cap` bytes.
pub(crate) fn too_large(cap: usize) -> Problem {
    Problem::new(Code::BodyTooLarge).detail(format!("The body may have at most {cap} bytes."))
}

/// The length the caller announced.
pub(crate) fn announced_length(request: &HttpRequest) -> Result<Option<u64>, Problem> {
    let Some(value) = request.headers().get(CONTENT_LENGTH) else { return Ok(None) };
    let length = value.to_str().ok().and_then(|text| text.parse().ok());
    length.map(Some).ok_or_else(|| {
        Problem::new(Code::MalformedRequest)
            .detail("The header Content-Length is not a number.")
            .field("Content-Length")
    })
}

/// Whether a body comes with the request, be it an empty one.
pub(crate) fn has_body(request: &HttpRequest) -> bool {
    let headers = request.headers();
    headers.contains_key(TRANSFER_ENCODING) || headers.get(CONTENT_LENGTH).is_some_and(|length| length != "0")
}

/// A compressed body would escape the cap once unpacked; none is taken.
fn refuse_encoded(request: &HttpRequest) -> Result<(), Problem> {
    match request.headers().get(CONTENT_ENCODING) {
        Some(encoding) if encoding != "identity" => Err(Problem::new(Code::UnsupportedMediaType)
            .detail("A body with a Content-Encoding is not taken: send it as it is.")
            .field("Content-Encoding")),
        _ => Ok(()),
    }
}

/// The media type without its parameters, in lower case; empty where none was sent.
fn media_type(request: &HttpRequest) -> String {
    request.content_type().trim().to_ascii_lowercase()
}

/// Refuses any media type but `application/json`, in UTF-8 where it names a charset.
pub(crate) fn require_json(request: &HttpRequest) -> Result<(), Problem> {
    let refusal = |detail: &str| Err(Problem::new(Code::UnsupportedMediaType).detail(detail).field("Content-Type"));
    if media_type(request) != "application/json" {
        return refusal("The body must be sent as `Content-Type: application/json`.");
    }
    let value = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let charset = value.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"').to_owned())
    });
    match charset {
        Some(charset) if !charset.eq_ignore_ascii_case("utf-8") && !charset.eq_ignore_ascii_case("utf8") => {
            refusal("JSON is taken in UTF-8 only.")
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn with(name: &str, value: &str) -> HttpRequest {
        TestRequest::default().insert_header((name, value)).to_http_request()
    }

    #[test]
    fn json_in_utf8_is_the_one_type_taken() {
        for good in [
            "application/json",
            "Application/JSON",
            "application/json; charset=utf-8",
            "application/json;charset=\"UTF-8\"",
        ] {
            assert_eq!(require_json(&with("content-type", good)), Ok(()), "{good}");
        }
        for bad in ["", "text/json", "application/jsonp", "application/json; charset=latin1", "application/xml"] {
            assert_eq!(require_json(&with("content-type", bad)).unwrap_err().code, Code::UnsupportedMediaType, "{bad}");
        }
    }

    #[test]
    fn a_length_that_is_no_number_is_refused() {
        assert_eq!(announced_length(&with("content-length", "12")), Ok(Some(12)));
        for bad in ["-1", "x", "99999999999999999999999"] {
            assert_eq!(announced_length(&with("content-length", bad)).unwrap_err().code, Code::MalformedRequest);
        }
    }

    #[test]
    fn packed_bodies_are_refused() {
        assert!(refuse_encoded(&with("content-encoding", "gzip")).is_err());
        assert!(refuse_encoded(&with("content-encoding", "identity")).is_ok());
    }
}
