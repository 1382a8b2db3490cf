use std::str::FromStr;

use subtle::{Choice, ConstantTimeEq};

use crate::key_pair::{KeyError, PublicKey};
use crate::scheme::Scheme;
use crate::secret::{SecretError, SigningSecret};
use crate::sign::{standard_code, standard_message, timestamp_body_code, x_webhook_code};
use crate::verify::Claim;

/// What a receiver verifies with, told apart by how its text begins: `whsec_…` or `whpk_…`.
#[derive(Debug)]
pub enum ReceiverKey {
    /// The secret it shares with the sender.
    Secret(SigningSecret),
    /// The public half of the sender's key pair.
    Public(PublicKey),
}

/// Why a text is neither. Never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiverKeyError {
    /// It begins like a secret, or like nothing known.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// It begins like a public key.
    #[error(transparent)]
    Public(#[from] KeyError),
}

/// What a signature must be.
pub(crate) enum Expectation<'a> {
    /// This code.
    Code([u8; 32]),
    /// One that the key takes for this message.
    Fits(&'a PublicKey, Vec<u8>),
}

impl ReceiverKey {
    /// Whether `scheme` is verified with a key of this kind.
    pub(crate) const fn is_for(&self, scheme: Scheme) -> bool {
        matches!(self, Self::Public(_)) == matches!(scheme, Scheme::StandardWebhooksV1a)
    }

    /// What a genuine signature is; `None` when the scheme is verified with a key of the other kind.
    pub(crate) fn expectation(&self, scheme: Scheme, claim: &Claim<'_>, body: &[u8]) -> Option<Expectation<'_>> {
        let (stamp, id) = (claim.stamp, claim.event_id.unwrap_or_default());
        let code = match (self, scheme) {
            (Self::Public(key), Scheme::StandardWebhooksV1a) => {
                return Some(Expectation::Fits(key, standard_message(stamp, id, body)));
            }
            (Self::Secret(secret), Scheme::XWebhook) => x_webhook_code(secret, stamp, id, body),
            (Self::Secret(secret), Scheme::StandardWebhooks) => standard_code(secret, stamp, id, body),
            (Self::Secret(secret), Scheme::TimestampBody) => timestamp_body_code(secret, stamp, body),
            (Self::Public(_), _) | (Self::Secret(_), Scheme::StandardWebhooksV1a) => return None,
        };
        Some(Expectation::Code(code))
    }
}

impl Expectation<'_> {
    pub(crate) fn is_met_by(&self, given: &[u8]) -> Choice {
        match self {
            Self::Code(code) => code.ct_eq(given),
            Self::Fits(key, message) => Choice::from(u8::from(key.fits(message, given))),
        }
    }
}

impl FromStr for ReceiverKey {
    type Err = ReceiverKeyError;

    fn from_str(text: &str) -> Result<Self, ReceiverKeyError> {
        if text.starts_with(PublicKey::PREFIX) {
            Ok(Self::Public(text.parse()?))
        } else {
            Ok(Self::Secret(text.parse()?))
        }
    }
}

impl From<SigningSecret> for ReceiverKey {
    fn from(secret: SigningSecret) -> Self {
        Self::Secret(secret)
    }
}

impl From<PublicKey> for ReceiverKey {
    fn from(key: PublicKey) -> Self {
        Self::Public(key)
    }
}
