//! `/healthz`, `/readyz` and `/metrics`, the same on every process.

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{HttpResponse, web};
use onering_telemetry::Metrics;

use crate::api_error::{ApiError, ApiResult};
use crate::health::{Health, ReadinessStatus};
use crate::reading::reading;

/// Adds the three routes. They need no credentials: keep them off the public side.
pub(crate) fn configure(config: &mut web::ServiceConfig, health: &Health, metrics: &Metrics) {
    config
        .app_data(web::Data::new(health.clone()))
        .app_data(web::Data::new(metrics.clone()))
        .service(web::resource("/healthz").route(reading().to(healthz)))
        .service(web::resource("/readyz").route(reading().to(readyz)))
        .service(web::resource("/metrics").route(reading().to(render_metrics)));
}

async fn healthz() -> HttpResponse {
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(serde_json::json!({"status": "ok"}))
}

async fn readyz(health: web::Data<Health>) -> HttpResponse {
    let readiness = health.readiness().await;
    let mut response = match readiness.status {
        ReadinessStatus::Ready | ReadinessStatus::Degraded => HttpResponse::Ok(),
        ReadinessStatus::NotReady | ReadinessStatus::Draining => HttpResponse::ServiceUnavailable(),
    };
    response.insert_header((CACHE_CONTROL, "no-store")).json(readiness)
}

async fn render_metrics(metrics: web::Data<Metrics>) -> ApiResult {
    let text = metrics.render().map_err(ApiError::internal)?;
    Ok(HttpResponse::Ok().insert_header((CONTENT_TYPE, Metrics::CONTENT_TYPE)).body(text))
}
