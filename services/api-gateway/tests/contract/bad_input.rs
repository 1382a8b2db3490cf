//! Bad input is the caller's to correct: a 4xx that names what is wrong, never a 500.

use reqwest::{Method, RequestBuilder};
use serde_json::json;

use crate::support::{Answer, KeySpec, Stack, TestKey, send};

struct Case {
    name: &'static str,
    body: Vec<u8>,
    status: u16,
    code: &'static str,
    field: &'static str,
}

fn case(name: &'static str, body: impl Into<Vec<u8>>, status: u16, code: &'static str, field: &'static str) -> Case {
    Case { name, body: body.into(), status, code, field }
}

#[track_caller]
fn check(name: &str, answer: &Answer, status: u16, code: &str, field: &str) {
    let seen = (answer.status.as_u16(), answer.problem(), answer.field());
    assert_eq!(seen, (status, code.to_owned(), field.to_owned()), "{name}: {}", answer.json());
    answer.quota();
}

fn json_post(stack: &Stack, path: &str, key: &TestKey, body: Vec<u8>) -> RequestBuilder {
    stack.with_key(Method::POST, path, key).header("content-type", "application/json").body(body)
}

#[tokio::test]
async fn a_bad_event_is_refused_by_name() {
    let stack = Stack::start().await;
    let key = stack.usual_key().await;
    let deep = format!("{{\"event_type\":\"a\",\"data\":{}{}}}", "[".repeat(500), "]".repeat(500));
    let long = format!("{{\"event_type\":\"{}\",\"data\":1}}", "a".repeat(129));
    let invalid = ("VALIDATION_FAILED", 422);
    let cases = [
        case("no JSON", "{", 400, "MALFORMED_JSON", ""),
        case("nothing", "", 400, "MALFORMED_JSON", ""),
        case("not UTF-8", b"{\"event_type\":\"a\xff\",\"data\":1}".as_slice(), 400, "MALFORMED_JSON", ""),
        case("half a pair", r#"{"event_type":"a","data":"\ud800"}"#, 400, "MALFORMED_JSON", ""),
        case("too deep", deep, invalid.1, invalid.0, ""),
        case("NUL", r#"{"event_type":"a","data":"\u0000"}"#, invalid.1, invalid.0, ""),
        case("a number beyond doubles", r#"{"event_type":"a","data":1e999}"#, invalid.1, invalid.0, "data"),
        case("unknown field", r#"{"event_type":"a","data":1,"typ":2}"#, 422, "UNKNOWN_FIELD", "typ"),
        case("missing field", r#"{"event_type":"a"}"#, invalid.1, invalid.0, "data"),
        case("wrong type", r#"{"event_type":7,"data":1}"#, invalid.1, invalid.0, "event_type"),
        case("an array", "[]", invalid.1, invalid.0, "body"),
        case("bad event type", r#"{"event_type":"a b","data":1}"#, invalid.1, invalid.0, "event_type"),
        case("long event type", long, invalid.1, invalid.0, "event_type"),
        case("bad time", r#"{"event_type":"a","data":1,"occurred_at":"noon"}"#, invalid.1, invalid.0, "occurred_at"),
        case("bad owner", r#"{"event_type":"a","data":1,"owner_id":"a b"}"#, invalid.1, invalid.0, "owner_id"),
        case("given twice", r#"{"event_type":"a","event_type":"b","data":1}"#, invalid.1, invalid.0, "event_type"),
    ];
    for Case { name, body, status, code, field } in cases {
        let answer = send(json_post(&stack, "/events", &key, body)).await;
        check(name, &answer, status, code, field);
    }
    assert_eq!(stack.count("SELECT count(*) FROM webhook_events").await, 0);
}

#[tokio::test]
async fn bodies_headers_and_paths_have_bounds() {
    let stack = Stack::start().await;
    let key = stack.usual_key().await;
    let event = json!({"event_type": "a", "data": 1});
    let post = |path: &str| stack.with_key(Method::POST, path, &key);

    let huge = vec![b' '; 300_000];
    check("huge", &send(json_post(&stack, "/events", &key, huge.clone())).await, 413, "BODY_TOO_LARGE", "");
    let chunks = futures_util::stream::iter([huge.clone(), huge].map(Ok::<_, std::io::Error>));
    let streamed = post("/events").header("content-type", "application/json").body(reqwest::Body::wrap_stream(chunks));
    check("huge in chunks", &send(streamed).await, 413, "BODY_TOO_LARGE", "");
    let huge_batch = json_post(&stack, "/events/batch", &key, vec![b' '; 2_200_000]);
    check("huge batch", &send(huge_batch).await, 413, "BODY_TOO_LARGE", "");

    check("text", &send(post("/events").body("x")).await, 415, "UNSUPPORTED_MEDIA_TYPE", "Content-Type");
    let packed = post("/events").header("content-encoding", "gzip").json(&event);
    check("packed", &send(packed).await, 415, "UNSUPPORTED_MEDIA_TYPE", "Content-Encoding");
    for bad in ["", "a b", &"k".repeat(256), "ü"] {
        let sent = post("/events").header("idempotency-key", bad).json(&event);
        check(bad, &send(sent).await, 422, "VALIDATION_FAILED", "Idempotency-Key");
    }
    check("no such path", &stack.get("/nothing/here", &key).await, 404, "NOT_FOUND", "");
    let wrong = send(stack.with_key(Method::DELETE, "/events", &key)).await;
    check("wrong method", &wrong, 405, "METHOD_NOT_ALLOWED", "");
    assert_eq!(wrong.header("allow"), Some("POST"));
}

#[tokio::test]
async fn invalid_calls_count_like_all_others() {
    let stack = Stack::start().await;
    let key = stack.key(KeySpec { limit: Some(5), ..KeySpec::default() }).await;
    assert_eq!(send(json_post(&stack, "/events", &key, b"{".to_vec())).await.quota(), (5, 4));
    assert_eq!(stack.get("/nothing", &key).await.quota(), (5, 3));
    assert_eq!(send(stack.with_key(Method::PUT, "/me", &key)).await.quota(), (5, 2));
    assert_eq!(send(json_post(&stack, "/events/batch", &key, b"{".to_vec())).await.quota(), (5, 1));
    assert_eq!(send(json_post(&stack, "/events/batch", &key, vec![b' '; 2_200_000])).await.quota(), (5, 0));
    assert_eq!(stack.get("/me", &key).await.problem(), "RATE_LIMITED");
}

#[tokio::test]
async fn what_can_be_got_can_be_asked_for_its_head() {
    let stack = Stack::start().await;
    let key = stack.usual_key().await;
    for path in ["/me", "/event-types", "/webhooks", "/deliveries?limit=1"] {
        let got = stack.get(path, &key).await;
        let head = send(stack.with_key(Method::HEAD, path, &key)).await;
        assert_eq!((head.status, head.body.as_slice()), (got.status, b"".as_slice()), "{path}");
        assert_eq!(head.header("content-type"), got.header("content-type"), "{path}");
        assert_eq!(head.quota().1 + 1, got.quota().1, "it counts as the call it is: {path}");
    }
    let refused = send(stack.request(Method::HEAD, "/me")).await;
    assert_eq!((refused.status.as_u16(), refused.header("x-error-code")), (401, Some("MISSING_API_KEY")));
    let wrong = send(stack.with_key(Method::PUT, "/me", &key)).await;
    assert_eq!((wrong.problem().as_str(), wrong.header("allow")), ("METHOD_NOT_ALLOWED", Some("GET, HEAD")));
}
