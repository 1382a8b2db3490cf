//! The receiver, the bad network and the service runner.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, in its helpers too, and measures real time"
)]

use std::time::Duration;

use onering_testkit::{Receiver, Reply, ServiceOptions, TcpProxy, eventually, http_client, redis};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn records_the_request_as_it_was_sent() {
    let receiver = Receiver::start().await;
    let body = "{\"a\" : 1}  ";
    let sent = http_client().post(receiver.url("/hook?x=1&y")).header("X-Two", "b").body(body).send().await.unwrap();
    assert_eq!(sent.status(), 200);
    let requests = receiver.wait_for(1).await;
    let request = &requests[0];
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/hook?x=1&y"));
    assert_eq!(request.text(), body);
    assert_eq!(request.header("x-TWO"), Some("b"));
    assert_eq!(request.json()["a"], 1);
    assert_eq!(request.header("x-three"), None);
}

#[tokio::test]
async fn answers_by_script_and_then_otherwise() {
    let receiver = Receiver::start().await;
    receiver.script([Reply::retry_after(503, "120").body("later"), Reply::redirect(302, "/other")]);
    receiver.otherwise(Reply::status(204));
    let client = http_client();
    let get = async || client.get(receiver.url("/")).send().await.unwrap();
    let first = get().await;
    assert_eq!((first.status().as_u16(), first.headers()["retry-after"].to_str().unwrap()), (503, "120"));
    assert_eq!(first.text().await.unwrap(), "later");
    assert_eq!(get().await.headers()["location"], "/other");
    assert_eq!(get().await.status(), 204);
    assert_eq!(get().await.status(), 204);
    assert_eq!(receiver.connections(), 1, "connections are kept alive");
    receiver.otherwise_by(|request| Reply::status(if request.path == "/a" { 410 } else { 201 }));
    assert_eq!(client.get(receiver.url("/a")).send().await.unwrap().status(), 410);
    assert_eq!(get().await.status(), 201);
}

#[tokio::test]
async fn reads_chunked_bodies() {
    let receiver = Receiver::start().await;
    let mut stream = TcpStream::connect(receiver.address()).await.unwrap();
    let request = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(receiver.wait_for(1).await[0].text(), "abcde");
}

#[tokio::test]
async fn misbehaves_as_told() {
    let receiver = Receiver::start().await;
    receiver.script([Reply::disconnect(), Reply::raw("HELO there\r\n"), Reply::hang()]);
    let client = http_client();
    for _ in 0..2 {
        assert!(client.get(receiver.url("/")).send().await.is_err());
    }
    let hung = client.get(receiver.url("/")).timeout(Duration::from_millis(50)).send().await;
    assert!(hung.unwrap_err().is_timeout());
    assert_eq!(receiver.count(), 3);
    eventually(Duration::from_secs(5), "the hung request is given up", async || receiver.in_flight() == 0).await;
}

#[tokio::test]
async fn counts_what_is_in_flight_and_comes_back_on_its_port() {
    let receiver = Receiver::start().await;
    receiver.script((0..3).map(|_| Reply::hang()));
    let client = http_client();
    let url = receiver.url("/");
    let calls: Vec<_> = (0..3).map(|_| tokio::spawn(client.get(&url).send())).collect();
    receiver.wait_for(3).await;
    assert_eq!((receiver.in_flight(), receiver.most_in_flight()), (3, 3));
    let port = receiver.address().port();
    drop(receiver);
    for call in calls {
        assert!(call.await.unwrap().is_err());
    }
    let again = Receiver::start_on(port).await;
    assert_eq!(client.get(again.url("/")).send().await.unwrap().status(), 200);
}

async fn ping(stream: &mut TcpStream) -> std::io::Result<()> {
    stream.write_all(b"PING\r\n").await?;
    let mut answer = [0; 7];
    stream.read_exact(&mut answer).await?;
    assert_eq!(&answer, b"+PONG\r\n");
    Ok(())
}

#[tokio::test]
async fn the_network_can_be_paused_and_cut() {
    let redis = redis().await;
    let proxy = TcpProxy::start(redis.port()).await;
    assert_eq!(proxy.url(&redis.url()), format!("redis://127.0.0.1:{}/", proxy.port()));
    let mut stream = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
    ping(&mut stream).await.unwrap();

    proxy.pause();
    assert!(tokio::time::timeout(Duration::from_millis(50), ping(&mut stream)).await.is_err());
    proxy.restore();
    let mut late = [0; 7];
    stream.read_exact(&mut late).await.unwrap();

    proxy.slow(Duration::from_millis(30));
    let start = std::time::Instant::now();
    ping(&mut stream).await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(60), "30 ms in each direction");

    proxy.cut();
    assert!(ping(&mut stream).await.is_err());
    let mut refused = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
    assert!(ping(&mut refused).await.is_err());
    proxy.restore();
    let mut fresh = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
    ping(&mut fresh).await.unwrap();
    proxy.reset_connections().await;
    assert!(ping(&mut fresh).await.is_err());
}

#[tokio::test]
#[should_panic(expected = "cargo build --bin no-such-service")]
async fn a_binary_that_is_not_built_is_explained() {
    let _ = ServiceOptions::of("no-such-service").spawn();
}
