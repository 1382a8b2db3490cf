//! Passing calls on to the product.

use bytes::Bytes;
use futures_util::StreamExt;
use onering_keys::ScopeSet;
use onering_testkit::{Receiver, Reply, eventually};
use reqwest::Method;
use tokio::sync::mpsc;

use crate::support::{KeySpec, SOON, Stack, send};

fn routes(product: &Receiver) -> String {
    let base = product.url("");
    format!(
        r#"
        [[route]]
        prefix = "/v1/external/rings"
        upstream = "{base}/api/rings"
        methods = ["GET"]
        scope = "read:rings"

        [[route]]
        prefix = "/v1/external/rings"
        upstream = "{base}/api/rings"
        methods = ["POST"]
        scope = "write:rings"
        cost = 5
        body_cap_bytes = 1000000

        [[route]]
        prefix = "/v1/external/slow"
        upstream = "{base}/slow"
        timeout_seconds = 1

        [[route]]
        prefix = "/v1/external/nobody"
        upstream = "http://127.0.0.1:9/"
        "#
    )
}

#[tokio::test]
async fn the_product_learns_who_calls_and_never_the_token() {
    let product = Receiver::start().await;
    let stack = Stack::with_routes(&routes(&product)).await;
    let key = stack.usual_key().await;
    product.otherwise(
        Reply::status(418)
            .header("X-RateLimit-Limit", "7")
            .header("X-Error-Code", "TEAPOT")
            .header("X-Product", "yes")
            .body("short and stout"),
    );
    let request = stack
        .with_key(Method::POST, "/rings/7%2F8?colour=gold&x=%20", &key)
        .header("X-OneRing-Key-Id", "key_forged")
        .header("X-OneRing-Admin", "1")
        // CGI and its heirs (WSGI, Rack, PHP) read these as the names with hyphens.
        .header("X_OneRing_Owner_Id", "umbrella")
        .header("X-OneRing_Scopes", "everything")
        .header("X_Forwarded_For", "198.51.100.1")
        .header("X_Request_Id", "another")
        .header("X-Admin-Key", "oak_x")
        .header("X-Forwarded-For", "203.0.113.7")
        .header("X-Request-Id", "my-request-1")
        .header("X-Mine", "stays")
        .body("hello");
    let answer = send(request).await;
    assert_eq!((answer.status.as_u16(), answer.body.as_slice()), (418, b"short and stout".as_slice()));
    assert_eq!((answer.header("x-product"), answer.header("x-error-code")), (Some("yes"), Some("TEAPOT")));
    assert_eq!(answer.quota(), (10_000, 9_995), "the limits are ours, and the route costs five");
    assert_eq!(answer.header("x-request-id"), Some("my-request-1"));

    let received = &product.requests()[0];
    assert_eq!((received.method.as_str(), received.path.as_str()), ("POST", "/api/rings/7%2F8?colour=gold&x=%20"));
    assert_eq!(received.text(), "hello");
    assert_eq!(received.header("x-onering-key-id"), Some(key.id.to_string().as_str()));
    assert_eq!(received.header("x-onering-owner-id"), Some("acme"));
    assert_eq!(received.header("x-onering-request-id"), Some("my-request-1"));
    assert!(received.header("x-onering-scopes").unwrap().contains("write:rings"));
    assert_eq!((received.header("x-forwarded-for"), received.header("x-mine")), (Some("203.0.113.7"), Some("stays")));
    for gone in [
        "authorization",
        "x-admin-key",
        "x-onering-admin",
        "x_onering_owner_id",
        "x-onering_scopes",
        "x_forwarded_for",
        "x_request_id",
    ] {
        assert_eq!(received.header(gone), None, "{gone}");
    }
    let everything = format!("{:?}", received.headers);
    assert!(!everything.contains(key.token.expose()) && !everything.contains("key_forged"));
}

#[tokio::test]
async fn the_product_always_gets_a_trace_to_join() {
    const CALLERS: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let product = Receiver::start().await;
    let stack = Stack::with_routes(&routes(&product)).await;
    let key = stack.usual_key().await;
    assert_eq!(stack.get("/rings", &key).await.status, 200);
    let request = stack.with_key(Method::GET, "/rings", &key).header("traceparent", CALLERS);
    assert_eq!(send(request).await.status, 200);
    let request = stack.with_key(Method::GET, "/rings", &key).header("traceparent", "nonsense");
    assert_eq!(send(request).await.status, 200);
    let traces: Vec<String> = product
        .requests()
        .iter()
        .map(|received| received.header("traceparent").unwrap_or_default().to_owned())
        .collect();
    assert_eq!(traces[1], CALLERS, "no span of ours is exported here, so the caller's is the parent");
    for made in [&traces[0], &traces[2]] {
        let parts: Vec<&str> = made.split('-').collect();
        assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [2, 32, 16, 2], "{made}");
        assert_eq!((parts[0], parts[3]), ("00", "00"), "nobody has sampled it: {made}");
        assert!(parts[1..3].iter().all(|part| part.bytes().any(|digit| digit != b'0')), "{made}");
    }
    assert_ne!(traces[0], traces[2]);
}

#[tokio::test]
async fn only_what_the_table_names_is_passed_on() {
    let product = Receiver::start().await;
    let stack = Stack::with_routes(&routes(&product)).await;
    let key = stack.usual_key().await;
    let reader = stack.key(KeySpec { scopes: ScopeSet::parse(["read:rings"]).unwrap(), ..KeySpec::default() }).await;
    assert_eq!(stack.get("/rings", &reader).await.status, 200);
    let refused = send(stack.with_key(Method::POST, "/rings", &reader)).await;
    assert_eq!(refused.problem(), "MISSING_SCOPE");
    let wrong = send(stack.with_key(Method::DELETE, "/rings/1", &key)).await;
    assert_eq!((wrong.problem().as_str(), wrong.header("allow")), ("METHOD_NOT_ALLOWED", Some("GET, POST")));
    for path in ["/ringside", "/ledger", "/Rings", "/%72ings"] {
        assert_eq!(stack.get(path, &key).await.problem(), "NOT_FOUND", "{path}");
    }
    assert_eq!(send(stack.request(Method::GET, "/rings")).await.problem(), "MISSING_API_KEY");
    let too_large = stack.with_key(Method::POST, "/rings", &key).body(vec![0; 1_000_001]);
    assert_eq!(send(too_large).await.problem(), "BODY_TOO_LARGE");
    assert_eq!(product.count(), 1, "nothing but the one good call came through");
    let unanswered = stack.get("/nobody/x", &key).await;
    assert_eq!(unanswered.problem(), "UPSTREAM_UNAVAILABLE");
    unanswered.quota();
    product.otherwise(Reply::hang());
    let late = stack.get("/slow/x", &key).await;
    assert_eq!(late.problem(), "UPSTREAM_TIMEOUT");
    late.quota();
}

#[tokio::test]
async fn a_path_that_leads_elsewhere_is_refused() {
    let product = Receiver::start().await;
    let stack = Stack::with_routes(&routes(&product)).await;
    let key = stack.usual_key().await;
    for path in
        ["rings/../ledger", "rings/%2e%2e/ledger", "rings/..%2fledger", "rings/..;/ledger", "rings/%00", "rings/%zz"]
    {
        // A client library would tidy the path up before it is sent.
        let answer = raw_get(&stack, &format!("/v1/external/{path}"), key.token.expose()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{path}: {answer}");
        assert!(answer.to_ascii_lowercase().contains("x-ratelimit-remaining:"), "{path}: {answer}");
    }
    assert_eq!(product.count(), 0);
}

async fn raw_get(stack: &Stack, target: &str, token: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", stack.gateway.port())).await.unwrap();
    let request =
        format!("GET {target} HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn bodies_stream_both_ways() {
    // A product that answers each chunk as it comes: with a buffer anywhere between, nobody would get further.
    let echo = EchoProduct::start().await;
    let routes = format!("[[route]]\nprefix = \"/v1/external/echo\"\nupstream = \"{}\"\n", echo.url);
    let stack = Stack::with_routes(&routes).await;
    let key = stack.usual_key().await;
    let (chunks, sent) = mpsc::channel::<Result<Bytes, std::io::Error>>(1);
    let body = futures_util::stream::unfold(sent, |mut sent| async { Some((sent.recv().await?, sent)) });
    chunks.send(Ok(Bytes::from_static(b"one "))).await.unwrap();
    let request = stack.with_key(Method::POST, "/echo", &key).body(reqwest::Body::wrap_stream(body));
    let answer =
        tokio::time::timeout(SOON, request.send()).await.expect("the answer begins before the request ends").unwrap();
    let mut echoed = answer.bytes_stream();
    for (expected, next) in [("one ", Some("two ")), ("two ", Some("three")), ("three", None)] {
        let chunk = tokio::time::timeout(SOON, echoed.next()).await.expect("each chunk comes back at once");
        assert_eq!(chunk.unwrap().unwrap(), expected.as_bytes());
        if let Some(next) = next {
            chunks.send(Ok(Bytes::from_static(next.as_bytes()))).await.unwrap();
        }
    }
    drop(chunks);
    assert!(tokio::time::timeout(SOON, echoed.next()).await.unwrap().is_none());
}

#[tokio::test]
async fn the_table_is_read_again_and_a_broken_one_changes_nothing() {
    let product = Receiver::start().await;
    let stack = Stack::with_routes(&routes(&product)).await;
    let key = stack.usual_key().await;
    let drafts = format!("[[route]]\nprefix = \"/v1/external/drafts\"\nupstream = \"{}/d\"\n", product.url(""));
    let gauge = async || stack.gateway.metric("onering_routes_reload_failed", &[]).await == Some(1.0);
    stack.set_routes(&drafts);
    eventually(SOON, "the new route is there", async || stack.get("/drafts", &key).await.status == 200).await;
    assert_eq!(stack.get("/rings", &key).await.problem(), "NOT_FOUND", "and the old one is not");
    stack.set_routes("[[route]]\nprefix = \"/v1/external/drafts");
    eventually(SOON, "the failure is shown", async || gauge().await).await;
    assert_eq!(stack.get("/drafts", &key).await.status, 200);
    stack.set_routes(&drafts);
    eventually(SOON, "all is well again", async || !gauge().await).await;
}

/// Speaks just enough HTTP to send each chunk of a request's body back while the request is still being sent.
struct EchoProduct {
    url: String,
}

impl EchoProduct {
    async fn start() -> Self {
        use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let (read, mut write) = stream.into_split();
            let mut read = BufReader::new(read);
            let mut line = String::new();
            while line != "\r\n" {
                line.clear();
                read.read_line(&mut line).await.unwrap();
            }
            write.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await.unwrap();
            loop {
                line.clear();
                read.read_line(&mut line).await.unwrap();
                let length = usize::from_str_radix(line.trim(), 16).unwrap();
                let mut chunk = vec![0; length + 2];
                read.read_exact(&mut chunk).await.unwrap();
                write.write_all(line.as_bytes()).await.unwrap();
                write.write_all(&chunk).await.unwrap();
                if length == 0 {
                    return;
                }
            }
        });
        Self { url }
    }
}
