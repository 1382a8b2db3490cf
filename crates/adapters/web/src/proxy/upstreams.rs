//! The places one route leads to.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use onering_http_exchange::Origin;
use url::{Position, Url};

/// One or more equal upstreams, taken in turn.
#[derive(Debug)]
pub struct Upstreams {
    all: Vec<Upstream>,
    turn: AtomicUsize,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Upstream {
    /// Its URL; the path stands before those of requests.
    pub(super) url: Url,
    /// Whom to connect to.
    pub(super) origin: Arc<Origin>,
}

impl Upstream {
    fn at(url: Url) -> Option<Self> {
        Some(Self { origin: Origin::of(&url)?.into(), url })
    }

    /// `Host`: without the port where it is the scheme's own.
    pub(super) fn host(&self) -> &str {
        &self.url[Position::BeforeHost..Position::AfterPort]
    }
}

/// Why a list of URLs cannot be upstreams.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoUpstream {
    /// The list is empty.
    #[error("no upstream is named")]
    Empty,
    /// Only `http` and `https` can be forwarded to, without credentials, query or fragment in the URL.
    #[error("{url} is not the http or https URL of an upstream (no user, query or fragment)")]
    NotForwardable {
        /// The URL, without its password.
        url: String,
    },
}

impl Upstreams {
    /// Upstreams at these URLs. A path in a URL is put before the path of each request.
    ///
    /// # Errors
    /// Where the list is empty or a URL cannot be forwarded to.
    pub fn new(urls: impl IntoIterator<Item = Url>) -> Result<Self, NoUpstream> {
        let urls: Vec<Url> = urls.into_iter().collect();
        if urls.is_empty() {
            return Err(NoUpstream::Empty);
        }
        if let Some(bad) = urls.iter().find(|url| !is_forwardable(url)) {
            return Err(NoUpstream::NotForwardable { url: shown(bad) });
        }
        let all = urls.into_iter().filter_map(Upstream::at).collect();
        Ok(Self { all, turn: AtomicUsize::new(0) })
    }

    /// All upstreams, beginning with the one whose turn it is.
    pub(super) fn in_turn(&self) -> impl Iterator<Item = &Upstream> {
        // One alone needs no turns, which all threads would write to.
        let turn = if self.all.len() > 1 { self.turn.fetch_add(1, Ordering::Relaxed) } else { 0 };
        let first = turn % self.all.len();
        self.all[first..].iter().chain(&self.all[..first])
    }
}

fn is_forwardable(url: &Url) -> bool {
    let bare =
        url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
    matches!(url.scheme(), "http" | "https") && url.has_host() && bare
}

fn shown(url: &Url) -> String {
    format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    #[test]
    fn each_has_its_turn_and_the_others_stand_by() {
        let upstreams = Upstreams::new([url("http://a"), url("http://b"), url("http://c")]).unwrap();
        let hosts = || upstreams.in_turn().map(|one| one.host().to_owned()).collect::<Vec<_>>().join("");
        assert_eq!([hosts(), hosts(), hosts(), hosts()], ["abc", "bca", "cab", "abc"]);
    }

    #[test]
    fn what_cannot_be_forwarded_to_is_refused_without_its_secrets() {
        assert_eq!(Upstreams::new([]).unwrap_err(), NoUpstream::Empty);
        for bad in ["ftp://a", "http://user:hunter2@a", "http://a/?q=hunter2", "http://a/#x", "unix:/run/x"] {
            let error = Upstreams::new([url(bad)]).unwrap_err().to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
