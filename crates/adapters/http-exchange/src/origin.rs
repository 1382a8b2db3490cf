//! [`Origin`]: whom a connection is to.

use url::{Host, Url};

/// Whom a connection is to. Connections are shared by what has the same one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    /// Over TLS.
    pub secure: bool,
    /// The name that is resolved, or the address.
    pub host: Host<String>,
    /// The port.
    pub port: u16,
}

impl Origin {
    /// The origin of an `http` or `https` URL; `None` where it has no host or port.
    #[must_use]
    pub fn of(url: &Url) -> Option<Self> {
        Some(Self { secure: url.scheme() == "https", host: url.host()?.to_owned(), port: url.port_or_known_default()? })
    }
}
