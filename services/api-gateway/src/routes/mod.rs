//! The calls of the partner API: each handler unpacks, calls one operation and answers.

mod deliveries;
mod documentation;
mod event_batch;
mod event_types;
mod events;
mod idempotency_header;
mod me;
mod path_id;
mod product;
mod webhooks;

use actix_web::http::Method;
use actix_web::http::header::{ALLOW, Allow, TryIntoHeaderValue};
use actix_web::middleware::from_fn;
use actix_web::{HttpResponse, Resource, Route, Scope, web};
use onering_problem::{Code, Problem};
use onering_web::{ApiError, ApiResult, BodyLimits, reading};

use crate::access::{AnyKey, Caller, answer_scope};

/// A batch's body may be this many times as large as one event's.
const BATCH_BODIES: usize = 8;

/// Adds all routes. What no call of ours answers beneath `/v1/external` is looked for in the route table.
pub(crate) fn configure(config: &mut web::ServiceConfig, limits: BodyLimits) {
    let batch = BodyLimits { cap: limits.cap.saturating_mul(BATCH_BODIES), ..limits };
    let external = web::scope("/v1/external")
        .wrap(from_fn(answer_scope))
        .service(call("/me", [(Method::GET, reading().to(me::show))]))
        .service(call("/events", [(Method::POST, web::post().to(events::publish))]))
        .service(call("/events/batch", [(Method::POST, web::post().to(event_batch::publish))]).app_data(batch))
        .service(call("/event-types", [(Method::GET, reading().to(event_types::list))]))
        .configure(configure_webhooks)
        .default_service(web::to(product::forward));
    config.service(external);
    documentation::configure(config);
}

fn configure_webhooks(config: &mut web::ServiceConfig) {
    let all = [(Method::GET, reading().to(webhooks::list)), (Method::POST, web::post().to(webhooks::create))];
    let one = [
        (Method::GET, reading().to(webhooks::show)),
        (Method::PATCH, web::patch().to(webhooks::change)),
        (Method::DELETE, web::delete().to(webhooks::delete)),
    ];
    let webhooks = beneath("/webhooks")
        .service(call("", all))
        .service(call("/{id}", one))
        .service(call("/{id}/rotate-secret", [(Method::POST, web::post().to(webhooks::rotate_secret))]))
        .service(call("/{id}/public-key", [(Method::GET, reading().to(webhooks::public_key))]))
        .service(call("/{id}/test", [(Method::POST, web::post().to(webhooks::test))]));
    let deliveries = beneath("/deliveries")
        .service(call("", [(Method::GET, reading().to(deliveries::list))]))
        .service(call("/{id}", [(Method::GET, reading().to(deliveries::show))]))
        .service(call("/{id}/resend", [(Method::POST, web::post().to(deliveries::resend))]));
    config.service(webhooks).service(deliveries);
}

/// A scope of its own, so that the patterns in it are only tried on what begins like this. What is none of them goes where it
/// would go without the scope.
fn beneath(path: &str) -> Scope {
    web::scope(path).default_service(web::to(product::forward))
}

/// A resource whose other methods are refused as every call is: after the caller is known, with its headers.
fn call<const N: usize>(path: &str, routes: [(Method, Route); N]) -> Resource {
    let methods: Vec<Method> = routes.iter().flat_map(|(method, _)| with_head(method)).collect();
    let resource = routes.into_iter().fold(web::resource(path), |resource, (_, route)| resource.route(route));
    resource.default_service(web::to(move |_: Caller<AnyKey>| {
        let methods = methods.clone();
        async move { ApiResult::<HttpResponse>::Err(method_not_allowed(methods)) }
    }))
}

/// What can be got can be asked for its head.
fn with_head(method: &Method) -> impl Iterator<Item = Method> + use<> {
    std::iter::once(method.clone()).chain((*method == Method::GET).then_some(Method::HEAD))
}

/// 405, naming the methods there are.
fn method_not_allowed(methods: Vec<Method>) -> ApiError {
    let names: Vec<&str> = methods.iter().map(Method::as_str).collect();
    let problem = Problem::new(Code::MethodNotAllowed).detail(format!("Here are only {}.", names.join(", ")));
    let error = ApiError::new(problem);
    match Allow(methods).try_into_value() {
        Ok(value) => error.header(ALLOW, value),
        Err(_) => error,
    }
}
