//! Request bodies: what is taken and what is refused.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use bytes::Bytes;
use futures_util::stream;
use onering_web::{ApiResult, BodyLimits, CappedBody, Limit, OptionalJson, StrictJson, StrictQuery};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{TestServer, refusal, refused};

const CAP: usize = 2_000;

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    #[serde(default)]
    name: String,
    #[serde(default)]
    sizes: Vec<u16>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Search {
    #[serde(default)]
    limit: Limit,
}

fn server() -> TestServer {
    server_with(BodyLimits::default().deadline)
}

fn server_with(deadline: Duration) -> TestServer {
    TestServer::start_with(
        move |options| options.body = BodyLimits { cap: CAP, deadline },
        |config| {
            let echo = |order: StrictJson<Order>| async move { HttpResponse::Ok().json(order.into_inner()) };
            let optional = |order: OptionalJson<Order>| async move { HttpResponse::Ok().json(order.into_inner()) };
            let length = |body: CappedBody| async move { format!("{} {}", body.media_type, body.bytes.len()) };
            let search = |search: StrictQuery<Search>| async move { search.limit.get().to_string() };
            config
                .route("/orders", web::post().to(echo))
                .route("/optional", web::post().to(optional))
                .service(
                    web::resource("/large").app_data(BodyLimits { cap: CAP * 2, ..Default::default() }).post(length),
                )
                .route("/search", web::get().to(search));
        },
    )
}

async fn post(server: &TestServer, content_type: &str, body: impl Into<reqwest::Body>) -> reqwest::Response {
    server.client.post(server.url("/orders")).header("content-type", content_type).body(body).send().await.unwrap()
}

#[tokio::test]
async fn good_bodies_are_taken() {
    let server = server();
    let response = post(&server, "application/json; charset=utf-8", r#"{"name": "ring", "sizes": [1]}"#).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.json::<Order>().await.unwrap().sizes, [1]);
    let streamed = reqwest::Body::wrap_stream(stream::iter([Ok::<_, std::io::Error>("{\"name\""), Ok(": \"ring\"}")]));
    assert_eq!(post(&server, "application/json", streamed).await.json::<Order>().await.unwrap().name, "ring");
}

#[tokio::test]
async fn bad_bodies_are_refused_in_the_contracts_words() {
    let server = server();
    let deep = format!("{{\"name\": {}{}}}", "[".repeat(80), "]".repeat(80));
    let too_large = format!("{{\"name\": \"{}\"}}", "x".repeat(CAP));
    let table: Vec<(&str, Bytes, _)> = vec![
        ("application/json", r#"{"nmae": "x"}"#.into(), refused(422, "UNKNOWN_FIELD", Some("nmae"))),
        ("application/json", r#"{"name": 7}"#.into(), refused(422, "VALIDATION_FAILED", Some("name"))),
        ("application/json", r#"{"sizes": [1, -1]}"#.into(), refused(422, "VALIDATION_FAILED", Some("sizes[1]"))),
        ("application/json", r#"{"sizes": [1, 65536]}"#.into(), refused(422, "VALIDATION_FAILED", Some("sizes[1]"))),
        ("application/json", " []".into(), refused(422, "VALIDATION_FAILED", Some("body"))),
        ("application/json", "null".into(), refused(422, "VALIDATION_FAILED", Some("body"))),
        ("application/json", deep.into(), refused(422, "VALIDATION_FAILED", None)),
        ("application/json", r#"{"name": "\u0000"}"#.into(), refused(422, "VALIDATION_FAILED", None)),
        ("application/json", r#"{"name": "\ud800"}"#.into(), refused(400, "MALFORMED_JSON", None)),
        ("application/json", r#"{"name": "#.into(), refused(400, "MALFORMED_JSON", None)),
        ("application/json", "{'name': 1}".into(), refused(400, "MALFORMED_JSON", None)),
        ("application/json", Bytes::new(), refused(400, "MALFORMED_JSON", None)),
        ("application/json", Bytes::from_static(b"{\"name\": \"\xff\"}"), refused(400, "MALFORMED_JSON", None)),
        ("application/json", too_large.into(), refused(413, "BODY_TOO_LARGE", None)),
        ("text/plain", "{}".into(), refused(415, "UNSUPPORTED_MEDIA_TYPE", Some("Content-Type"))),
        ("application/json; charset=latin1", "{}".into(), refused(415, "UNSUPPORTED_MEDIA_TYPE", Some("Content-Type"))),
    ];
    for (content_type, body, expected) in table {
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        assert_eq!(refusal(post(&server, content_type, body).await).await, expected, "{content_type} {shown}");
    }
}

#[tokio::test]
async fn a_packed_body_or_one_without_a_type_is_refused() {
    let server = server();
    let orders = || server.client.post(server.url("/orders"));
    let packed = orders().header("content-type", "application/json").header("content-encoding", "gzip").body("x");
    let expected = refused(415, "UNSUPPORTED_MEDIA_TYPE", Some("Content-Encoding"));
    assert_eq!(refusal(packed.send().await.unwrap()).await, expected);
    let expected = refused(415, "UNSUPPORTED_MEDIA_TYPE", Some("Content-Type"));
    assert_eq!(refusal(orders().body("{}").send().await.unwrap()).await, expected);
}

#[tokio::test]
async fn a_length_over_the_cap_is_refused_before_a_byte_of_the_body_is_sent() {
    let server = server();
    let request = "POST /orders HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2001\r\n\r\n";
    let mut connection = TcpStream::connect(server.address).await.unwrap();
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    connection.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
}

#[tokio::test]
async fn a_stream_without_a_length_is_cut_at_the_cap() {
    let server = server();
    let endless = stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[b' '; 512])));
    // The client may see the connection closed under its endless body instead of the answer; never success.
    let sent = server.client.post(server.url("/orders")).header("content-type", "application/json");
    if let Ok(response) = sent.body(reqwest::Body::wrap_stream(endless)).send().await {
        assert_eq!(refusal(response).await, refused(413, "BODY_TOO_LARGE", None));
    }
    // With the same bytes in one piece the answer is certain to be read.
    let chunk = " ".repeat(2_001);
    let request = format!(
        "POST /orders HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\
         Connection: close\r\n\r\n7d1\r\n{chunk}\r\n0\r\n\r\n"
    );
    let answer = server.raw(request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_not_waited_for_for_ever() {
    let server = server_with(Duration::from_millis(200));
    let request =
        "POST /orders HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n{\"na";
    let answer = server.raw(request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.contains("REQUEST_TIMEOUT"), "{answer}");
}

#[tokio::test]
async fn a_body_may_be_left_out_where_the_call_says_so() {
    let server = server();
    let optional = || server.client.post(server.url("/optional"));
    assert_eq!(optional().send().await.unwrap().status(), 200);
    assert_eq!(optional().body("").send().await.unwrap().status(), 200);
    let null = optional().header("content-type", "application/json").body(" null\n").send().await.unwrap();
    assert_eq!(null.status(), 200, "null says nothing, as no body does");
    let wrong = optional().header("content-type", "application/json").body("{\"x\": 1}").send().await.unwrap();
    assert_eq!(refusal(wrong).await, refused(422, "UNKNOWN_FIELD", Some("x")));
}

#[tokio::test]
async fn a_route_may_have_a_cap_of_its_own() {
    let server = server();
    let send = |length: usize| {
        let request = server.client.post(server.url("/large")).header("content-type", "Application/X-NDJSON; a=b");
        request.body("x".repeat(length)).send()
    };
    assert_eq!(send(CAP * 2).await.unwrap().text().await.unwrap(), "application/x-ndjson 4000");
    assert_eq!(refusal(send(CAP * 2 + 1).await.unwrap()).await, refused(413, "BODY_TOO_LARGE", None));
}

#[tokio::test]
async fn queries_are_strict_too() {
    let server = server();
    assert_eq!(server.get("/search?limit=7").await.text().await.unwrap(), "7");
    assert_eq!(refusal(server.get("/search?limit=-7").await).await, refused(400, "INVALID_QUERY", Some("limit")));
    assert_eq!(refusal(server.get("/search?limt=7").await).await, refused(400, "INVALID_QUERY", Some("limt")));
}

/// Handlers compile with `?` on problems and answer with responses: the shape every service uses.
#[expect(dead_code, reason = "it only has to compile")]
async fn shape(order: StrictJson<Order>) -> ApiResult {
    let _: Order = onering_web::parse_json(order.name.as_bytes())?;
    Ok(HttpResponse::NoContent().finish())
}
