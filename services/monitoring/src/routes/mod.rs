//! The HTTP side: extract, one operation, respond.
#![allow(unused_qualifications, reason = "utoipa writes the types of parameters with their whole path")]

pub(crate) mod alerts;
pub(crate) mod api_keys;
pub(crate) mod audit;
mod documentation;
pub(crate) mod external_metrics;
pub(crate) mod recent_deliveries;
mod viewing;
pub(crate) mod webhook_health;
pub(crate) mod webhook_metrics;

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpResponse, web};
use onering_web::reading;
use serde::Serialize;

/// Adds all routes. The application has the sources and the operators' authentication.
pub(crate) fn configure(config: &mut web::ServiceConfig) {
    documentation::configure(config);
    config
        .service(web::resource("/v1/monitoring/external/metrics").route(reading().to(external_metrics::show)))
        .service(web::resource("/v1/monitoring/external/api-keys").route(reading().to(api_keys::list)))
        .service(web::resource("/v1/monitoring/webhooks/metrics").route(reading().to(webhook_metrics::show)))
        .service(web::resource("/v1/monitoring/webhooks/recent").route(reading().to(recent_deliveries::list)))
        .service(web::resource("/v1/monitoring/webhooks/{id}/health").route(reading().to(webhook_health::show)))
        .service(web::resource("/v1/monitoring/alerts").route(reading().to(alerts::show)))
        .service(web::resource("/v1/monitoring/audit").route(reading().to(audit::show)));
}

/// A figure is of its moment: nobody on the way may answer with it again.
fn fresh(answer: impl Serialize) -> HttpResponse {
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(answer)
}
