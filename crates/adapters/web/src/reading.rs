//! The method of calls that change nothing.

use actix_web::{Route, guard, web};

/// A route for `GET` and for `HEAD`, which every server of the one is to answer (RFC 9110, 9.1): load balancers ask for heads.
/// The handler answers both alike, and the server sends of its answer to `HEAD` the head alone.
#[must_use]
pub fn reading() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}
