//! The contract as OpenAPI 3.1.

mod delivery_schemas;
pub mod schemas;

use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use crate::routes::{alerts, api_keys, audit, external_metrics, recent_deliveries, webhook_health, webhook_metrics};

/// The monitoring API.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "OneRing monitoring API",
        description = "What happened in the last 24 hours, what waits now, what is wrong, and whether anything was lost. A figure \
                       that cannot be read is never zero: the call answers 503. Where nothing was measured a figure is null. \
                       Every error is a problem document (RFC 9457) whose `code` is also in `X-Error-Code`.",
        license(name = "Apache-2.0"),
    ),
    paths(
        external_metrics::show, api_keys::list, webhook_metrics::show, recent_deliveries::list, webhook_health::show,
        alerts::show, audit::show,
    ),
    tags(
        (name = "Partner API", description = "The gateways' side."),
        (name = "Webhooks", description = "The workers' side."),
        (name = "Alerts", description = "Figures against thresholds."),
        (name = "Ledger", description = "The proof that nothing was lost."),
    ),
    modifiers(&OperatorSchemes),
)]
pub struct ApiDocumentation;

struct OperatorSchemes;

impl Modify for OperatorSchemes {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let components = openapi.components.get_or_insert_default();
        let header = ApiKeyValue::with_description("X-Admin-Key", "An admin key, `oak_…`, of any role.");
        components.add_security_scheme("admin_key", SecurityScheme::ApiKey(ApiKey::Header(header)));
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("An admin key, or a JWT with the scope `external:admin`."))
            .build();
        components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    }
}
