//! How errors look, wherever they come from.

use std::sync::atomic::{AtomicBool, Ordering};

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpResponse, web};
use onering_ids::KeyId;
use onering_problem::{Code, Problem};
use onering_web::{ApiError, ApiResult, RequestTag, problem_response};

use crate::support::{TestServer, refusal, refused};

async fn limited() -> ApiResult {
    let problem = Problem::new(Code::RateLimited).retry_after(9);
    Err(ApiError::new(problem).header(HeaderName::from_static("x-ratelimit-limit"), HeaderValue::from_static("100")))
}

async fn broken() -> ApiResult {
    Err(ApiError::internal("password=hunter2 was refused"))
}

async fn panics() -> HttpResponse {
    panic!("password=hunter2 on the stack")
}

async fn foreign() -> Result<HttpResponse, actix_web::Error> {
    Err(actix_web::error::ErrorImATeapot("hunter2"))
}

fn server() -> TestServer {
    TestServer::start(|config| {
        config
            .service(
                web::resource("/keys/{key_id}")
                    .get(|key: web::Path<KeyId>| async move { key.to_string() })
                    .delete(|| async { HttpResponse::NoContent().finish() }),
            )
            .route("/limited", web::get().to(limited))
            .route("/broken", web::get().to(broken))
            .route("/panics", web::get().to(panics))
            .route("/foreign", web::get().to(foreign))
            .route("/tag", web::get().to(|tag: RequestTag| async move { tag.to_string() }))
            .route(
                "/by-hand",
                web::get()
                    .to(|tag: RequestTag| async move { problem_response(&Problem::new(Code::Conflict), tag.as_str()) }),
            )
            .service(
                web::scope("/inner")
                    .wrap(actix_web::middleware::from_fn(refuses))
                    .route("/x", web::get().to(HttpResponse::Ok)),
            );
    })
}

/// A middleware that refuses with an error instead of an answer.
async fn refuses(
    _request: actix_web::dev::ServiceRequest,
    _next: actix_web::middleware::Next<impl actix_web::body::MessageBody>,
) -> Result<actix_web::dev::ServiceResponse, actix_web::Error> {
    Err(ApiError::from(Code::ShuttingDown).into())
}

#[tokio::test]
async fn what_no_route_matches_is_a_problem() {
    let server = server();
    assert_eq!(refusal(server.get("/nowhere").await).await, refused(404, "NOT_FOUND", None));
    assert_eq!(refusal(server.get("/keys/").await).await, refused(404, "NOT_FOUND", None));
    assert_eq!(refusal(server.get("/keys/not-a-key").await).await, refused(404, "NOT_FOUND", None));
    let response = server.client.put(server.url("/keys/key_x")).send().await.unwrap();
    let allowed = response.headers()["allow"].to_str().unwrap().to_owned();
    assert!(allowed.contains("GET") && allowed.contains("DELETE"), "{allowed}");
    assert_eq!(refusal(response).await, refused(405, "METHOD_NOT_ALLOWED", None));
}

#[tokio::test]
async fn a_refusal_keeps_its_own_headers() {
    let server = server();
    let response = server.get("/limited").await;
    assert_eq!(response.headers()["retry-after"], "9");
    assert_eq!(response.headers()["x-ratelimit-limit"], "100");
    assert_eq!(response.headers()["cache-control"], "no-store");
    assert_eq!(refusal(response).await, refused(429, "RATE_LIMITED", None));
    assert_eq!(refusal(server.get("/by-hand").await).await, refused(409, "CONFLICT", None));
}

#[tokio::test]
async fn causes_stay_inside() {
    let server = server();
    for path in ["/broken", "/panics"] {
        let response = server.get(path).await;
        let text = response.text().await.unwrap();
        assert!(text.contains("INTERNAL") && !text.contains("hunter2"), "{path}: {text}");
    }
    assert_eq!(refusal(server.get("/broken").await).await, refused(500, "INTERNAL", None));
    assert_eq!(refusal(server.get("/panics").await).await, refused(500, "INTERNAL", None));
    assert_eq!(refusal(server.get("/foreign").await).await, refused(400, "MALFORMED_REQUEST", None));
    assert_eq!(refusal(server.get("/inner/x").await).await, refused(503, "SHUTTING_DOWN", None));
}

#[tokio::test]
async fn the_request_id_comes_back_and_reaches_the_handler() {
    let server = server();
    let asked = |id: &'static str| server.client.get(server.url("/tag")).header("x-request-id", id).send();
    let response = asked("caller-7").await.unwrap();
    assert_eq!(response.headers()["x-request-id"], "caller-7");
    assert_eq!(response.text().await.unwrap(), "caller-7");
    let response = asked("two words").await.unwrap();
    let made = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    assert!(made.starts_with("req_"), "{made}");
    assert_eq!(response.text().await.unwrap(), made);
    assert_ne!(server.get("/tag").await.headers()["x-request-id"], made);
}

#[tokio::test]
async fn what_is_no_http_is_refused_without_a_word_about_it() {
    let server = server();
    let huge = format!("GET / HTTP/1.1\r\nHost: x\r\nX-Huge: {}\r\n\r\n", "x".repeat(200_000));
    let many = format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "X-A: 1\r\n".repeat(200));
    for request in
        [b"nonsense\r\n\r\n".as_slice(), b"GET / HTTP/1.1\r\nA B: c\r\n\r\n", huge.as_bytes(), many.as_bytes()]
    {
        let answer = server.raw(request).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    assert_eq!(server.get("/healthz").await.status(), 200, "the server lives on");
}

#[tokio::test]
async fn metrics_count_by_route_and_not_by_path() {
    let server = server();
    let _ = server.get("/keys/key_01h455vb4pex5vsknk084sn02q?token=hunter2").await;
    let _ = server.get("/nowhere/hunter2").await;
    let response = server.get("/metrics").await;
    assert_eq!(response.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let text = response.text().await.unwrap();
    let counted = |route: &str, status: u16| {
        let wanted = [format!("route=\"{route}\""), format!("status=\"{status}\"")];
        text.lines().any(|line| {
            line.starts_with("onering_http_requests_total") && wanted.iter().all(|label| line.contains(label))
        })
    };
    assert!(counted("/keys/{key_id}", 200) && counted("unrouted", 404), "{text}");
    assert!(!text.contains("hunter2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_follows_the_dependencies() {
    static UP: AtomicBool = AtomicBool::new(true);
    let server = server();
    server.health.require("postgres", std::time::Duration::from_secs(1), || async {
        if UP.load(Ordering::Relaxed) { Ok(()) } else { Err("gone") }
    });
    let readiness = async || {
        let response = server.get("/readyz").await;
        let status = response.status().as_u16();
        (status, response.json::<serde_json::Value>().await.unwrap())
    };
    let (status, body) = readiness().await;
    assert_eq!((status, &body["status"]), (200, &"ready".into()));
    assert_eq!(body["dependencies"]["postgres"]["status"], "up");
    UP.store(false, Ordering::Relaxed);
    let body = onering_testkit::eventually(std::time::Duration::from_secs(5), "not ready", async || {
        let (status, body) = readiness().await;
        (status == 503).then_some(body)
    })
    .await;
    assert_eq!(body["status"], "not_ready");
    assert_eq!(body["dependencies"]["postgres"]["error"], "gone");
    assert_eq!(server.get("/healthz").await.status(), 200, "alive all the same");
}
