//! Where webhooks may go.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use ipnet::IpNet;
use onering_http_exchange::Origin;
use url::{Host, Url};

use crate::address::{Refusal, inner, own_refusal};
use crate::look_up::{LookUp, SystemLookUp};

/// Why a target is refused. The texts name no address that the guard learned from DNS: the reader may be a stranger who
/// would map a private network with them.
#[derive(Debug, thiserror::Error)]
pub enum GuardError {
    /// Neither `https`, nor `http` where that is allowed.
    #[error("the URL must begin with {wanted}")]
    Scheme {
        /// What is allowed, as in `https://`.
        wanted: &'static str,
    },
    /// `user:password@` in the URL.
    #[error("the URL must not contain a user name or password")]
    UserInfo,
    /// No host, or port 0.
    #[error("the URL has no usable host and port")]
    NoHost,
    /// The URL itself names an address that is out of bounds.
    #[error("the URL's address is {refusal}; only public addresses are allowed")]
    Literal {
        /// Why.
        refusal: Refusal,
    },
    /// Every address of the name is out of bounds.
    #[error("the host resolves to an address that is {refusal}; only public addresses are allowed")]
    Resolved {
        /// Why the first of them.
        refusal: Refusal,
    },
    /// The name has no address.
    #[error("the host has no address")]
    NoAddress,
    /// The resolver failed.
    #[error("the host could not be resolved")]
    Unresolvable(#[source] io::Error),
}

/// The judge of targets. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AddressGuard {
    rules: Arc<Rules>,
}

#[derive(Debug)]
struct Rules {
    allow_http: bool,
    allow: Vec<IpNet>,
    look_up: Arc<dyn LookUp>,
}

impl AddressGuard {
    /// A guard that lets everything public through over `https`, and besides that what the two settings open.
    ///
    /// `allow` opens networks that are otherwise refused; a network of wrapped addresses (NAT64, say) opens only those
    /// whose inner address is public or open itself. Which profile may open anything is the settings' business.
    #[must_use]
    pub fn new(allow_http: bool, allow: Vec<IpNet>) -> Self {
        Self::with_look_up(allow_http, allow, Arc::new(SystemLookUp))
    }

    /// As [`Self::new`], resolving names by other means than the system's.
    #[must_use]
    pub fn with_look_up(allow_http: bool, allow: Vec<IpNet>, look_up: Arc<dyn LookUp>) -> Self {
        Self { rules: Arc::new(Rules { allow_http, allow, look_up }) }
    }

    /// Judges an address and the one within it.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn check_address(&self, address: IpAddr) -> Result<(), Refusal> {
        self.check_one(address)?;
        inner(address).map_or(Ok(()), |inner| self.check_one(inner.into()))
    }

    fn check_one(&self, address: IpAddr) -> Result<(), Refusal> {
        match own_refusal(address) {
            Some(refusal) if !self.rules.allow.iter().any(|net| net.contains(&address)) => Err(refusal),
            _ => Ok(()),
        }
    }

    /// Judges what the URL says by itself: scheme, user information, and a literal address in any of its spellings
    /// (`url` has turned decimal, octal, hexadecimal and shortened ones into plain ones).
    ///
    /// # Errors
    /// Why it is refused.
    pub fn check_url(&self, url: &Url) -> Result<(), GuardError> {
        if !matches!((url.scheme(), self.rules.allow_http), ("https", _) | ("http", true)) {
            return Err(self.other_scheme());
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(GuardError::UserInfo);
        }
        if url.port_or_known_default().is_none_or(|port| port == 0) {
            return Err(GuardError::NoHost);
        }
        let literal = literal_of(url).ok_or(GuardError::NoHost)?;
        literal.map_or(Ok(()), |address| self.check_address(address)).map_err(|refusal| GuardError::Literal { refusal })
    }

    /// As [`Self::check_url`], and that the host has an address now that may be connected to. For telling the maker of a
    /// subscription at once; every attempt checks again.
    ///
    /// # Errors
    /// Why it is refused, or that the name does not resolve.
    pub async fn check_resolves(&self, url: &Url) -> Result<(), GuardError> {
        self.check_url(url)?;
        match url.host() {
            Some(Host::Domain(host)) if literal_of(url) == Some(None) => self.resolve_checked(host).await.map(|_| ()),
            _ => Ok(()),
        }
    }

    /// The addresses of this origin that may be connected to; at least one. What was judged when its URL was looked at is
    /// judged again: this is the one way to an address.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) async fn addresses_of(&self, origin: &Origin) -> Result<Vec<IpAddr>, GuardError> {
        if !origin.secure && !self.rules.allow_http {
            return Err(self.other_scheme());
        }
        let literal = match &origin.host {
            Host::Domain(name) => return self.resolve_checked(name).await,
            Host::Ipv4(address) => IpAddr::from(*address),
            Host::Ipv6(address) => IpAddr::from(*address),
        };
        self.check_address(literal).map_err(|refusal| GuardError::Literal { refusal })?;
        Ok(vec![literal])
    }

    fn other_scheme(&self) -> GuardError {
        GuardError::Scheme { wanted: if self.rules.allow_http { "https:// or http://" } else { "https://" } }
    }

    /// The addresses of `host` that may be connected to; at least one.
    async fn resolve_checked(&self, host: &str) -> Result<Vec<IpAddr>, GuardError> {
        let addresses = self.rules.look_up.look_up(host).await.map_err(GuardError::Unresolvable)?;
        let mut first_refusal = None;
        let mut allowed = Vec::with_capacity(addresses.len());
        for address in addresses {
            match self.check_address(address) {
                Ok(()) => allowed.push(address),
                Err(refusal) => {
                    tracing::debug!(host, %address, %refusal, "refused an address of a webhook's host");
                    first_refusal.get_or_insert(refusal);
                }
            }
        }
        match first_refusal {
            _ if !allowed.is_empty() => Ok(allowed),
            Some(refusal) => Err(GuardError::Resolved { refusal }),
            None => Err(GuardError::NoAddress),
        }
    }
}

/// The address that the URL names without DNS, if it does; `None` when it has no host at all.
///
/// The names of the machine itself count as its address: what they resolve to is settled (RFC 6761).
#[expect(clippy::option_option, reason = "no host, a host that is a name, a host that is an address")]
fn literal_of(url: &Url) -> Option<Option<IpAddr>> {
    Some(match url.host()? {
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
        Host::Domain(name) => {
            let name = name.strip_suffix('.').unwrap_or(name);
            let last = name.rsplit('.').next().unwrap_or_default();
            if last.eq_ignore_ascii_case("localhost") { Some(Ipv4Addr::LOCALHOST.into()) } else { name.parse().ok() }
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn strict() -> AddressGuard {
        AddressGuard::new(false, Vec::new())
    }

    fn dev() -> AddressGuard {
        AddressGuard::new(true, vec!["127.0.0.0/8".parse().unwrap()])
    }

    fn check(guard: &AddressGuard, url: &str) -> Result<(), GuardError> {
        guard.check_url(&Url::parse(url).unwrap())
    }

    #[test]
    fn public_https_passes() {
        for url in
            ["https://example.com/hook", "https://example.com:8443/?x=1", "https://8.8.8.8/", "https://[2606:4700::1]/"]
        {
            check(&strict(), url).unwrap();
        }
    }

    #[test]
    fn other_schemes_and_user_information_do_not() {
        for url in
            ["http://example.com/", "ftp://example.com/", "file:///etc/passwd", "gopher://example.com/", "data:,x"]
        {
            assert!(matches!(check(&strict(), url), Err(GuardError::Scheme { .. })), "{url}");
        }
        for url in ["https://user@example.com/", "https://user:pw@example.com/", "https://:pw@example.com/"] {
            assert!(matches!(check(&strict(), url), Err(GuardError::UserInfo)), "{url}");
        }
        assert!(matches!(check(&strict(), "https://example.com:0/"), Err(GuardError::NoHost)));
    }

    #[test]
    fn every_spelling_of_a_literal_is_seen_through() {
        let spellings = [
            "127.0.0.1",
            "2130706433",
            "0x7f000001",
            "0x7F.1",
            "0177.0.0.1",
            "017700000001",
            "127.1",
            "127.0.1",
            "127.0.0.1.",
            "１２７.０.０.１",
            "%31%32%37.0.0.1",
            "127。0。0。1",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[0:0:0:0:0:ffff:7f00:1]",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]",
            "0",
            "0.0.0.0",
            "[::]",
            "169.254.169.254",
            "0xa9fea9fe",
            "2852039166",
            "localhost",
            "LOCALHOST.",
            "sub.localhost",
        ];
        for host in spellings {
            let result = check(&strict(), &format!("https://{host}/latest/meta-data"));
            assert!(matches!(result, Err(GuardError::Literal { .. })), "{host}: {result:?}");
        }
    }

    #[test]
    fn the_dev_guard_opens_loopback_and_nothing_else() {
        for url in
            ["http://127.0.0.1:9000/", "http://localhost:9000/", "https://127.8.8.8/", "http://[::ffff:127.0.0.1]/"]
        {
            check(&dev(), url).unwrap();
        }
        for url in ["http://10.0.0.1/", "http://[::1]/", "http://169.254.169.254/"] {
            assert!(matches!(check(&dev(), url), Err(GuardError::Literal { .. })), "{url}");
        }
    }

    #[test]
    fn opening_a_wrapper_does_not_open_what_it_wraps() {
        let everything_v6 = AddressGuard::new(false, vec!["::/0".parse().unwrap()]);
        for (address, open) in [("::1", true), ("fd00::1", true), ("::ffff:127.0.0.1", false), ("2002:7f00:1::", false)]
        {
            assert_eq!(everything_v6.check_address(address.parse().unwrap()).is_ok(), open, "{address}");
        }
    }

    #[test]
    fn refusals_of_resolved_addresses_do_not_name_them() {
        let text = GuardError::Resolved { refusal: Refusal::Private }.to_string();
        assert!(text.contains("private") && !text.chars().any(|c| c.is_ascii_digit()), "{text}");
    }

    proptest! {
        #[test]
        fn no_spelling_gets_a_refused_address_through(bits: u32, form in 0_usize..7) {
            let address = Ipv4Addr::from_bits(bits);
            let [a, b, c, d] = address.octets();
            let host = match form {
                0 => address.to_string(),
                1 => bits.to_string(),
                2 => format!("0x{bits:x}"),
                3 => format!("0{bits:o}"),
                4 => format!("0x{a:x}.0{b:o}.{c}.{d}"),
                5 => format!("{a}.{b}.{}", u32::from(c) << 8 | u32::from(d)),
                _ => format!("[::ffff:{address}]"),
            };
            let url = Url::parse(&format!("https://{host}/")).unwrap();
            let by_address = strict().check_address(address.into()).is_ok();
            prop_assert_eq!(strict().check_url(&url).is_ok(), by_address, "{} is {}", host, address);
        }

        #[test]
        fn any_text_that_is_a_url_is_judged_without_panic(text in "\\PC{0,60}") {
            if let Ok(url) = Url::parse(&format!("https://{text}")) {
                let _ = strict().check_url(&url);
            }
        }
    }
}
