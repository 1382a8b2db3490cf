use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, HeaderValue};
use onering_web::ApiResult;
use serde::Serialize;

/// 200 with an object.
pub(crate) fn ok(body: &impl Serialize) -> ApiResult {
    Ok(HttpResponse::Ok().json(body))
}

/// 201 with what was made.
pub(crate) fn created(body: &impl Serialize) -> ApiResult {
    Ok(HttpResponse::Created().json(body))
}

/// 204: it is gone.
pub(crate) fn gone() -> ApiResult {
    Ok(HttpResponse::NoContent().finish())
}

/// The same answer, for no cache to keep: it shows a secret.
pub(crate) fn not_stored(answer: ApiResult) -> ApiResult {
    let mut answer = answer?;
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(answer)
}
