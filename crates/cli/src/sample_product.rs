//! A small product to stand behind the gateway's route table in the dev stack: four collections kept in memory. Every
//! answer shows which partner the gateway said was calling, so that a first curl through the platform explains itself.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use anyhow::Context as _;
use serde_json::{Value, json};

use crate::args::SampleProduct;

const COLLECTIONS: [&str; 4] = ["rings", "drafts", "ledger", "enforcement"];
/// Each collection keeps this many entries; the oldest goes first.
const KEPT: usize = 1_000;

#[derive(Default)]
struct Collections(Mutex<BTreeMap<String, Vec<Value>>>);

/// Serves until SIGTERM or SIGINT.
pub(crate) async fn run(options: SampleProduct) -> anyhow::Result<ExitCode> {
    let collections = web::Data::new(Collections::default());
    HttpServer::new(move || {
        App::new()
            .app_data(collections.clone())
            .route("/readyz", web::get().to(|| async { HttpResponse::Ok().json(json!({ "status": "ready" })) }))
            .route("/{collection}", web::get().to(list))
            .route("/{collection}", web::post().to(add))
    })
    .workers(1)
    // Nothing here takes long: what is in flight at the end is done at once.
    .shutdown_timeout(1)
    .bind(("127.0.0.1", options.port))
    .with_context(|| format!("port {} cannot be listened on; choose another with ONERING_PRODUCT_PORT", options.port))?
    .run()
    .await?;
    Ok(ExitCode::SUCCESS)
}

async fn list(
    request: HttpRequest,
    collection: web::Path<String>,
    collections: web::Data<Collections>,
) -> HttpResponse {
    if !COLLECTIONS.contains(&collection.as_str()) {
        return unknown(&collection);
    }
    let kept = collections.0.lock().unwrap_or_else(PoisonError::into_inner);
    let items = kept.get(collection.as_str()).cloned().unwrap_or_default();
    HttpResponse::Ok().json(json!({ "collection": *collection, "items": items, "caller": caller(&request) }))
}

async fn add(
    request: HttpRequest,
    collection: web::Path<String>,
    entry: web::Json<Value>,
    collections: web::Data<Collections>,
) -> HttpResponse {
    if !COLLECTIONS.contains(&collection.as_str()) {
        return unknown(&collection);
    }
    let mut kept = collections.0.lock().unwrap_or_else(PoisonError::into_inner);
    let items = kept.entry(collection.into_inner()).or_default();
    if items.len() >= KEPT {
        items.remove(0);
    }
    items.push(entry.into_inner());
    HttpResponse::Created().json(json!({ "item": items.last(), "caller": caller(&request) }))
}

fn unknown(collection: &str) -> HttpResponse {
    HttpResponse::NotFound().json(json!({ "error": format!("no collection {collection}"), "collections": COLLECTIONS }))
}

/// What the gateway told about the caller; the token itself never gets here.
fn caller(request: &HttpRequest) -> Value {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    json!({
        "key_id": header("x-onering-key-id"),
        "owner_id": header("x-onering-owner-id"),
        "scopes": header("x-onering-scopes"),
        "request_id": header("x-onering-request-id"),
        "authorization_present": request.headers().contains_key("authorization"),
    })
}
