//! The id in a path.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use onering_ids::TypedId;
use onering_problem::Code;
use onering_web::ApiError;

/// The id that stands in the path where its pattern has `{id}`. What is no id of this kind names nothing: 404, as for an id
/// that nobody has.
pub(super) struct PathId<I>(pub(super) I);

impl<I: TypedId> FromRequest for PathId<I> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let id = request.match_info().get("id").and_then(|text| text.parse().ok());
        ready(id.map(Self).ok_or_else(|| ApiError::from(Code::NotFound)))
    }
}
