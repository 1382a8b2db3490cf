use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::header;

/// A way to sign a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// Stamp, event id and signature in one header.
    XWebhook,
    /// Standard Webhooks 1.0.
    StandardWebhooks,
    /// Standard Webhooks 1.0 with ed25519: receivers know a public key and can sign nothing themselves.
    StandardWebhooksV1a,
    /// Bare hex over stamp and body.
    TimestampBody,
}

/// The text names no scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a known signature scheme: use x-webhook, standard-webhooks, standard-webhooks-v1a or timestamp-body")]
pub struct UnknownScheme;

impl Scheme {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::XWebhook, Self::StandardWebhooks, Self::StandardWebhooksV1a, Self::TimestampBody];

    /// The word in rows and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::XWebhook => "x-webhook",
            Self::StandardWebhooks => "standard-webhooks",
            Self::StandardWebhooksV1a => "standard-webhooks-v1a",
            Self::TimestampBody => "timestamp-body",
        }
    }

    /// The schemes a received request is signed with, judged by its headers alone. Of those that are ours the one that
    /// signs the event's id.
    #[must_use]
    pub fn carried<'h>(find: impl Fn(&'static str) -> Option<&'h str>) -> Vec<Self> {
        let own = match find(header::SIGNATURE) {
            Some(value) if value.contains('=') => Some(Self::XWebhook),
            Some(_) => Some(Self::TimestampBody),
            None => find(header::SIGNATURE_TIMESTAMP_BODY).map(|_| Self::TimestampBody),
        };
        let standard = find(header::STANDARD_SIGNATURE).map_or_else(Vec::new, |value| {
            let has = |version| value.split(' ').any(|signature: &str| signature.starts_with(version));
            match (has("v1,"), has("v1a,")) {
                (true, true) => vec![Self::StandardWebhooks, Self::StandardWebhooksV1a],
                (false, true) => vec![Self::StandardWebhooksV1a],
                // A header without any known version is the plain scheme's, garbled.
                (_, false) => vec![Self::StandardWebhooks],
            }
        });
        own.into_iter().chain(standard).collect()
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl FromStr for Scheme {
    type Err = UnknownScheme;

    fn from_str(text: &str) -> Result<Self, UnknownScheme> {
        Self::ALL.into_iter().find(|scheme| scheme.as_str() == text).ok_or(UnknownScheme)
    }
}

impl Serialize for Scheme {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Scheme {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The schemes a subscription's requests are signed with: a set, never empty.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Schemes(u8);

impl Schemes {
    /// These schemes; `None` when there is none.
    #[must_use]
    pub fn new(schemes: impl IntoIterator<Item = Scheme>) -> Option<Self> {
        let bits = schemes.into_iter().fold(0, |bits, scheme| bits | scheme.bit());
        (bits != 0).then_some(Self(bits))
    }

    /// Whether `scheme` is one of them.
    #[must_use]
    pub const fn contains(self, scheme: Scheme) -> bool {
        self.0 & scheme.bit() != 0
    }

    /// The schemes, in a fixed order.
    pub fn iter(self) -> impl Iterator<Item = Scheme> {
        Scheme::ALL.into_iter().filter(move |scheme| self.contains(*scheme))
    }
}

impl Default for Schemes {
    /// `x-webhook` and `standard-webhooks` in the same request.
    fn default() -> Self {
        Self(Scheme::XWebhook.bit() | Scheme::StandardWebhooks.bit())
    }
}

impl From<Scheme> for Schemes {
    fn from(scheme: Scheme) -> Self {
        Self(scheme.bit())
    }
}

impl fmt::Debug for Schemes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.iter().map(Scheme::as_str)).finish()
    }
}

impl Serialize for Schemes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_scheme_are_the_same_thing() {
        for scheme in Scheme::ALL {
            assert_eq!(scheme.as_str().parse(), Ok(scheme));
            let json = serde_json::to_string(&scheme).unwrap();
            assert_eq!(serde_json::from_str::<Scheme>(&json).unwrap(), scheme);
        }
        assert_eq!("X-Webhook".parse::<Scheme>(), Err(UnknownScheme));
    }

    #[test]
    fn a_set_keeps_one_of_each_and_is_never_empty() {
        assert_eq!(Schemes::new([]), None);
        let twice = Schemes::new([Scheme::TimestampBody, Scheme::XWebhook, Scheme::TimestampBody]).unwrap();
        assert_eq!(serde_json::to_string(&twice).unwrap(), r#"["x-webhook","timestamp-body"]"#);
        assert_eq!(format!("{:?}", Schemes::default()), r#"{"x-webhook", "standard-webhooks"}"#);
    }

    #[test]
    fn the_headers_tell_the_schemes() {
        use Scheme::{StandardWebhooks, StandardWebhooksV1a, TimestampBody, XWebhook};
        let carried = |headers: &[(&str, &'static str)]| {
            Scheme::carried(|name| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| *value))
        };
        assert_eq!(carried(&[]), []);
        assert_eq!(carried(&[(header::SIGNATURE, "t=1,e=a,v1=00")]), [XWebhook]);
        assert_eq!(carried(&[(header::SIGNATURE, "00")]), [TimestampBody]);
        assert_eq!(carried(&[(header::SIGNATURE_TIMESTAMP_BODY, "00")]), [TimestampBody]);
        assert_eq!(carried(&[(header::STANDARD_SIGNATURE, "v1,AA==")]), [StandardWebhooks]);
        assert_eq!(carried(&[(header::STANDARD_SIGNATURE, "v1a,AA==")]), [StandardWebhooksV1a]);
        assert_eq!(carried(&[(header::STANDARD_SIGNATURE, "garbage")]), [StandardWebhooks]);
        let all = [(header::STANDARD_SIGNATURE, "v1a,AA== v1,AA=="), (header::SIGNATURE, "00")];
        assert_eq!(carried(&all), [TimestampBody, StandardWebhooks, StandardWebhooksV1a]);
    }
}
