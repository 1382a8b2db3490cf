//! The `Idempotency-Key` header.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use onering_problem::Problem;
use onering_web::ApiError;
use onering_webhooks::IdempotencyKey;

const HEADER: &str = "Idempotency-Key";

/// The key a request came with, if it came with one.
pub(super) struct SentKey(pub(super) Option<IdempotencyKey>);

impl FromRequest for SentKey {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let mut sent = request.headers().get_all(HEADER);
        let key = match (sent.next(), sent.next()) {
            (None, _) => Ok(None),
            (Some(value), None) => value.to_str().ok().and_then(|text| text.parse().ok()).map(Some).ok_or_else(wrong),
            (Some(_), Some(_)) => Err(wrong()),
        };
        ready(key.map(Self).map_err(ApiError::from))
    }
}

/// For calls that take none: a header that is ignored would promise what is not kept.
pub(super) struct NoSentKey;

impl FromRequest for NoSentKey {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let detail = "A batch has no Idempotency-Key of its own: give each item its `idempotency_key`.";
        let is_sent = request.headers().contains_key(HEADER);
        ready(if is_sent { Err(Problem::invalid(HEADER, detail).into()) } else { Ok(Self) })
    }
}

fn wrong() -> Problem {
    let detail = format!(
        "An Idempotency-Key has 1 to {} visible ASCII characters, and is sent once.",
        IdempotencyKey::MAX_LENGTH
    );
    Problem::invalid(HEADER, detail)
}
