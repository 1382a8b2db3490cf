//! One attempt against receivers of every kind, over real sockets.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, in its helpers too")]

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use onering_clock::Clock;
use onering_delivery::{Answer, DatabaseTime, Failure};
use onering_dev_servers::HostileAnswer;
use onering_testkit::{Receiver, Reply, eventually, free_port};
use onering_webhook_client::{
    AddressGuard, ClientSettings, GuardError, LookUp, LookingUp, Request, Sent, WebhookClient,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;
use url::Url;

const LONG: Duration = Duration::from_secs(20);

fn client_with(guard: AddressGuard) -> WebhookClient {
    WebhookClient::new(ClientSettings::new(guard), Clock::system()).unwrap()
}

/// As the dev stack has it: loopback and plain HTTP are open.
fn client() -> WebhookClient {
    client_with(AddressGuard::new(true, vec!["127.0.0.0/8".parse().unwrap()]))
}

async fn send(client: &WebhookClient, url: &str, timeout: Duration) -> Sent {
    send_with(client, url, &[("X-Webhook-Event", "ring.forged")], b"{\"event_id\":\"evt_1\"}", timeout).await
}

async fn send_with(
    client: &WebhookClient,
    url: &str,
    headers: &[(&str, &str)],
    body: &[u8],
    timeout: Duration,
) -> Sent {
    let endpoint = client.endpoint(&Url::parse(url).unwrap(), [("X-Tenant", "42")]);
    let at = DatabaseTime::from_utc(Clock::system().now());
    client.send(Request { endpoint: &endpoint, headers, body, timeout, at }).await
}

async fn answer_to(reply: Reply) -> Answer {
    let receiver = Receiver::start().await;
    receiver.script([reply]);
    send(&client(), &receiver.url("/hook"), LONG).await.answer
}

fn failure_of(answer: &Answer) -> Failure {
    match answer {
        Answer::Failed { failure, .. } => *failure,
        Answer::Status { code, .. } => panic!("an answer with status {code} came"),
    }
}

fn snippet_of(answer: &Answer) -> &str {
    match answer {
        Answer::Status { snippet, .. } => snippet.as_str(),
        Answer::Failed { failure, detail } => panic!("{failure}: {detail}"),
    }
}

#[tokio::test]
async fn what_is_sent_is_what_arrives() {
    let receiver = Receiver::start().await;
    receiver.script([Reply::status(200).body("thanks")]);
    let sent = send(&client(), &receiver.url("/hook?x=1"), LONG).await;
    assert_eq!((sent.answer.status_code(), snippet_of(&sent.answer)), (Some(200), "thanks"));
    let arrived = &receiver.requests()[0];
    assert_eq!((arrived.method.as_str(), arrived.path.as_str()), ("POST", "/hook?x=1"));
    assert_eq!(arrived.body, b"{\"event_id\":\"evt_1\"}");
    assert_eq!(arrived.header("x-webhook-event"), Some("ring.forged"));
    assert_eq!(arrived.header("x-tenant"), Some("42"));
    assert_eq!(arrived.header("accept"), Some("*/*"));
    assert_eq!(arrived.header("host"), Some(&receiver.address().to_string()[..]));
    assert!(arrived.headers.iter().all(|(name, _)| *name == name.to_ascii_lowercase()), "{:?}", arrived.headers);
    assert_eq!(arrived.header("content-type"), Some("application/json"));
    assert_eq!(arrived.header("content-length"), Some("20"));
    assert!(arrived.header("user-agent").unwrap().starts_with("OneRing/"));
    for absent in ["accept-encoding", "referer", "cookie", "transfer-encoding"] {
        assert_eq!(arrived.header(absent), None, "{absent}");
    }
}

#[tokio::test]
async fn connections_are_used_again() {
    let receiver = Receiver::start().await;
    receiver.otherwise(Reply::status(200).body("x".repeat(10_000)));
    let client = client();
    for _ in 0..5 {
        assert_eq!(send(&client, &receiver.url("/"), LONG).await.answer.status_code(), Some(200));
    }
    assert_eq!((receiver.count(), receiver.connections()), (5, 1));
}

#[tokio::test]
async fn attempts_at_once_have_a_connection_each_and_all_are_used_again() {
    let receiver = Receiver::start().await;
    receiver.otherwise(Reply::status(200).delay(Duration::from_millis(100)));
    let client = client();
    for _ in 0..3 {
        let mut sending = JoinSet::new();
        for _ in 0..100 {
            let (client, url) = (client.clone(), receiver.url("/"));
            sending.spawn(async move { send(&client, &url, LONG).await.answer.status_code() });
        }
        assert_eq!(sending.join_all().await, [Some(200); 100]);
    }
    assert!(receiver.count() == 300 && receiver.connections() <= 100, "{} connections", receiver.connections());
    assert!(receiver.most_in_flight() > 1);
}

#[tokio::test]
async fn a_connection_that_was_closed_while_idle_is_not_used() {
    // Says that the connection stays, and closes it.
    let receiver = Receiver::start().await;
    receiver.otherwise(Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
    let client = client();
    for _ in 0..5 {
        let answer = send(&client, &receiver.url("/"), LONG).await.answer;
        assert_eq!(snippet_of(&answer), "ok");
        eventually(LONG, "the receiver has closed", async || receiver.in_flight() == 0).await;
    }
    assert_eq!((receiver.count(), receiver.connections()), (5, 5));
}

#[tokio::test]
async fn redirects_are_answers_and_nothing_is_tried_twice() {
    let target = Receiver::start().await;
    for status in [301, 302, 303, 307, 308] {
        let answer = answer_to(Reply::redirect(status, &target.url("/"))).await;
        assert_eq!(answer.status_code(), Some(status));
    }
    assert_eq!(target.count(), 0, "no redirect was followed");

    let receiver = Receiver::start().await;
    receiver.otherwise(Reply::status(503));
    send(&client(), &receiver.url("/"), LONG).await;
    receiver.script([Reply::disconnect()]);
    send(&client(), &receiver.url("/"), LONG).await;
    assert_eq!(receiver.count(), 2);
}

#[tokio::test]
async fn what_the_receiver_asks_for_is_read() {
    for (value, wanted) in [("120", Some(120)), ("999999999999999999999999", Some(3600)), ("soon", None)] {
        let Answer::Status { code: 429, retry_after, .. } = answer_to(Reply::retry_after(429, value)).await else {
            panic!("429 was answered");
        };
        assert_eq!(retry_after, wanted.map(Duration::from_secs), "{value}");
    }
    let reply = Reply::retry_after(503, "Fri, 31 Dec 9999 23:59:59 GMT").header("X-Webhook-Error", "REPLAY_EXPIRED");
    let Answer::Status { retry_after, replay_expired, .. } = answer_to(reply).await else { panic!("503 was answered") };
    assert_eq!((retry_after, replay_expired), (Some(Duration::from_secs(3600)), true));
}

#[tokio::test]
async fn an_endless_body_is_read_to_a_bound_and_its_connection_closed() {
    let receiver = Receiver::start().await;
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n";
    receiver.script([Reply::endless(head, "x".repeat(1024))]);
    let sent = send(&client(), &receiver.url("/"), LONG).await;
    assert_eq!((sent.answer.status_code(), snippet_of(&sent.answer).len()), (Some(200), 2048));
    // Well before the time a body may take: it was the size that ended it.
    assert!(sent.took < Duration::from_millis(1500), "{:?}", sent.took);
    eventually(LONG, "the receiver is rid of us", async || receiver.in_flight() == 0).await;
}

#[tokio::test]
async fn a_claimed_length_is_not_believed() {
    let reply = Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\nshort");
    let answer = answer_to(reply).await;
    // Either is right: a length nobody can send is no HTTP, or the body broke off.
    match &answer {
        Answer::Status { code: 200, snippet, .. } => assert_eq!(snippet.as_str(), "short"),
        other => assert_eq!(failure_of(other), Failure::InvalidResponse),
    }
    let cut = answer_to(Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")).await;
    assert_eq!((cut.status_code(), snippet_of(&cut)), (Some(200), "short"));
}

#[tokio::test]
async fn a_body_that_drips_does_not_hold_us() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n";
    let receiver = Receiver::start().await;
    receiver.script([Reply::drip(head, "x".repeat(5_000), Duration::from_millis(2))]);
    let sent = send(&client(), &receiver.url("/"), Duration::from_millis(700)).await;
    assert_eq!(sent.answer.status_code(), Some(200));
    let kept = snippet_of(&sent.answer).len();
    assert!(kept < 2048 && sent.took < Duration::from_secs(3), "{kept} bytes in {:?}", sent.took);
}

#[tokio::test]
async fn a_head_that_drips_is_a_timeout() {
    let receiver = Receiver::start().await;
    let limit = Duration::from_millis(200);
    receiver.script([Reply::drip("", "HTTP/1.1 200 OK\r\n".repeat(100), Duration::from_millis(20)), Reply::hang()]);
    for kind in ["a dripping head", "silence"] {
        let sent = send(&client(), &receiver.url("/"), limit).await;
        assert_eq!(failure_of(&sent.answer), Failure::Timeout, "{kind}");
        assert!(sent.took >= limit && sent.took < limit * 10, "{:?}", sent.took);
    }
}

#[tokio::test]
async fn huge_heads_are_no_http() {
    let one_header = format!("HTTP/1.1 200 OK\r\nX-Big: {}\r\n\r\n", "x".repeat(1 << 20));
    let many_headers = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X-Many: 1\r\n".repeat(101));
    for head in [one_header, many_headers] {
        assert_eq!(failure_of(&answer_to(Reply::raw(head)).await), Failure::InvalidResponse);
    }
    let endless_head = Reply::endless("HTTP/1.1 200 OK\r\nX-Endless: ", "x".repeat(4096));
    assert_eq!(failure_of(&answer_to(endless_head).await), Failure::InvalidResponse);
}

#[tokio::test]
async fn everything_hostile_comes_to_an_end() {
    let limit = Duration::from_millis(500);
    for answer in HostileAnswer::all() {
        let receiver = Receiver::start().await;
        receiver.script([Reply::hostile(answer.clone())]);
        send(&client(), &receiver.url("/"), limit).await;
        eventually(LONG, "the receiver is rid of us", async || receiver.in_flight() == 0).await;
        assert_eq!(receiver.connections(), 1);
        // And the receiver can be sent to as before.
        assert_eq!(send(&client(), &receiver.url("/"), LONG).await.answer.status_code(), Some(200));
    }
}

#[tokio::test]
async fn what_is_not_http_is_told_from_a_connection_that_breaks() {
    for garbage in
        ["220 mail.example ESMTP\r\n", "HTTP/9.9 200 OK\r\n\r\n", "HTTP/1.1 two hundred\r\n\r\n", "\0\0\0\0\r\n\r\n"]
    {
        assert_eq!(failure_of(&answer_to(Reply::raw(garbage)).await), Failure::InvalidResponse, "{garbage:?}");
    }
    for broken in [Reply::disconnect(), Reply::raw("HTTP/1.1 200 OK\r\nX-Half: ")] {
        assert_eq!(failure_of(&answer_to(broken).await), Failure::Connect);
    }
}

#[tokio::test]
async fn nobody_listening_and_no_tls_are_told_apart() {
    let url = format!("http://127.0.0.1:{}/path-token?query-token", free_port());
    let answer = send(&client(), &url, LONG).await.answer;
    assert_eq!(failure_of(&answer), Failure::Connect);
    assert!(!answer.describe().contains("token") && answer.describe().contains("refused"), "{}", answer.describe());

    // One closes the connection at the sight of a TLS greeting; the other answers it in plain text.
    let closing = Receiver::start().await;
    let talking = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let talking_port = talking.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut stream, _) = talking.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        // Stays open until the client has read it.
        stream.read_to_end(&mut Vec::new()).await.ok();
    });
    for port in [closing.address().port(), talking_port] {
        let answer = send(&client(), &format!("https://127.0.0.1:{port}/path-token"), LONG).await.answer;
        assert_eq!(failure_of(&answer), Failure::Tls, "{}", answer.describe());
        assert!(!answer.describe().contains("token"), "{}", answer.describe());
    }
}

/// Connects until nobody else can.
async fn fill(address: std::net::SocketAddr) -> Vec<tokio::net::TcpStream> {
    let mut held = Vec::new();
    let attempt = Duration::from_millis(50);
    while let Ok(Ok(stream)) = tokio::time::timeout(attempt, tokio::net::TcpStream::connect(address)).await {
        held.push(stream);
    }
    held
}

#[tokio::test]
async fn a_connection_that_is_not_made_in_time_is_given_up() {
    // A listener whose queue is full takes no connection and refuses none.
    let full = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = full.local_addr().unwrap();
    let guard = AddressGuard::new(true, vec!["127.0.0.0/8".parse().unwrap()]);
    let settings = ClientSettings { connect_timeout: Duration::from_millis(150), ..ClientSettings::new(guard) };
    let client = WebhookClient::new(settings, Clock::system()).unwrap();
    let _held = fill(address).await;
    let sent = send(&client, &format!("http://{address}/"), LONG).await;
    assert_eq!(failure_of(&sent.answer), Failure::Connect, "{}", sent.answer.describe());
    assert!(sent.took < Duration::from_secs(5), "{:?}", sent.took);
}

#[tokio::test]
async fn a_header_that_cannot_be_sent_sends_nothing() {
    let receiver = Receiver::start().await;
    let headers = [("X-Good", "1"), ("X-Bad", "a\r\nInjected: 1")];
    let sent = send_with(&client(), &receiver.url("/"), &headers, b"{}", LONG).await;
    assert_eq!(failure_of(&sent.answer), Failure::InvalidRequest);
    assert_eq!(receiver.connections(), 0);
}

/// A resolver that answers something else each time.
#[derive(Debug)]
struct Fickle {
    answers: Vec<Vec<IpAddr>>,
    asked: AtomicUsize,
}

impl Fickle {
    fn new(answers: &[&[&str]]) -> Arc<Self> {
        let parse = |list: &&[&str]| list.iter().map(|text| text.parse().unwrap()).collect();
        Arc::new(Self { answers: answers.iter().map(parse).collect(), asked: AtomicUsize::new(0) })
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl LookUp for Fickle {
    fn look_up(&self, _host: &str) -> LookingUp {
        let turn = self.asked.fetch_add(1, Ordering::SeqCst);
        let answer = self.answers[turn.min(self.answers.len() - 1)].clone();
        Box::pin(async move { Ok(answer) })
    }
}

#[tokio::test]
async fn a_name_that_turns_to_a_private_address_is_not_followed() {
    let receiver = Receiver::start().await;
    let port = receiver.address().port();
    // Public when the subscription is made; the machine itself when the attempt is.
    let look_up = Fickle::new(&[&["93.184.216.34"], &["127.0.0.1"]]);
    let guard = AddressGuard::with_look_up(true, Vec::new(), look_up.clone());
    let url = format!("http://rebinding.example:{port}/");
    guard.check_resolves(&Url::parse(&url).unwrap()).await.unwrap();
    let answer = send(&client_with(guard.clone()), &url, LONG).await.answer;
    assert_eq!(failure_of(&answer), Failure::AddressRefused, "{}", answer.describe());
    assert!(!answer.describe().contains("127.0.0.1"), "{}", answer.describe());
    assert!(matches!(guard.check_resolves(&Url::parse(&url).unwrap()).await, Err(GuardError::Resolved { .. })));
    assert_eq!((receiver.connections(), look_up.asked()), (0, 3));
}

#[tokio::test]
async fn the_checked_address_is_the_one_connected_to() {
    let receiver = Receiver::start().await;
    // One look-up, used for the check and for the connection; a second would lead elsewhere.
    let look_up = Fickle::new(&[&["10.0.0.1", "::1", "127.0.0.1"], &["192.0.2.1"]]);
    let guard = AddressGuard::with_look_up(true, vec!["127.0.0.0/8".parse().unwrap()], look_up.clone());
    let url = format!("http://receiver.example:{}/", receiver.address().port());
    let answer = send(&client_with(guard), &url, LONG).await.answer;
    assert_eq!((answer.status_code(), look_up.asked()), (Some(200), 1));
    assert_eq!(receiver.requests()[0].header("host"), Some(&url["http://".len()..url.len() - 1]));
}

#[tokio::test]
async fn an_address_that_does_not_answer_leaves_time_for_the_next() {
    let receiver = Receiver::start().await;
    let port = receiver.address().port();
    // Nobody listens on the first; the second takes no connection and refuses none.
    let full = std::net::TcpListener::bind(("127.0.0.3", port)).unwrap();
    let _held = fill(full.local_addr().unwrap()).await;
    let look_up = Fickle::new(&[&["127.0.0.2", "127.0.0.3", "127.0.0.1"]]);
    let guard = AddressGuard::with_look_up(true, vec!["127.0.0.0/8".parse().unwrap()], look_up);
    let settings = ClientSettings { connect_timeout: Duration::from_secs(2), ..ClientSettings::new(guard) };
    let client = WebhookClient::new(settings, Clock::system()).unwrap();
    let answer = send(&client, &format!("http://several.example:{port}/"), LONG).await.answer;
    assert_eq!((answer.status_code(), receiver.connections()), (Some(200), 1), "{}", answer.describe());
}

#[tokio::test]
async fn literal_addresses_are_refused_before_anything_is_sent() {
    let receiver = Receiver::start().await;
    let port = receiver.address().port();
    let strict = client_with(AddressGuard::new(true, Vec::new()));
    for host in ["127.0.0.1", "2130706433", "0x7f.1", "0177.0.0.1", "[::ffff:127.0.0.1]", "localhost", "0"] {
        let answer = send(&strict, &format!("http://{host}:{port}/"), LONG).await.answer;
        assert_eq!(failure_of(&answer), Failure::AddressRefused, "{host}");
    }
    let https_only = client_with(AddressGuard::new(false, vec!["127.0.0.0/8".parse().unwrap()]));
    let answer = send(&https_only, &receiver.url("/"), LONG).await.answer;
    assert_eq!(failure_of(&answer), Failure::AddressRefused);
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn who_sends_judges_whoever_made_the_endpoint() {
    let receiver = Receiver::start().await;
    let endpoint = client().endpoint(&Url::parse(&receiver.url("/")).unwrap(), []);
    let loopback = || vec!["127.0.0.0/8".parse().unwrap()];
    for guard in [AddressGuard::new(true, Vec::new()), AddressGuard::new(false, loopback())] {
        let (body, at) = (b"{}", DatabaseTime::from_millis(0));
        let request = Request { endpoint: &endpoint, headers: &[], body, timeout: LONG, at };
        let answer = client_with(guard).send(request).await.answer;
        assert_eq!(failure_of(&answer), Failure::AddressRefused, "{}", answer.describe());
    }
    assert_eq!(receiver.connections(), 0);
}

/// A resolver that fails.
#[derive(Debug)]
struct Broken;

impl LookUp for Broken {
    fn look_up(&self, _host: &str) -> LookingUp {
        Box::pin(async { Err(io::Error::other("the name server is on fire")) })
    }
}

#[tokio::test]
async fn names_without_an_address_are_dns_failures() {
    for look_up in [Arc::new(Broken) as Arc<dyn LookUp>, Fickle::new(&[&[]])] {
        let client = client_with(AddressGuard::with_look_up(true, Vec::new(), look_up));
        let answer = send(&client, "http://nowhere.example/", LONG).await.answer;
        assert_eq!(failure_of(&answer), Failure::Dns, "{}", answer.describe());
    }
}

#[tokio::test]
async fn the_systems_resolver_knows_localhost() {
    let receiver = Receiver::start().await;
    let url = format!("http://localhost:{}/", receiver.address().port());
    assert_eq!(send(&client(), &url, LONG).await.answer.status_code(), Some(200));
}

#[tokio::test]
async fn giving_up_an_attempt_closes_its_connection() {
    let receiver = Receiver::start().await;
    receiver.script([Reply::hang()]);
    let url = receiver.url("/");
    let attempt = tokio::spawn(async move { send(&client(), &url, LONG).await });
    receiver.wait_for(1).await;
    attempt.abort();
    eventually(LONG, "the connection is closed", async || receiver.in_flight() == 0).await;
}
