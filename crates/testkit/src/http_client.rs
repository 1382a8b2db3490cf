//! An HTTP client for tests.

use std::time::Duration;

/// A client that follows no redirect, uses no proxy, and gives up after 30 s.
///
/// # Panics
/// Never in practice: the client has no settings that can be wrong.
#[must_use]
pub fn http_client() -> reqwest::Client {
    // An error means that it is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .timeout(Duration::from_secs(30))
        .build()
        .expect("a client without special settings can be built")
}
