//! The reverse proxy, between a real client and a real upstream.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use onering_clock::Clock;
use onering_http_exchange::{Connector, tls_config};
use onering_web::{ApiResult, ForwardPlan, Forwarded, Proxy, Upstreams};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};
use url::Url;

use crate::support::{TestServer, refusal, refused};

const CAP: usize = 100_000;
/// For upstreams that answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn url(address: SocketAddr) -> Url {
    format!("http://{address}").parse().unwrap()
}

/// An address that nobody listens on.
fn dead() -> Url {
    url(([127, 0, 0, 1], onering_testkit::free_port()).into())
}

/// A server that passes everything under `/` on.
pub(crate) fn front(upstreams: impl IntoIterator<Item = Url>) -> TestServer {
    front_with(upstreams, PATIENCE)
}

fn front_with(upstreams: impl IntoIterator<Item = Url>, timeout: Duration) -> TestServer {
    let connector = Connector::new(PATIENCE, tls_config().unwrap());
    let upstreams = Arc::new(Upstreams::new(upstreams).unwrap());
    TestServer::start(move |config| {
        let (proxy, upstreams) = (Proxy::new(connector.clone(), Clock::system()), Arc::clone(&upstreams));
        let forward = move |request: HttpRequest, payload: web::Payload| {
            let (proxy, upstreams) = (proxy.clone(), Arc::clone(&upstreams));
            async move { pass_on(&proxy, &upstreams, timeout, &request, payload).await }
        };
        config.route("/{path:.*}", web::route().to(forward));
    })
}

async fn pass_on(
    proxy: &Proxy,
    upstreams: &Upstreams,
    timeout: Duration,
    request: &HttpRequest,
    payload: web::Payload,
) -> ApiResult {
    let plan = ForwardPlan {
        upstreams,
        path_and_query: request.uri().path_and_query().map_or("/", |path| path.as_str()),
        timeout,
        body_cap: CAP,
        forwarded: Forwarded::Append,
        keep_host: false,
        keep_back: |name| name == "authorization",
        set: &[("x-onering-key-id", "key_1")],
    };
    proxy.forward(request, payload, plan).await
}

async fn echo(request: HttpRequest, body: Bytes) -> HttpResponse {
    let headers: serde_json::Map<String, Value> = request
        .headers()
        .iter()
        .map(|(name, value)| (name.to_string(), Value::from(String::from_utf8_lossy(value.as_bytes()))))
        .collect();
    HttpResponse::Ok().insert_header(("keep-alive", "timeout=5")).insert_header(("x-own", "1")).json(json!({
        "method": request.method().as_str(), "uri": request.uri().to_string(), "headers": headers, "length": body.len(),
    }))
}

fn upstream() -> TestServer {
    TestServer::start(|config| {
        config
            .app_data(web::PayloadConfig::new(CAP * 10))
            .service(web::resource("/echo").route(web::route().to(echo)))
            .route(
                "/moved",
                web::get().to(|| async { HttpResponse::Found().insert_header(("location", "/echo")).finish() }),
            )
            .route("/teapot", web::get().to(|| async { HttpResponse::ImATeapot().body("short and stout") }))
            .route("/nothing", web::get().to(|| async { HttpResponse::NoContent().finish() }))
            .route("/sized", web::get().to(|| async { "four" }))
            .route("/sized", web::head().to(|| async { "four" }))
            .route("/silent", web::get().to(std::future::pending::<HttpResponse>));
    })
}

#[tokio::test]
async fn requests_and_answers_pass_with_their_bodies() {
    let upstream = upstream();
    let front = front([url(upstream.address)]);
    let request = front
        .client
        .post(front.url("/echo?a=%20b"))
        .bearer_auth("osk_secret")
        .header("x-request-id", "caller-7")
        .header("connection", "x-hop")
        .header("x-hop", "1")
        .header("te", "trailers")
        .header("x-onering-key-id", "forged")
        .header("x-forwarded-for", "198.51.100.1")
        .body(vec![7; CAP]);
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["x-own"], "1");
    assert_eq!(response.headers()["x-request-id"], "caller-7");
    assert!(response.headers().get("keep-alive").is_none());
    let seen: Value = response.json().await.unwrap();
    assert_eq!((&seen["method"], &seen["uri"], &seen["length"]), (&json!("POST"), &json!("/echo?a=%20b"), &json!(CAP)));
    let header = |name: &str| seen["headers"][name].as_str();
    for absent in ["authorization", "x-hop", "te", "connection", "transfer-encoding"] {
        assert_eq!(header(absent), None, "{absent}");
    }
    assert_eq!(header("x-onering-key-id"), Some("key_1"));
    assert_eq!(header("x-request-id"), Some("caller-7"));
    assert_eq!(header("x-forwarded-for"), Some("127.0.0.1"), "the last line is the peer's");
    assert_eq!(header("x-forwarded-proto"), Some("http"));
    assert_eq!(header("x-forwarded-host"), Some(front.address.to_string().as_str()));
    assert_eq!(header("host"), Some(upstream.address.to_string().as_str()));
    assert_eq!(header("content-length"), Some(CAP.to_string().as_str()));
}

#[tokio::test]
async fn answers_of_any_status_are_passed_on_untouched() {
    let upstream = upstream();
    let front = front([url(upstream.address)]);
    let moved = front.get("/moved").await;
    assert_eq!((moved.status().as_u16(), &moved.headers()["location"]), (302, &"/echo".parse().unwrap()));
    let teapot = front.get("/teapot").await;
    assert_eq!(teapot.status(), 418);
    assert!(teapot.headers().get("x-error-code").is_none());
    assert_eq!(teapot.text().await.unwrap(), "short and stout");
    assert_eq!(front.get("/nothing").await.status(), 204);
    assert_eq!(front.get("/sized").await.headers()["content-length"], "4");
    let head = front.client.head(front.url("/sized")).send().await.unwrap();
    assert_eq!((head.status().as_u16(), &head.headers()["content-length"]), (200, &"4".parse().unwrap()));
}

#[tokio::test]
async fn bodies_over_the_cap_are_refused_announced_or_not() {
    let upstream = upstream();
    let front = front([url(upstream.address)]);
    let too_large = || refused(413, "BODY_TOO_LARGE", None);
    let announced = front.client.post(front.url("/echo")).body(vec![7; CAP + 1]).send().await.unwrap();
    assert_eq!(refusal(announced).await, too_large());
    let chunks = stream::iter((0..=CAP / 1_000).map(|_| Ok::<_, std::io::Error>(vec![7_u8; 1_000])));
    let streamed = front.client.post(front.url("/echo")).body(reqwest::Body::wrap_stream(chunks)).send().await.unwrap();
    assert_eq!(refusal(streamed).await, too_large());
}

#[tokio::test]
async fn an_upstream_that_is_away_silent_or_breaks_off() {
    let upstream = upstream();
    let away = front([dead()]);
    assert_eq!(refusal(away.get("/echo").await).await, refused(502, "UPSTREAM_UNAVAILABLE", None));
    let front = front_with([url(upstream.address)], Duration::from_millis(300));
    assert_eq!(refusal(front.get("/silent").await).await, refused(504, "UPSTREAM_TIMEOUT", None));
}

#[tokio::test]
async fn an_answer_that_breaks_off_does_not_look_whole() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let front = front([url(listener.local_addr().unwrap())]);
    tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut head = [0; 1_024];
        let _ = connection.read(&mut head).await.unwrap();
        connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nbegun").await.unwrap();
    });
    let answer = front.client.get(front.url("/")).send().await;
    let whole = match answer {
        Ok(answer) => answer.bytes().await,
        Err(error) => Err(error),
    };
    assert!(whole.is_err(), "{whole:?}");
}

#[tokio::test]
async fn a_path_cannot_climb_out_of_its_route() {
    let upstream = upstream();
    let front = front([url(upstream.address)]);
    for path in ["/moved/..%2fecho/%2e%2e/echo", "/moved/../echo", "/moved\\..\\echo"] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let answer = front.raw(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{path}: {answer}");
    }
}

#[tokio::test]
async fn a_request_goes_to_another_upstream_when_one_cannot_be_connected_to() {
    let upstream = upstream();
    let front = front([dead(), url(upstream.address), dead()]);
    for _ in 0..6 {
        let response = front.client.post(front.url("/echo")).body(vec![7; 5_000]).send().await.unwrap();
        assert_eq!(response.json::<Value>().await.unwrap()["length"], 5_000, "with its whole body");
    }
}

#[tokio::test]
async fn chunks_pass_while_more_are_to_come_in_both_directions() {
    // An upstream that answers each chunk as it comes.
    let upstream = TestServer::start(|config| {
        config.route(
            "/",
            web::post().to(|payload: web::Payload| async {
                let shouted = payload.map(|chunk| chunk.map(|chunk| Bytes::from(chunk.to_ascii_uppercase())));
                HttpResponse::Ok().streaming(shouted)
            }),
        );
    });
    let front = front([url(upstream.address)]);
    let (say, said) = mpsc::channel::<Result<Bytes, std::io::Error>>(1);
    let said = Mutex::new(said);
    let body = stream::unfold(said, |said| async move {
        let next = said.lock().await.recv().await;
        next.map(|next| (next, said))
    });
    say.send(Ok(Bytes::from_static(b"one"))).await.unwrap();
    let request = front.client.post(front.url("/")).body(reqwest::Body::wrap_stream(body));
    let mut answer = request.send().await.unwrap();
    assert_eq!(answer.chunk().await.unwrap().unwrap(), "ONE", "while the request is still being sent");
    say.send(Ok(Bytes::from_static(b"two"))).await.unwrap();
    assert_eq!(answer.chunk().await.unwrap().unwrap(), "TWO");
    drop(say);
    assert_eq!(answer.chunk().await.unwrap(), None);
}

#[tokio::test]
async fn an_endless_answer_ends_when_its_client_goes_away() {
    let (gone, mut when_gone) = mpsc::channel::<()>(1);
    let upstream = TestServer::start(move |config| {
        let gone = gone.clone();
        let endless = move || {
            // Dropped with the body: when nobody reads it any more.
            let gone = SendOnDrop(gone.clone());
            let chunks = stream::repeat_with(move || {
                let _held = &gone;
                Ok::<_, std::io::Error>(Bytes::from_static(&[7; 4_096]))
            });
            async move { HttpResponse::Ok().streaming(chunks) }
        };
        config.route("/", web::get().to(endless));
    });
    let front = front([url(upstream.address)]);
    let mut answer = front.get("/").await;
    assert!(answer.chunk().await.unwrap().is_some());
    drop(answer);
    tokio::time::timeout(Duration::from_secs(10), when_gone.recv()).await.unwrap().unwrap();
}

struct SendOnDrop(mpsc::Sender<()>);

impl Drop for SendOnDrop {
    fn drop(&mut self) {
        let _ = self.0.try_send(());
    }
}
