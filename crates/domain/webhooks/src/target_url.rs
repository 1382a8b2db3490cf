use std::fmt;
use std::str::FromStr;

use url::Url;

/// Where deliveries are POSTed: an absolute `http` or `https` URL with a host, without user name, password or fragment,
/// at most 2048 bytes.
///
/// Whether `http` and the host's addresses are allowed is the address guard's decision, not this type's. The path and
/// query may carry a receiver's own credentials, so `Debug` shows the origin only.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TargetUrl(Url);

/// Why a text is no target. The rule as a sentence, for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct TargetUrlError(&'static str);

impl TargetUrl {
    /// The most bytes a URL may have, in its normalised form.
    pub const MAX_LENGTH: usize = 2048;

    /// The URL as text, in its normalised form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The parsed URL.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.0
    }

    /// Scheme, host and port: what may be shown in a log.
    #[must_use]
    pub fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }

    fn check(text: &str) -> Result<Self, TargetUrlError> {
        // Before parsing: that a parser would drop them quietly does not make them part of a URL.
        if text.len() > Self::MAX_LENGTH {
            return Err(TargetUrlError("url has at most 2048 characters."));
        }
        if text.contains(|character: char| character.is_control() || character.is_whitespace()) {
            return Err(TargetUrlError("url must not contain spaces or control characters."));
        }
        let url = Url::parse(text)
            .map_err(|_| TargetUrlError("url must be an absolute URL, such as https://a.example/hooks."))?;
        if !matches!(url.scheme(), "https" | "http") || !url.has_host() {
            return Err(TargetUrlError("url must begin with https://."));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(TargetUrlError("url must not contain a user name or password; use headers for credentials."));
        }
        if url.fragment().is_some() {
            return Err(TargetUrlError("url must not contain a fragment (#…): it would never be sent."));
        }
        if url.as_str().len() > Self::MAX_LENGTH {
            return Err(TargetUrlError("url has at most 2048 characters once its special characters are encoded."));
        }
        Ok(Self(url))
    }
}

impl FromStr for TargetUrl {
    type Err = onering_problem::Problem;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::check(text).map_err(|error| onering_problem::Problem::invalid("url", error.to_string()))
    }
}

impl fmt::Debug for TargetUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "TargetUrl({}…)", self.origin())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn good_targets() {
        for (text, kept) in [
            ("https://a.example/hooks?x=1", "https://a.example/hooks?x=1"),
            ("HTTPS://A.Example", "https://a.example/"),
            ("http://127.0.0.1:9000/webhook", "http://127.0.0.1:9000/webhook"),
            ("https://[::1]/", "https://[::1]/"),
            ("https://bücher.example/ü", "https://xn--bcher-kva.example/%C3%BC"),
        ] {
            assert_eq!(text.parse::<TargetUrl>().unwrap().as_str(), kept);
        }
    }

    #[test]
    fn bad_targets() {
        for text in [
            "",
            "a.example/hooks",
            "/hooks",
            "ftp://a.example/",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "https://",
            "https://user@a.example/",
            "https://:secret@a.example/",
            "https://a.example/#part",
            "https://a.example/a b",
            "https://a.exam\nple/",
            " https://a.example/",
            "https://a.example:99999/",
            &format!("https://a.example/{}", "x".repeat(2048)),
            &format!("https://a.example/{}", "ü".repeat(1000)),
        ] {
            let problem = text.parse::<TargetUrl>().unwrap_err();
            assert_eq!((problem.status(), problem.field.as_deref()), (422, Some("url")), "{text:?}");
        }
    }

    #[test]
    fn debug_shows_the_origin_only() {
        let target: TargetUrl = "https://a.example:8443/T0/secret?token=secret".parse().unwrap();
        assert_eq!(format!("{target:?}"), "TargetUrl(https://a.example:8443…)");
    }

    proptest! {
        #[test]
        fn what_is_taken_is_taken_again(text in "https?://[a-z0-9.:/?#@%é\\[\\]-]{0,40}|\\PC{0,40}") {
            if let Ok(target) = text.parse::<TargetUrl>() {
                prop_assert_eq!(target.as_str().parse::<TargetUrl>().unwrap(), target);
            }
        }
    }
}
