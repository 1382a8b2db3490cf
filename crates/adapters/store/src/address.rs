//! Where the database is, and how the way there is protected: libpq's six `sslmode`s, over rustls.

use std::fmt;
use std::path::{Path, PathBuf};

use onering_settings::SslMode;
use tokio_postgres::config::SslMode as DriverMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::StoreError;
use crate::certificates::client_config;

/// A parsed database address with what is needed to connect to it.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    pub(crate) config: tokio_postgres::Config,
    /// `None` for a plain connection.
    pub(crate) tls: Option<Tls>,
}

/// A ready TLS connector.
#[derive(Clone)]
pub(crate) struct Tls(pub(crate) MakeRustlsConnect);

impl fmt::Debug for Tls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Tls")
    }
}

impl Address {
    /// Takes an address as libpq does, with `sslmode` and `sslrootcert` in it.
    pub(crate) fn parse(text: &str) -> Result<Self, StoreError> {
        let (text, mode) = take(text, "sslmode=");
        let (text, roots) = take(&text, "sslrootcert=");
        let mode = match mode.as_deref() {
            Some("disable") => SslMode::Disable,
            None | Some("allow" | "prefer") => SslMode::Prefer,
            Some("require") => SslMode::Require,
            Some("verify-ca") => SslMode::VerifyCa,
            Some("verify-full") => SslMode::VerifyFull,
            Some(_) => return Err(problem("its sslmode is none that Postgres knows")),
        };
        let roots = roots.filter(|path| path != "system").map(PathBuf::from);
        Self::new(&text, mode, roots.as_deref())
    }

    /// Takes an address for the driver and, beside it, how to protect the connection.
    pub(crate) fn new(text: &str, mode: SslMode, roots: Option<&Path>) -> Result<Self, StoreError> {
        // The driver's own message names options and fields, never their values.
        let mut config: tokio_postgres::Config =
            text.parse().map_err(|wrong: tokio_postgres::Error| problem(&describe(&wrong)))?;
        config.ssl_mode(match mode {
            SslMode::Disable => DriverMode::Disable,
            SslMode::Prefer => DriverMode::Prefer,
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => DriverMode::Require,
        });
        let tls = match mode {
            SslMode::Disable => None,
            mode => Some(Tls(MakeRustlsConnect::new(client_config(mode, roots)?))),
        };
        Ok(Self { config, tls })
    }
}

pub(crate) fn problem(problem: &str) -> StoreError {
    StoreError::Address { problem: problem.to_owned() }
}

fn describe(problem: &tokio_postgres::Error) -> String {
    std::error::Error::source(problem).map_or_else(|| problem.to_string(), |cause| format!("{problem}: {cause}"))
}

/// Takes a parameter out of the text, because the driver refuses those it does not know. `key` ends with `=`.
fn take(text: &str, key: &str) -> (String, Option<String>) {
    let is_url = text.starts_with("postgres://") || text.starts_with("postgresql://");
    let (head, options, separator) = match text.split_once('?') {
        Some((head, options)) if is_url => (Some(head), options, "&"),
        None if is_url => return (text.to_owned(), None),
        _ => (None, text, " "),
    };
    let value = options.rsplit(separator).find_map(|option| option.strip_prefix(key)).map(str::to_owned);
    let kept: Vec<&str> = options.split(separator).filter(|option| !option.starts_with(key)).collect();
    let kept = kept.join(separator);
    let rest = match head {
        Some(head) if kept.is_empty() => head.to_owned(),
        Some(head) => format!("{head}?{kept}"),
        None => kept,
    };
    (rest, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_taken_out_of_both_forms() {
        let taken = |text| take(text, "sslmode=");
        let mode = |mode: &str| Some(mode.to_owned());
        assert_eq!(taken("postgres://a@b/c"), ("postgres://a@b/c".into(), None));
        assert_eq!(taken("postgres://a@b/c?sslmode=verify-full"), ("postgres://a@b/c".into(), mode("verify-full")));
        assert_eq!(
            taken("postgresql://a@b/c?application_name=x&sslmode=require&keepalives=1"),
            ("postgresql://a@b/c?application_name=x&keepalives=1".into(), mode("require"))
        );
        assert_eq!(taken("host=b user=a sslmode=disable"), ("host=b user=a".into(), mode("disable")));
    }

    #[test]
    fn the_driver_insists_on_tls_exactly_when_the_address_does() {
        for (mode, expected) in [
            ("?sslmode=disable", DriverMode::Disable),
            ("", DriverMode::Prefer),
            ("?sslmode=allow", DriverMode::Prefer),
            ("?sslmode=require", DriverMode::Require),
        ] {
            let address = Address::parse(&format!("postgres://a:b@localhost/c{mode}")).unwrap();
            assert_eq!(address.config.get_ssl_mode(), expected, "{mode}");
            assert_eq!(address.tls.is_some(), expected != DriverMode::Disable, "{mode}");
        }
        assert!(Address::parse("postgres://a@localhost/c?sslmode=sometimes").is_err());
        let missing = Address::parse("postgres://a@localhost/c?sslmode=verify-full&sslrootcert=/nonexistent/ca.pem");
        assert!(missing.unwrap_err().to_string().contains("/nonexistent/ca.pem"));
    }

    #[test]
    fn no_message_and_no_debug_text_shows_the_password() {
        let shown = format!("{:?}", Address::parse("postgres://a:hidden-word@localhost/c").unwrap());
        assert!(!shown.contains("hidden-word"), "{shown}");
        for bad in ["postgres://a:hidden-word@localhost:port/c", "postgres://a:hidden-word@localhost/c?nonsense=1"] {
            let error = Address::parse(bad).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("hidden-word"), "{error:?}");
        }
    }
}
