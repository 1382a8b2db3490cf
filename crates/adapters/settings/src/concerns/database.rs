//! Postgres: its URL, which is a secret, and how its connections are protected.

use std::fmt;
use std::path::PathBuf;

use url::Url;

use super::Profile;
use crate::reader::Reader;
use crate::secret::Secret;
use crate::table::{DATABASE_POOL_SIZE, DATABASE_URL};

/// Where Postgres is and how to connect to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    /// The URL, in the form the driver understands.
    pub url: DatabaseUrl,
    /// Connections opened at most.
    pub pool_size: usize,
    /// How they are protected.
    pub tls: Tls,
}

/// How connections are protected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// What the URL's `sslmode` asks for.
    pub mode: SslMode,
    /// The file of trusted roots (`sslrootcert`); `None` means the system's.
    pub root_certificate: Option<PathBuf>,
}

/// libpq's `sslmode`, weakest first. Without one libpq takes `prefer`, and so does this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SslMode {
    /// No TLS.
    Disable,
    /// TLS when the server offers it, plain text otherwise.
    Prefer,
    /// TLS; whose certificate it is does not matter.
    Require,
    /// TLS with a certificate of a trusted root.
    VerifyCa,
    /// TLS with a certificate of a trusted root for this host.
    VerifyFull,
}

impl SslMode {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "disable" => Self::Disable,
            "allow" | "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => return None,
        })
    }

    /// The nearest of the three modes that the driver's URLs know.
    fn of_driver(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Prefer => "prefer",
            Self::Require | Self::VerifyCa | Self::VerifyFull => "require",
        }
    }
}

/// A Postgres URL. `Debug` and `Display` show it without password and parameters.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl {
    text: Secret,
    shown: String,
}

impl DatabaseUrl {
    /// The whole URL for the driver. Never log it. Its `sslmode` is one the driver knows: what goes beyond
    /// that is in [`Database::tls`].
    #[must_use]
    pub fn expose(&self) -> &str {
        self.text.expose()
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl Database {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let parsed = reader.parsed_by(&DATABASE_URL, Parsed::parse);
        let pool_size = reader.whole(&DATABASE_POOL_SIZE);
        let parsed = parsed?;
        let weak = parsed.tls.mode < SslMode::Require && !parsed.unix_socket;
        if reader.profile() == Profile::Production && weak {
            reader.refuse(
                &DATABASE_URL,
                "its sslmode allows connections without TLS, which the production profile refuses",
                "add sslmode=verify-full (or require, or verify-ca), connect over a Unix socket, \
                 or set ONERING_PROFILE=dev on a development machine",
            );
        }
        Some(Self { url: parsed.url, pool_size: pool_size?, tls: parsed.tls })
    }
}

/// A URL taken apart.
struct Parsed {
    url: DatabaseUrl,
    tls: Tls,
    unix_socket: bool,
}

impl Parsed {
    /// The errors do not quote the URL.
    fn parse(text: &str) -> Result<Self, &'static str> {
        let url = Url::parse(text).map_err(|_| "is not a URL")?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err("does not begin with postgres:// or postgresql://");
        }
        let parameter = |name| url.query_pairs().find_map(|(key, value)| (key == name).then(|| value.into_owned()));
        let host = parameter("host").or_else(|| url.host_str().map(str::to_owned)).unwrap_or_default();
        if host.is_empty() {
            return Err("names no host");
        }
        let mode = match parameter("sslmode") {
            Some(mode) => SslMode::parse(&mode).ok_or("has an sslmode that Postgres does not know")?,
            None => SslMode::Prefer,
        };
        let root_certificate = parameter("sslrootcert").filter(|path| path != "system").map(PathBuf::from);
        Ok(Self {
            unix_socket: host.starts_with('/') || host.to_ascii_lowercase().starts_with("%2f"),
            url: DatabaseUrl { text: Secret::new(for_driver(text, mode)), shown: shown(&url, &host) },
            tls: Tls { mode, root_certificate },
        })
    }
}

/// The URL with TLS parameters the driver knows. Works on the text, so that no other parameter is re-encoded.
fn for_driver(text: &str, mode: SslMode) -> String {
    let (address, query) = text.split_once('?').unwrap_or((text, ""));
    let mut kept = format!("{address}?sslmode={}", mode.of_driver());
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let key = pair.split_once('=').map_or(pair, |(key, _)| key);
        if !matches!(key, "sslmode" | "sslrootcert") {
            kept.push('&');
            kept.push_str(pair);
        }
    }
    kept
}

fn shown(url: &Url, host: &str) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("postgres://{host}{port}{}", url.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Parsed {
        Parsed::parse(text).unwrap_or_else(|error| panic!("{text} {error}"))
    }

    #[test]
    fn the_password_is_never_shown() {
        let url = parse("postgres://app:hunter2@db:5433/onering?sslmode=require").url;
        assert_eq!(format!("{url} {url:?}"), "postgres://db:5433/onering postgres://db:5433/onering");
        assert!(url.expose().contains("hunter2"));
    }

    #[test]
    fn the_driver_gets_a_mode_it_knows_and_no_other_change() {
        let parsed = parse(
            "postgresql://a@db/d?options=-c%20a%3Db&sslmode=verify-full&sslrootcert=/etc/ca.pem&connect_timeout=3",
        );
        assert_eq!(parsed.url.expose(), "postgresql://a@db/d?sslmode=require&options=-c%20a%3Db&connect_timeout=3");
        let tls = Tls { mode: SslMode::VerifyFull, root_certificate: Some("/etc/ca.pem".into()) };
        assert_eq!(parsed.tls, tls);
    }

    #[test]
    fn without_a_mode_it_is_prefer_as_in_libpq() {
        assert_eq!(parse("postgres://db/d").tls, Tls { mode: SslMode::Prefer, root_certificate: None });
    }

    #[test]
    fn both_ways_to_name_a_unix_socket_are_seen() {
        assert!(parse("postgres://a@%2Frun%2Fpg/d").unix_socket);
        assert!(parse("postgres:///d?host=/run/pg&user=a").unix_socket);
        assert!(!parse("postgres://127.0.0.1/d").unix_socket);
    }

    #[test]
    fn what_is_no_postgres_url_is_refused_without_quoting_it() {
        for text in ["hunter2", "mysql://hunter2@db/d", "postgres:///d", "postgres://db/d?sslmode=hunter2"] {
            let Err(error) = Parsed::parse(text) else { panic!("{text} was taken") };
            assert!(!error.contains("hunter2"));
        }
    }
}
