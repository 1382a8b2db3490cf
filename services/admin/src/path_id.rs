use std::future::{Ready, ready};
use std::str::FromStr;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use onering_ids::{AdminKeyId, BlockId, DeliveryId, KeyId, OwnerId, ReplayId, SubscriptionId};
use onering_problem::{Code, Problem};
use onering_rollout::Switch;
use onering_web::ApiError;

/// The `{id}` of a path. A text that is no id of its kind names nothing: 404, as for an id that is not there.
pub(crate) struct PathId<T>(pub(crate) T);

/// The `{name}` of a path that may name what does not exist yet, unchecked.
pub(crate) struct PathText(pub(crate) String);

/// Something a path names.
pub(crate) trait Named: FromStr {
    /// What it is, for people.
    const KIND: &'static str;
}

macro_rules! named {
    ($($type:ty = $kind:literal),+ $(,)?) => {
        $(impl Named for $type {
            const KIND: &'static str = $kind;
        })+
    };
}

named! {
    KeyId = "key",
    SubscriptionId = "subscription",
    DeliveryId = "delivery",
    ReplayId = "replay",
    BlockId = "blocklist entry",
    AdminKeyId = "admin key",
    OwnerId = "partner",
    Switch = "switch",
}

impl<T: Named> FromRequest for PathId<T> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let id = segment(request, payload).and_then(|text| text.parse().ok());
        ready(id.map(Self).ok_or_else(|| Problem::not_found(T::KIND).into()))
    }
}

impl FromRequest for PathText {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        ready(segment(request, payload).map(Self).ok_or_else(|| Code::NotFound.into()))
    }
}

/// The one variable segment of the path, decoded.
fn segment(request: &HttpRequest, payload: &mut Payload) -> Option<String> {
    web::Path::<String>::from_request(request, payload).into_inner().ok().map(web::Path::into_inner)
}
