//! New connections, to addresses that somebody else has chosen.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::Host;

use crate::origin::Origin;
use crate::stream::Stream;

/// A machine that has gone without a word is found out about this long after its last one, and some probes.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Makes connections. Cheap to clone.
#[derive(Clone)]
pub struct Connector {
    patience: Duration,
    tls: TlsConnector,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum Unconnected {
    /// None in time.
    #[error("no connection in time")]
    Late,
    /// None at all.
    #[error(transparent)]
    Tcp(io::Error),
    /// The TLS handshake came to no end.
    #[error(transparent)]
    Handshake(io::Error),
}

/// How connections are secured: the platform's roots, sessions that are resumed, HTTP/1.1 and nothing else.
///
/// # Errors
/// As when the system has no root certificates.
pub fn tls_config() -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = rustls_platform_verifier::Verifier::new(Arc::clone(&provider))?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

impl Connector {
    /// Makes connections that are secured in this way. `patience` is what one may take, from its name's resolution to the end
    /// of its TLS handshake; who resolves names keeps the time.
    #[must_use]
    pub fn new(patience: Duration, tls: ClientConfig) -> Self {
        Self { patience, tls: Arc::new(tls).into() }
    }

    /// What a connection may take.
    #[must_use]
    pub const fn patience(&self) -> Duration {
        self.patience
    }

    /// Connects to one of the origin's addresses.
    ///
    /// # Errors
    /// Why there is no connection to any of them.
    pub async fn connect(&self, origin: &Origin, addresses: &[IpAddr]) -> Result<Stream, Unconnected> {
        let stream = self.connect_to_one(addresses, origin.port).await?;
        // Without these it is slower to send, or to find out that nobody is there; it can be sent over all the same.
        let _ = stream.set_nodelay(true);
        let _ = SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE));
        if !origin.secure {
            return Ok(Stream::Plain(stream));
        }
        let name = server_name(&origin.host)?;
        let secured = self.tls.connect(name, stream).await.map_err(Unconnected::Handshake)?;
        Ok(Stream::Tls(Box::new(secured)))
    }

    /// Tries them in order. All but the last have half of what is left of the patience, so that one that does not answer
    /// leaves time for the others.
    async fn connect_to_one(&self, addresses: &[IpAddr], port: u16) -> Result<TcpStream, Unconnected> {
        let mut patience = self.patience;
        let mut last = Unconnected::Late;
        for (at, address) in addresses.iter().enumerate() {
            let connecting = TcpStream::connect(SocketAddr::new(*address, port));
            if at + 1 < addresses.len() {
                patience /= 2;
            }
            match tokio::time::timeout(patience, connecting).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = Unconnected::Tcp(error),
                Err(_) => last = Unconnected::Late,
            }
        }
        Err(last)
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("patience", &self.patience).finish_non_exhaustive()
    }
}

fn server_name(host: &Host<String>) -> Result<ServerName<'static>, Unconnected> {
    match host {
        Host::Domain(name) => {
            ServerName::try_from(name.clone()).map_err(|error| Unconnected::Handshake(io::Error::other(error)))
        }
        Host::Ipv4(address) => Ok(ServerName::from(IpAddr::from(*address))),
        Host::Ipv6(address) => Ok(ServerName::from(IpAddr::from(*address))),
    }
}
