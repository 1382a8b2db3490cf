use crate::key_pair::KeyPair;
use crate::scheme::{Scheme, Schemes};
use crate::secret::SigningSecret;

/// What a subscription signs with between two rotations.
#[derive(Debug)]
pub struct SigningKeys {
    /// The secret, for the symmetric schemes.
    pub secret: SigningSecret,
    /// The key pair, once the subscription has chosen `standard-webhooks-v1a`.
    pub key_pair: Option<KeyPair>,
}

/// What a subscription signs with at the moment.
#[derive(Debug)]
pub struct LiveSecrets {
    /// The newest keys.
    pub current: SigningKeys,
    /// Those before, while a rotation overlaps.
    pub previous: Option<SigningKeys>,
}

/// The keys that sign one request.
#[derive(Debug, Clone, Copy)]
pub struct Signers<'a> {
    pub(crate) current: &'a SigningKeys,
    pub(crate) previous: Option<&'a SigningKeys>,
}

impl LiveSecrets {
    /// The current keys alone, overlap or not.
    #[must_use]
    pub const fn current_alone(&self) -> Signers<'_> {
        Signers { current: &self.current, previous: None }
    }
}

impl Signers<'_> {
    /// Whether a request in these schemes carries a signature of the previous keys as well.
    #[must_use]
    pub fn both_sign(&self, schemes: Schemes) -> bool {
        self.previous.is_some_and(|previous| {
            schemes.iter().any(|scheme| match scheme {
                Scheme::XWebhook | Scheme::StandardWebhooks => true,
                Scheme::StandardWebhooksV1a => previous.key_pair.is_some(),
                Scheme::TimestampBody => false,
            })
        })
    }
}

impl<'a> From<&'a LiveSecrets> for Signers<'a> {
    fn from(secrets: &'a LiveSecrets) -> Self {
        Self { current: &secrets.current, previous: secrets.previous.as_ref() }
    }
}

impl From<SigningSecret> for SigningKeys {
    fn from(secret: SigningSecret) -> Self {
        Self { secret, key_pair: None }
    }
}

impl From<SigningSecret> for LiveSecrets {
    fn from(current: SigningSecret) -> Self {
        SigningKeys::from(current).into()
    }
}

impl From<SigningKeys> for LiveSecrets {
    fn from(current: SigningKeys) -> Self {
        Self { current, previous: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(with_pair: bool) -> SigningKeys {
        let key_pair = with_pair.then(|| KeyPair::from_entropy([1; 32]));
        SigningKeys { secret: SigningSecret::from_entropy([1; 32]), key_pair }
    }

    #[test]
    fn both_sign_where_there_is_room_and_a_key() {
        for (scheme, with_pair, expected) in [
            (Scheme::XWebhook, false, true),
            (Scheme::StandardWebhooks, false, true),
            (Scheme::StandardWebhooksV1a, true, true),
            (Scheme::StandardWebhooksV1a, false, false),
            (Scheme::TimestampBody, true, false),
        ] {
            let overlap = LiveSecrets { current: keys(true), previous: Some(keys(with_pair)) };
            assert_eq!(Signers::from(&overlap).both_sign(scheme.into()), expected, "{scheme}");
            assert!(!overlap.current_alone().both_sign(scheme.into()));
        }
    }
}
