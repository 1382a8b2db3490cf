//! Passing calls on to a product that is reached over TLS.

use std::sync::Arc;

use onering_testkit::{Receiver, Reply, eventually};
use reqwest::Method;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use url::Url;

use crate::support::{SOON, Stack, send};

/// A root that no system has, and a certificate for `localhost` signed by it.
const TLS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../crates/adapters/webhook-client/testdata/tls");

/// A product behind TLS.
struct SecuredProduct {
    product: Receiver,
    port: u16,
    accepting: JoinHandle<()>,
}

impl SecuredProduct {
    async fn start() -> Self {
        let product = Receiver::start().await;
        let plain = Url::parse(&product.url("/")).unwrap().port().unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from_pem_file(format!("{TLS}/server.pem")).unwrap()],
                PrivateKeyDer::from_pem_file(format!("{TLS}/server.key")).unwrap(),
            )
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let accepting = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    // Whoever does not trust the certificate ends the handshake.
                    let Ok(mut secured) = acceptor.accept(stream).await else { return };
                    let mut product = TcpStream::connect(("127.0.0.1", plain)).await.unwrap();
                    let _ended = copy_bidirectional(&mut secured, &mut product).await;
                });
            }
        });
        Self { product, port, accepting }
    }

    /// A gateway with a route to the product, and one that calls it by a name its certificate does not have.
    async fn gateway(&self, roots: &str) -> Stack {
        let route = |name: &str, host: &str| {
            format!("[[route]]\nprefix = \"/v1/external/{name}\"\nupstream = \"https://{host}:{}/{name}\"\n", self.port)
        };
        let routes = route("rings", "localhost") + &route("misnamed", "127.0.0.1");
        let further = vec![("SSL_CERT_FILE", format!("{TLS}/{roots}"))];
        Stack::start_with(|_, _| further, &routes).await
    }
}

impl Drop for SecuredProduct {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn is_refused(stack: &Stack, path: &str, why: &str) {
    let key = stack.usual_key().await;
    let refused = stack.get(path, &key).await;
    assert_eq!((refused.status.as_u16(), refused.problem().as_str()), (502, "UPSTREAM_UNAVAILABLE"));
    refused.quota();
    assert!(!String::from_utf8_lossy(&refused.body).contains("certificate"), "that is none of the partner's business");
    eventually(SOON, "the log says why", async || stack.gateway.logs().contains(why)).await;
}

#[tokio::test]
async fn calls_go_to_a_product_over_tls_and_answers_come_back() {
    let secured = SecuredProduct::start().await;
    let stack = secured.gateway("ca.pem").await;
    let key = stack.usual_key().await;
    let (asked, answered) = ("q".repeat(100_000), "a".repeat(1_000_000));
    secured.product.otherwise(Reply::status(201).body(answered.clone()));
    // Some of them over a connection that was kept.
    for _ in 0..4 {
        let answer = send(stack.with_key(Method::POST, "/rings/7", &key).body(asked.clone())).await;
        assert_eq!(answer.status, 201);
        assert!(answer.body == answered.as_bytes(), "{} bytes came back", answer.body.len());
    }
    let received = secured.product.requests();
    assert_eq!(received.len(), 4);
    for request in received {
        assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/rings/7"));
        assert_eq!(request.header("host"), Some(format!("localhost:{}", secured.port).as_str()));
        assert!(request.text() == asked);
    }
    is_refused(&stack, "/misnamed", "certificate").await;
    assert_eq!(secured.product.count(), 4);
}

#[tokio::test]
async fn a_product_whose_certificate_nobody_vouches_for_is_told_nothing() {
    let secured = SecuredProduct::start().await;
    // The only root is another certificate than the one that vouches for it.
    let stack = secured.gateway("server.pem").await;
    is_refused(&stack, "/rings", "certificate").await;
    assert_eq!(secured.product.count(), 0);
}
