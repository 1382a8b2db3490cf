//! `/openapi.json` and `/docs`: the contract, made from the routes themselves.

use actix_web::web;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_swagger_ui::SwaggerUi;

use super::{deliveries, event_batch, event_types, events, me, webhooks};

/// The partner API as OpenAPI 3.1.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "OneRing partner API",
        description = "Keys with exact rate limits, events, and signed webhooks. Every answer carries `X-Request-Id`, and once \
                       the key is recognised `X-RateLimit-Limit`, `-Remaining` and `-Reset`. Every error is a problem document \
                       (RFC 9457) whose `code` is also in `X-Error-Code`.",
        license(name = "Apache-2.0"),
    ),
    paths(
        me::show,
        events::publish,
        event_batch::publish,
        event_types::list,
        webhooks::list,
        webhooks::create,
        webhooks::show,
        webhooks::change,
        webhooks::delete,
        webhooks::rotate_secret,
        webhooks::public_key,
        webhooks::test,
        deliveries::list,
        deliveries::show,
        deliveries::resend,
    ),
    components(schemas(onering_web::ProblemSchema)),
    tags(
        (name = "Key", description = "The key a call comes with."),
        (name = "Events", description = "What happened in the product."),
        (name = "Webhooks", description = "Where events are delivered to."),
        (name = "Deliveries", description = "What became of them."),
    ),
    modifiers(&ApiKeyScheme),
)]
struct ApiDocumentation;

struct ApiKeyScheme;

impl Modify for ApiKeyScheme {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("osk_…")
            .description(Some("`Authorization: Bearer osk_…`"))
            .build();
        openapi.components.get_or_insert_default().add_security_scheme("api_key", SecurityScheme::Http(scheme));
    }
}

/// Adds both. They need no key.
pub(super) fn configure(config: &mut web::ServiceConfig) {
    config
        .service(web::redirect("/docs", "/docs/"))
        .service(SwaggerUi::new("/docs/{_:.*}").url("/openapi.json", ApiDocumentation::openapi()));
}
