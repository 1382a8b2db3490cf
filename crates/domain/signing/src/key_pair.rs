use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use zeroize::{Zeroize, Zeroizing};

/// The bytes of a signature.
pub(crate) const SIGNATURE_BYTES: usize = 64;
/// Longest base64 of a key: 64 bytes.
const LONGEST_TEXT: usize = 88;

/// An ed25519 key pair: signs `standard-webhooks-v1a`. Its text is `whsk_` and the base64 of seed and public key, 64 bytes,
/// as Standard Webhooks writes secret keys.
///
/// `Debug` shows the public half alone; all of the secret half is wiped from memory.
pub struct KeyPair {
    text: Zeroizing<String>,
    key: SigningKey,
}

/// The half of a [`KeyPair`] that receivers know: `whpk_` and the base64 of its 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

/// Why a text is no ed25519 key. Never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// It begins with something else.
    #[error("this key begins with \"{expected}\"")]
    Prefix {
        /// What it begins with.
        expected: &'static str,
    },
    /// What follows is not padded standard base64.
    #[error("an ed25519 key is padded standard base64 after its prefix")]
    Encoding,
    /// It stands for another number of bytes.
    #[error("a public key stands for 32 bytes, a secret key for 64 or, as a bare seed, 32")]
    Length,
    /// The bytes are no key: not a point of the curve, a point that would accept anything, or halves that do not belong
    /// together.
    #[error("these bytes are not an ed25519 key")]
    Invalid,
}

impl KeyPair {
    /// What every text begins with.
    pub const PREFIX: &'static str = "whsk_";

    /// A new key pair of 256 random bits.
    #[must_use]
    pub fn from_entropy(mut entropy: [u8; 32]) -> Self {
        let key = SigningKey::from_bytes(&entropy);
        entropy.zeroize();
        Self::of(key)
    }

    /// The whole text, for sealing. Nowhere else: not even the owner needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// The half for receivers.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.key.verifying_key())
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_BYTES] {
        self.key.sign(message).to_bytes()
    }

    fn of(key: SigningKey) -> Self {
        let bytes = Zeroizing::new(key.to_keypair_bytes());
        // Sized up front: a string that grows leaves copies behind that nothing wipes.
        let mut text = Zeroizing::new(String::with_capacity(Self::PREFIX.len() + LONGEST_TEXT));
        text.push_str(Self::PREFIX);
        STANDARD.encode_string(bytes.as_slice(), &mut text);
        Self { text, key }
    }
}

impl FromStr for KeyPair {
    type Err = KeyError;

    /// Takes seed and public key (64 bytes), or a bare seed (32).
    fn from_str(text: &str) -> Result<Self, KeyError> {
        let bytes = decoded(text, Self::PREFIX)?;
        let key = if let Ok(seed) = bytes.as_slice().try_into() {
            SigningKey::from_bytes(seed)
        } else {
            let both = bytes.as_slice().try_into().map_err(|_| KeyError::Length)?;
            SigningKey::from_keypair_bytes(both).map_err(|_| KeyError::Invalid)?
        };
        Ok(Self::of(key))
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "KeyPair({})", self.public_key())
    }
}

impl PublicKey {
    /// What every text begins with.
    pub const PREFIX: &'static str = "whpk_";

    /// The key of these bytes.
    ///
    /// # Errors
    /// [`KeyError::Length`], or [`KeyError::Invalid`] when they are no key or one that would accept anything.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyError> {
        let key = VerifyingKey::from_bytes(bytes.try_into().map_err(|_| KeyError::Length)?);
        key.ok().filter(|key| !key.is_weak()).map(Self).ok_or(KeyError::Invalid)
    }

    /// Its 32 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Whether this key's pair signed the message. Signatures that some libraries take and others refuse are refused.
    pub(crate) fn fits(&self, message: &[u8], signature: &[u8]) -> bool {
        Signature::from_slice(signature).is_ok_and(|signature| self.0.verify_strict(message, &signature).is_ok())
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::from_bytes(&decoded(text, Self::PREFIX)?)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}", Self::PREFIX, STANDARD.encode(self.as_bytes()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PublicKey({self})")
    }
}

fn decoded(text: &str, expected: &'static str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let encoded = text.strip_prefix(expected).ok_or(KeyError::Prefix { expected })?;
    if encoded.len() > LONGEST_TEXT {
        return Err(KeyError::Length);
    }
    STANDARD.decode(encoded).map(Zeroizing::new).map_err(|_| KeyError::Encoding)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_are_read_back() {
        let pair = KeyPair::from_entropy([7; 32]);
        assert_eq!(pair.expose().len(), "whsk_".len() + 88);
        let again: KeyPair = pair.expose().parse().unwrap();
        assert_eq!((again.expose(), again.public_key()), (pair.expose(), pair.public_key()));
        let public: PublicKey = pair.public_key().to_string().parse().unwrap();
        assert_eq!(public, pair.public_key());
        let seed: KeyPair = format!("whsk_{}", STANDARD.encode([7; 32])).parse().unwrap();
        assert_eq!(seed.expose(), pair.expose(), "a bare seed is written out in full");
    }

    #[test]
    fn what_is_refused_and_why() {
        let (pair, other) = (KeyPair::from_entropy([1; 32]), KeyPair::from_entropy([2; 32]));
        let refused = |text: &str| text.parse::<KeyPair>().err();
        assert_eq!(refused(&pair.public_key().to_string()), Some(KeyError::Prefix { expected: "whsk_" }));
        assert_eq!(refused("whsk_"), Some(KeyError::Length));
        assert_eq!(refused("whsk_MTIz"), Some(KeyError::Length));
        assert_eq!(refused("whsk_-"), Some(KeyError::Encoding));
        assert_eq!(refused(&format!("whsk_{}", "A".repeat(4_000_000))), Some(KeyError::Length));
        let halves = [&[1; 32][..], other.public_key().as_bytes()].concat();
        assert_eq!(refused(&format!("whsk_{}", STANDARD.encode(halves))), Some(KeyError::Invalid));

        let refused = |text: &str| text.parse::<PublicKey>().err();
        assert_eq!(refused(pair.expose()), Some(KeyError::Prefix { expected: "whpk_" }));
        assert_eq!(refused(&format!("whpk_{}", STANDARD.encode([1; 31]))), Some(KeyError::Length));
        // The neutral point: any message has a signature that fits.
        let neutral = [&[1][..], &[0; 31]].concat();
        assert_eq!(refused(&format!("whpk_{}", STANDARD.encode(neutral))), Some(KeyError::Invalid));
    }

    #[test]
    fn debug_shows_the_public_half_alone() {
        let pair = KeyPair::from_entropy([7; 32]);
        let shown = format!("{pair:?}");
        assert_eq!(shown, format!("KeyPair({})", pair.public_key()));
        assert!(!pair.expose().contains(&shown) && !shown.contains("BwcHBwcH"));
    }

    proptest! {
        #[test]
        fn any_text_is_taken_or_refused(text in "(whsk_|whpk_)?[A-Za-z0-9+/=]{0,100}") {
            let _ = (text.parse::<KeyPair>(), text.parse::<PublicKey>());
        }
    }
}
