//! New connections: to addresses that the guard has checked, and no others.

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

use crate::endpoint::Origin;
use crate::failure::Broken;
use crate::guard::AddressGuard;
use crate::stream::Stream;

/// A receiver's machine that has gone without a word is found out about this long after its last one, and some probes.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Makes connections.
pub(crate) struct Connector {
    pub(crate) guard: AddressGuard,
    /// What name resolution, connection and TLS handshake may take together.
    pub(crate) patience: Duration,
    pub(crate) tls: TlsConnector,
}

/// How connections are secured: the platform's roots, sessions that are resumed, HTTP/1.1 and nothing else.
///
/// # Errors
/// As when the system has no root certificates.
pub(crate) fn tls_config() -> Result<ClientConfig, rustls::Error> {
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
    /// Connects, within the patience.
    pub(crate) async fn connect(&self, origin: &Origin) -> Result<Stream, Broken> {
        tokio::time::timeout(self.patience, self.connect_unhurried(origin)).await.unwrap_or(Err(Broken::NotConnected))
    }

    async fn connect_unhurried(&self, origin: &Origin) -> Result<Stream, Broken> {
        let addresses = self.guard.addresses_of(origin).await?;
        let stream = self.connect_to_one(&addresses, origin.port).await?;
        // Without these it is slower to send, or to find out that nobody is there; it can be sent over all the same.
        let _ = stream.set_nodelay(true);
        let _ = SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE));
        if !origin.secure {
            return Ok(Stream::Plain(stream));
        }
        let name = server_name(&origin.host)?;
        let secured = self.tls.connect(name, stream).await.map_err(Broken::Handshake)?;
        Ok(Stream::Tls(Box::new(secured)))
    }

    /// Tries them in order. All but the last have half of what is left of the patience, so that one that does not answer
    /// leaves time for the others.
    async fn connect_to_one(&self, addresses: &[IpAddr], port: u16) -> Result<TcpStream, Broken> {
        let mut patience = self.patience;
        let mut last = Broken::NotConnected;
        for (at, address) in addresses.iter().enumerate() {
            let connecting = TcpStream::connect(SocketAddr::new(*address, port));
            if at + 1 < addresses.len() {
                patience /= 2;
            }
            match tokio::time::timeout(patience, connecting).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => last = Broken::Connect(error),
                Err(_) => last = Broken::NotConnected,
            }
        }
        Err(last)
    }
}

fn server_name(host: &Host<String>) -> Result<ServerName<'static>, Broken> {
    match host {
        Host::Domain(name) => {
            ServerName::try_from(name.clone()).map_err(|error| Broken::Handshake(io::Error::other(error)))
        }
        Host::Ipv4(address) => Ok(ServerName::from(IpAddr::from(*address))),
        Host::Ipv6(address) => Ok(ServerName::from(IpAddr::from(*address))),
    }
}
