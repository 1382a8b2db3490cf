//! Every route of the service: the one table that both the server and its documentation are made from.
#![allow(unused_qualifications, reason = "utoipa writes the types of parameters with their whole path")]

pub(crate) mod admin_keys;
pub(crate) mod audit;
pub(crate) mod blocklist;
pub(crate) mod deliveries;
mod document;
pub(crate) mod event_types;
pub(crate) mod flags;
pub(crate) mod keys;
pub(crate) mod partners;
pub(crate) mod replays;
pub(crate) mod webhooks;

use actix_web::web::{self, ServiceConfig};
use onering_web::Limit;
use utoipa::OpenApi;

use self::document::InCommon;

/// The methods of the table. `get` answers `HEAD` too.
mod method {
    pub(super) use actix_web::web::{delete, patch, post, put};
    pub(super) use onering_web::reading as get;
}

macro_rules! routes {
    ($($path:literal { $($method:ident $module:ident::$handler:ident)+ })+) => {
        /// Registers every route.
        pub(crate) fn configure(config: &mut ServiceConfig) {
            $(config.service(web::resource($path)$(.route(method::$method().to($module::$handler)))+);)+
            config.service(web::resource("/openapi.json").route(method::get().to(document::serve)));
            // Behind the front door, which passes on what begins with /v1/admin.
            config.service(web::resource("/v1/admin/openapi.json").route(method::get().to(document::serve)));
        }

        /// The documentation of every route.
        #[derive(OpenApi)]
        #[openapi(
            info(
                title = "OneRing operator API",
                description = "Keys, partners, subscriptions, deliveries and switches of the partner platform.",
                version = env!("CARGO_PKG_VERSION")
            ),
            paths($($($module::$handler),+),+),
            components(schemas(onering_web::ProblemSchema)),
            modifiers(&InCommon)
        )]
        struct Document;

        /// Path and method of every route, to compare with the documentation.
        #[cfg(test)]
        const TABLE: &[(&str, &str)] = &[$($(($path, stringify!($method))),+),+];
    };
}

routes! {
    "/v1/admin/external/keys" { post keys::create get keys::list }
    "/v1/admin/external/keys/{id}" { get keys::get patch keys::change delete keys::delete }
    "/v1/admin/external/keys/{id}/disable" { patch keys::disable }
    "/v1/admin/external/keys/{id}/enable" { patch keys::enable }
    "/v1/admin/external/keys/{id}/rotate" { post keys::rotate }
    "/v1/admin/external/keys/{id}/revoke" { post keys::revoke }
    "/v1/admin/external/webhooks" { post webhooks::create get webhooks::list }
    "/v1/admin/external/webhooks/{id}" { get webhooks::get patch webhooks::change delete webhooks::delete }
    "/v1/admin/external/webhooks/{id}/disable" { patch webhooks::disable }
    "/v1/admin/external/webhooks/{id}/enable" { patch webhooks::enable }
    "/v1/admin/external/webhooks/{id}/pause" { patch webhooks::pause }
    "/v1/admin/external/webhooks/{id}/rotate-secret" { post webhooks::rotate_secret }
    "/v1/admin/external/webhooks/{id}/public-key" { get webhooks::public_key }
    "/v1/admin/external/webhooks/{id}/test" { post webhooks::test }
    "/v1/admin/external/deliveries" { get deliveries::list }
    "/v1/admin/external/deliveries/{id}" { get deliveries::get }
    "/v1/admin/external/deliveries/{id}/resend" { post deliveries::resend }
    "/v1/admin/external/replays" { post replays::start get replays::list }
    "/v1/admin/external/replays/{id}" { get replays::get }
    "/v1/admin/external/replays/{id}/cancel" { post replays::cancel }
    "/v1/admin/external/blocklist" { post blocklist::create get blocklist::list }
    "/v1/admin/external/blocklist/{id}" { delete blocklist::delete }
    "/v1/admin/partners" { post partners::create get partners::list }
    "/v1/admin/partners/{id}" { get partners::get patch partners::change }
    "/v1/admin/partners/{id}/disable" { patch partners::disable }
    "/v1/admin/partners/{id}/enable" { patch partners::enable }
    "/v1/admin/flags" { get flags::get }
    "/v1/admin/flags/{name}" { put flags::put delete flags::delete }
    "/v1/admin/admin-keys" { post admin_keys::create get admin_keys::list }
    "/v1/admin/admin-keys/{id}" { delete admin_keys::delete }
    "/v1/admin/audit" { get audit::list }
    "/v1/admin/event-types" { get event_types::list }
    "/v1/admin/event-types/{name}" { put event_types::put }
}

/// Rows to read for a page: one more than fit tells that there is another.
pub(crate) fn rows_for(limit: Limit) -> u32 {
    u32::try_from(limit.plus_one()).unwrap_or(u32::from(Limit::MAX))
}
