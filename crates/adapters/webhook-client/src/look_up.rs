//! Name resolution, as something a test can answer in its own way.

use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;

/// How long a name may take to resolve.
const PATIENCE: Duration = Duration::from_secs(5);
/// More addresses than this of one name are not looked at.
const MOST_ADDRESSES: usize = 32;

/// A look-up under way.
pub type LookingUp = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Turns a host name into addresses. What it answers is trusted in nothing: the guard checks every address.
pub trait LookUp: Send + Sync + std::fmt::Debug + 'static {
    /// Looks the name up.
    fn look_up(&self, host: &str) -> LookingUp;
}

/// The system's resolver (`getaddrinfo`, so `/etc/hosts` and search domains count as they do for everybody else).
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemLookUp;

impl LookUp for SystemLookUp {
    fn look_up(&self, host: &str) -> LookingUp {
        let host = host.to_owned();
        Box::pin(async move {
            let answer = tokio::time::timeout(PATIENCE, tokio::net::lookup_host((host, 0))).await;
            let addresses =
                answer.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "the name server is slow"))??;
            Ok(addresses.map(|address| address.ip()).take(MOST_ADDRESSES).collect())
        })
    }
}
