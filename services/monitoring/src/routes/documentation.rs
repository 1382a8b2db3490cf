//! `/openapi.json`: the contract, made from the routes themselves. Needs no credentials.

use actix_web::{HttpResponse, web};
use onering_web::reading;
use utoipa::OpenApi;

use crate::openapi::ApiDocumentation;

/// Adds it at the process' root, and where a path router in front of all services passes it on.
pub(super) fn configure(config: &mut web::ServiceConfig) {
    config
        .service(web::resource("/openapi.json").route(reading().to(show)))
        .service(web::resource("/v1/monitoring/openapi.json").route(reading().to(show)));
}

async fn show() -> HttpResponse {
    HttpResponse::Ok().json(ApiDocumentation::openapi())
}
