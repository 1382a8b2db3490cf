//! The reverse proxy and upstreams that say, word for word, what a test wants.

use std::sync::{Arc, Mutex};

use onering_testkit::eventually;
use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::forwarding::{PATIENCE, front, url};
use crate::support::{TestServer, refusal, refused};

/// An upstream of few words: what it answers to each request of each connection, which it closes then.
struct Scripted {
    front: TestServer,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    async fn start(connections: Vec<Vec<&'static str>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let front = front([url(listener.local_addr().unwrap())]);
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let noted = Arc::clone(&requests);
        tokio::spawn(async move {
            for (number, answers) in connections.into_iter().enumerate() {
                let (mut connection, _) = listener.accept().await.unwrap();
                for answer in answers {
                    let Some(request) = read_request(&mut connection).await else { break };
                    noted.lock().unwrap().push(format!("{number} {request}"));
                    connection.write_all(answer.as_bytes()).await.unwrap();
                }
            }
        });
        Self { front, requests }
    }

    /// One connection with one answer.
    async fn saying(answer: &'static str) -> Self {
        Self::start(vec![vec![answer]]).await
    }

    async fn ask(&self, method: Method) -> (u16, String) {
        let broken_off = || "broken off".to_owned();
        match self.front.client.request(method, self.front.url("/")).send().await {
            Ok(answer) => (answer.status().as_u16(), answer.text().await.unwrap_or_else(|_| broken_off())),
            // Not even a head got through.
            Err(_) => (0, broken_off()),
        }
    }

    /// The numbers of the connections over which requests came.
    fn connections(&self) -> String {
        self.requests.lock().unwrap().iter().map(|request| &request[..1]).collect()
    }
}

/// A request with its body; `None` where the connection ends before.
async fn read_request(connection: &mut (impl AsyncReadExt + Unpin)) -> Option<String> {
    let mut come = String::new();
    loop {
        if let Some((head, body)) = come.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let is_whole = match length {
                Some(length) => body.len() >= length.parse::<usize>().unwrap(),
                None if head.contains("transfer-encoding: chunked") => body.ends_with("0\r\n\r\n"),
                None => true,
            };
            if is_whole {
                return Some(come);
            }
        }
        let mut buffer = [0; 4096];
        match connection.read(&mut buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => come.push_str(std::str::from_utf8(&buffer[..count]).unwrap()),
        }
    }
}

const GOOD: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood";

#[tokio::test]
async fn a_connection_is_used_again_only_after_a_certain_end() {
    for (first, connections) in [
        (GOOD, "00"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n0\r\nTrailer: x\r\n\r\n", "00"),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4, 4\r\n\r\ngood", "00"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngoodHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", "01"),
        ("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\ngood", "01"),
        ("HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\ngood", "01"),
    ] {
        let upstream = Scripted::start(vec![vec![first, GOOD], vec![GOOD]]).await;
        for _ in 0..2 {
            assert_eq!(upstream.ask(Method::GET).await, (200, "good".to_owned()), "{first:?}");
        }
        assert_eq!(upstream.connections(), connections, "{first:?}");
    }
}

#[tokio::test]
async fn an_answer_without_a_length_ends_with_its_connection() {
    let upstream = Scripted::saying("HTTP/1.1 200 OK\r\n\r\nuntil the end").await;
    assert_eq!(upstream.ask(Method::GET).await, (200, "until the end".to_owned()));
}

#[tokio::test]
async fn answers_that_two_readers_could_end_differently_are_none() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\ngood",
        "HTTP/1.1 200 OK\r\nContent-Length: +4\r\n\r\ngood",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n4\r\ngood\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\ngood",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: other\r\n\r\nother",
        "HTTP/1.1 200 OK\r\nX-Half",
        "220 mail.example ESMTP\r\n\r\n",
    ] {
        let upstream = Scripted::saying(answer).await;
        let told = refusal(upstream.front.get("/").await).await;
        assert_eq!(told, refused(502, "UPSTREAM_UNAVAILABLE", None), "{answer:?}");
    }
}

#[tokio::test]
async fn chunks_that_break_off_or_are_none_do_not_look_whole() {
    for body in
        ["4\r\ngood\r\n", "4\r\ngood\r\n4\r\ngo", "4\r\ngood!\r\n0\r\n\r\n", "4\r\ngood\r\n0\r\n", "4\r\ngood\r\nx\r\n"]
    {
        let answer: &str = Box::leak(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}").into());
        let upstream = Scripted::saying(answer).await;
        assert_eq!(upstream.ask(Method::GET).await.1, "broken off", "{body:?}");
    }
}

#[tokio::test]
async fn answers_without_a_body_keep_what_they_say_of_one() {
    let not_modified = "HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\nContent-Length: 7\r\n\r\n";
    let sized = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n";
    let nothing = "HTTP/1.1 204 No Content\r\n\r\n";
    let upstream = Scripted::start(vec![vec![sized, nothing, nothing, GOOD]]).await;
    for (method, status, length) in [
        (Method::HEAD, 200, Some("7")),
        (Method::GET, 204, None),
        (Method::HEAD, 204, None),
        (Method::GET, 200, Some("4")),
    ] {
        let answer = upstream.front.client.request(method, upstream.front.url("/")).send().await.unwrap();
        let said = answer.headers().get("content-length").map(|length| length.to_str().unwrap());
        assert_eq!((answer.status().as_u16(), said), (status, length));
    }
    assert_eq!(upstream.connections(), "0000", "each is known to end with its head");
    let upstream = Scripted::start(vec![vec![not_modified], vec![GOOD]]).await;
    let answer = upstream.front.get("/").await;
    assert_eq!((answer.status().as_u16(), &answer.headers()["content-length"]), (304, &"7".parse().unwrap()));
    assert_eq!(upstream.ask(Method::GET).await, (200, "good".to_owned()));
}

#[tokio::test]
async fn over_a_kept_connection_that_dies_only_what_changes_nothing_is_sent_again() {
    // The second request of the first connection is read and never answered.
    let upstream = Scripted::start(vec![vec![GOOD, ""], vec![GOOD]]).await;
    for _ in 0..2 {
        assert_eq!(upstream.ask(Method::GET).await, (200, "good".to_owned()));
    }
    assert_eq!(upstream.connections(), "001");

    for method in [Method::POST, Method::DELETE] {
        let upstream = Scripted::start(vec![vec![GOOD, ""], vec![GOOD]]).await;
        upstream.ask(Method::GET).await;
        assert_eq!(upstream.ask(method).await.0, 502);
        assert_eq!(upstream.connections(), "00", "nobody knows what became of it");
    }

    let upstream = Scripted::start(vec![vec![GOOD, ""], vec![GOOD]]).await;
    upstream.ask(Method::GET).await;
    let with_body = upstream.front.client.get(upstream.front.url("/")).body("body").send().await.unwrap();
    assert_eq!(with_body.status(), 502);
    assert_eq!(upstream.connections(), "00");
}

#[tokio::test]
async fn over_a_new_connection_nothing_is_sent_again() {
    let upstream = Scripted::start(vec![vec![""], vec![GOOD]]).await;
    assert_eq!(upstream.ask(Method::GET).await.0, 502);
    assert_eq!(upstream.connections(), "0");
}

#[tokio::test]
async fn a_request_goes_over_a_new_connection_when_the_kept_one_is_closed() {
    let upstream = Scripted::start(vec![vec![GOOD], vec![GOOD]]).await;
    upstream.ask(Method::GET).await;
    // The end of the first connection may be seen before it is used or only then: either way the body goes out once and whole.
    eventually(PATIENCE, "the body arrives", async || {
        let posted = upstream.front.client.post(upstream.front.url("/")).body("body").send().await.unwrap();
        posted.status() == 200
    })
    .await;
    let requests = upstream.requests.lock().unwrap().clone();
    assert!(requests[1].starts_with("1 POST / HTTP/1.1\r\n") && requests[1].ends_with("\r\n\r\nbody"), "{requests:?}");
}

#[tokio::test]
async fn what_is_announced_and_does_not_come_is_not_made_up() {
    let upstream = Scripted::start(vec![vec![GOOD], vec![GOOD]]).await;
    let request = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf";
    let mut client = tokio::net::TcpStream::connect(upstream.front.address).await.unwrap();
    client.write_all(request.as_bytes()).await.unwrap();
    client.shutdown().await.unwrap();
    let _ = client.read_to_end(&mut Vec::new()).await;
    assert_eq!(upstream.ask(Method::GET).await, (200, "good".to_owned()), "over another connection");
    assert_eq!(upstream.connections(), "1", "the first request was never whole");
}

#[tokio::test]
async fn a_head_is_rewritten_and_nothing_else() {
    let upstream = Scripted::saying(GOOD).await;
    let request = "POST /a\"b?c='d' HTTP/1.1\r\nHost: front\r\nX-Two: 1\r\nX-Two: 2\r\nX-Latin: caf\u{e9}\r\nExpect: 100-continue\r\n\
                   Forwarded: for=1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: outside\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\n\
                   Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n";
    let answer = upstream.front.raw(request.as_bytes()).await;
    assert!(answer.ends_with("\r\n\r\ngood"), "{answer}");
    let requests = upstream.requests.lock().unwrap().clone();
    let (head, body) = requests[0].split_once("\r\n\r\n").unwrap();
    assert_eq!(body, "4\r\nbody\r\n0\r\n\r\n");
    let mut lines: Vec<&str> = head.lines().collect();
    assert_eq!(lines.remove(0), "0 POST /a%22b?c=%27d%27 HTTP/1.1");
    lines.retain(|line| !line.starts_with("x-request-id: req_") && !line.starts_with("host: 127.0.0.1:"));
    lines.sort_unstable();
    let expected = [
        "transfer-encoding: chunked",
        "x-forwarded-for: 127.0.0.1",
        "x-forwarded-host: outside",
        "x-forwarded-proto: https",
        "x-latin: caf\u{e9}",
        "x-onering-key-id: key_1",
        "x-two: 1",
        "x-two: 2",
    ];
    assert_eq!(lines, expected);
}

#[tokio::test]
async fn an_answer_that_comes_early_is_passed_on_while_the_upload_goes_on() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let front = front([url(listener.local_addr().unwrap())]);
    let upstream = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut come = Vec::new();
        while !come.ends_with(b"one\r\n") {
            assert_ne!(connection.read_buf(&mut come).await.unwrap(), 0);
        }
        connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nearly").await.unwrap();
        while !come.ends_with(b"3\r\ntwo\r\n0\r\n\r\n") {
            assert_ne!(connection.read_buf(&mut come).await.unwrap(), 0);
        }
        connection.write_all(b"late").await.unwrap();
        // It is not used again: the answer began before the request had ended.
        assert_eq!(connection.read_buf(&mut come).await.unwrap(), 0);
    });
    let (say, said) = tokio::sync::mpsc::channel::<Result<&str, std::io::Error>>(1);
    let body = futures_util::stream::unfold(said, |mut said| async { Some((said.recv().await?, said)) });
    say.send(Ok("one")).await.unwrap();
    let request = front.client.post(front.url("/")).body(reqwest::Body::wrap_stream(body));
    let mut answer = request.send().await.unwrap();
    assert_eq!(answer.chunk().await.unwrap().unwrap(), "early");
    say.send(Ok("two")).await.unwrap();
    drop(say);
    assert_eq!(answer.chunk().await.unwrap().unwrap(), "late");
    upstream.await.unwrap();
}
