use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use serde::Serialize;

/// 200 with an object.
pub(crate) fn ok(body: &impl Serialize) -> HttpResponse {
    HttpResponse::Ok().json(body)
}

/// 201 with what was made.
pub(crate) fn created(body: &impl Serialize) -> HttpResponse {
    HttpResponse::Created().json(body)
}

/// 202 with what was taken on and is still to be done.
pub(crate) fn accepted(body: &impl Serialize) -> HttpResponse {
    HttpResponse::Accepted().json(body)
}

/// 204: it is gone.
pub(crate) fn gone() -> HttpResponse {
    HttpResponse::NoContent().finish()
}

/// The same answer, for no cache to keep: it shows a secret.
pub(crate) fn not_stored(mut answer: HttpResponse) -> HttpResponse {
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
