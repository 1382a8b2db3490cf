//! TLS, with a root that no system has: receivers with a certificate for `localhost`.

use std::sync::atomic::{AtomicUsize, Ordering};

use onering_delivery::DatabaseTime;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{HandshakeKind, RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::*;

const ROOT: &[u8] = include_bytes!("../../testdata/tls/ca.pem");
const CERTIFICATE: &[u8] = include_bytes!("../../testdata/tls/server.pem");
const KEY: &[u8] = include_bytes!("../../testdata/tls/server.key");
const LONG: Duration = Duration::from_secs(20);

/// Answers requests over TLS until it is dropped.
struct Secured {
    port: u16,
    handshakes: Arc<[AtomicUsize; 2]>,
    accepting: JoinHandle<()>,
}

impl Secured {
    /// Each connection takes as many requests as there are answers, and is closed.
    async fn start(answers: &'static [&'static str]) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from_pem_slice(CERTIFICATE).unwrap()],
                PrivateKeyDer::from_pem_slice(KEY).unwrap(),
            )
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let handshakes: Arc<[AtomicUsize; 2]> = Arc::default();
        let counted = Arc::clone(&handshakes);
        let accepting = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                // A client that does not trust the certificate ends the handshake.
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let is_resumed = stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed);
                counted[usize::from(is_resumed)].fetch_add(1, Ordering::SeqCst);
                for answer in answers {
                    read_request(&mut stream).await;
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
                stream.shutdown().await.ok();
            }
        });
        Self { port, handshakes, accepting }
    }

    /// Handshakes from the beginning, and those that resumed a session.
    fn handshakes(&self) -> (usize, usize) {
        (self.handshakes[0].load(Ordering::SeqCst), self.handshakes[1].load(Ordering::SeqCst))
    }
}

impl Drop for Secured {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Reads up to the end of the body that every request here has.
async fn read_request(stream: &mut (impl tokio::io::AsyncRead + Unpin)) {
    let mut come = Vec::new();
    while !come.ends_with(b"\r\n\r\n{}") {
        assert_ne!(stream.read_buf(&mut come).await.unwrap(), 0, "{}", String::from_utf8_lossy(&come));
    }
}

fn settings() -> ClientSettings {
    ClientSettings::new(AddressGuard::new(false, vec!["127.0.0.0/8".parse().unwrap()]))
}

/// A client that trusts the root.
fn trusting() -> WebhookClient {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ROOT).unwrap()).unwrap();
    let tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    WebhookClient::with_tls(settings(), Clock::system(), tls).unwrap()
}

async fn send(client: &WebhookClient, host: &str, port: u16) -> Answer {
    let endpoint = client.endpoint(&Url::parse(&format!("https://{host}:{port}/path-token")).unwrap(), []);
    let at = DatabaseTime::from_millis(0);
    client.send(Request { endpoint: &endpoint, headers: &[], body: b"{}", timeout: LONG, at }).await.answer
}

const TAKEN: &str = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nthanks";

#[tokio::test]
async fn connections_over_tls_are_used_again_and_sessions_resumed() {
    let receiver = Secured::start(&[TAKEN, TAKEN, TAKEN]).await;
    let client = trusting();
    for sent in 1..=6 {
        let Answer::Status { code: 200, snippet, .. } = send(&client, "localhost", receiver.port).await else {
            panic!("attempt {sent} was not answered");
        };
        assert_eq!(snippet.as_str(), "thanks");
    }
    assert_eq!(receiver.handshakes(), (1, 1), "two connections, and the second resumed the first's session");
}

#[tokio::test]
async fn a_certificate_is_for_its_name_and_from_a_known_root() {
    let receiver = Secured::start(&[TAKEN]).await;
    let answer = send(&trusting(), "127.0.0.1", receiver.port).await;
    assert!(answer.describe().starts_with("tls: invalid peer certificate: "), "{}", answer.describe());
    // As programs make it: the system's roots do not know this one.
    let strict = WebhookClient::new(settings(), Clock::system()).unwrap();
    let answer = send(&strict, "localhost", receiver.port).await;
    assert!(answer.describe().starts_with("tls: invalid peer certificate: UnknownIssuer"), "{}", answer.describe());
    assert!(!answer.describe().contains("token"));
    assert_eq!(receiver.handshakes(), (0, 0));
}

#[tokio::test]
async fn a_body_that_ends_with_the_connection_is_read_over_tls_too() {
    let receiver = Secured::start(&["HTTP/1.1 202 Accepted\r\n\r\nlater"]).await;
    let Answer::Status { code: 202, snippet, .. } = send(&trusting(), "localhost", receiver.port).await else {
        panic!("it was answered");
    };
    assert_eq!(snippet.as_str(), "later");
}

#[test]
fn a_user_agent_is_one_line() {
    let forged = ClientSettings { user_agent: "OneRing\r\nX: y".to_owned(), ..settings() };
    assert!(matches!(WebhookClient::new(forged, Clock::system()), Err(ClientError::UserAgent)));
}
