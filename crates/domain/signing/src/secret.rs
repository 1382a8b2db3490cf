use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

/// HMAC-SHA256 with its key worked in: cloning it is what starts a signature.
pub(crate) type KeyedMac = Hmac<Sha256>;

/// A webhook signing secret, `whsec_` and base64 (ours: 64 hex digits, which are base64 as well).
///
/// Holds the keyed HMAC states, so that signing hashes the message and nothing else. `Debug` shows none of it.
pub struct SigningSecret {
    text: Zeroizing<String>,
    /// Keyed with the whole text: `x-webhook` and `timestamp-body`.
    text_keyed: KeyedMac,
    /// Keyed with the bytes the base64 stands for: `standard-webhooks`.
    bytes_keyed: KeyedMac,
}

/// Why a text is not a signing secret. Never repeats the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// It does not begin with `whsec_`.
    #[error("a signing secret begins with \"{}\"", SigningSecret::PREFIX)]
    Prefix,
    /// What follows is not padded standard base64.
    #[error("a signing secret is padded standard base64 after \"{}\"", SigningSecret::PREFIX)]
    Encoding,
    /// It stands for too few or too many bytes.
    #[error(
        "a signing secret stands for {} to {} bytes, this one for {bytes}",
        SigningSecret::FEWEST_BYTES,
        SigningSecret::MOST_BYTES
    )]
    Length {
        /// How many it stands for.
        bytes: usize,
    },
}

impl SigningSecret {
    /// What every secret begins with.
    pub const PREFIX: &'static str = "whsec_";
    /// The fewest bytes of key a secret may stand for.
    pub const FEWEST_BYTES: usize = 24;
    /// The most bytes of key a secret may stand for.
    pub const MOST_BYTES: usize = 256;

    /// A new secret: `whsec_` and the 64 hex digits of 256 random bits.
    #[must_use]
    #[expect(clippy::expect_used, reason = "64 hex digits are 48 bytes of base64, which is within the bounds")]
    pub fn from_entropy(mut entropy: [u8; 32]) -> Self {
        // Sized up front: a string that grows leaves copies behind that nothing wipes.
        let mut text = Zeroizing::new(String::with_capacity(Self::PREFIX.len() + 64));
        text.push_str(Self::PREFIX);
        let mut digits = [0; 64];
        hex::encode_to_slice(entropy, &mut digits).expect("32 bytes are 64 digits");
        text.extend(digits.iter().map(|digit| char::from(*digit)));
        entropy.zeroize();
        digits.zeroize();
        Self::keyed(text).expect("hex digits are base64")
    }

    /// The whole text, for the owner and for sealing. Nowhere else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// A MAC keyed with the whole text, that has seen no message yet.
    pub(crate) fn text_mac(&self) -> KeyedMac {
        self.text_keyed.clone()
    }

    /// A MAC keyed with the bytes the base64 stands for, that has seen no message yet.
    pub(crate) fn bytes_mac(&self) -> KeyedMac {
        self.bytes_keyed.clone()
    }

    fn keyed(text: Zeroizing<String>) -> Result<Self, SecretError> {
        let encoded = text.strip_prefix(Self::PREFIX).ok_or(SecretError::Prefix)?;
        if encoded.len() > 2 * Self::MOST_BYTES {
            return Err(SecretError::Length { bytes: encoded.len() / 4 * 3 });
        }
        let bytes = Zeroizing::new(STANDARD.decode(encoded).map_err(|_| SecretError::Encoding)?);
        if !(Self::FEWEST_BYTES..=Self::MOST_BYTES).contains(&bytes.len()) {
            return Err(SecretError::Length { bytes: bytes.len() });
        }
        let (text_keyed, bytes_keyed) = (keyed_mac(text.as_bytes()), keyed_mac(&bytes));
        Ok(Self { text, text_keyed, bytes_keyed })
    }
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of any length (RFC 2104)")]
fn keyed_mac(key: &[u8]) -> KeyedMac {
    KeyedMac::new_from_slice(key).expect("HMAC takes keys of any length")
}

impl FromStr for SigningSecret {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, SecretError> {
        Self::keyed(Zeroizing::new(text.to_owned()))
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SigningSecret(whsec_…)")
    }
}

/// Feeds the parts of a message, one after the other, and takes the code.
pub(crate) fn code_over(mut mac: KeyedMac, parts: &[&[u8]]) -> [u8; 32] {
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_new_secret_is_hex_and_parses() {
        let secret = SigningSecret::from_entropy([0xab; 32]);
        assert_eq!(secret.expose(), format!("whsec_{}", "ab".repeat(32)));
        assert!(secret.expose().parse::<SigningSecret>().is_ok());
    }

    #[test]
    fn secrets_of_others_are_taken() {
        for bytes in [24, 32, 48, 64, 256] {
            let text = format!("whsec_{}", STANDARD.encode(vec![7; bytes]));
            assert!(text.parse::<SigningSecret>().is_ok(), "{bytes}");
        }
    }

    #[test]
    fn what_is_refused_and_why() {
        let refused = |text: &str| text.parse::<SigningSecret>().err();
        assert_eq!(refused(""), Some(SecretError::Prefix));
        assert_eq!(refused("secret"), Some(SecretError::Prefix));
        assert_eq!(refused("whsec_"), Some(SecretError::Length { bytes: 0 }));
        assert_eq!(refused("whsec_MTIz"), Some(SecretError::Length { bytes: 3 }));
        assert_eq!(refused(&format!("whsec_{}", "-".repeat(64))), Some(SecretError::Encoding));
        assert_eq!(refused(&format!("whsec_{}", "a".repeat(63))), Some(SecretError::Encoding), "no padding");
        assert!(matches!(refused(&format!("whsec_{}", "A".repeat(4_000_000))), Some(SecretError::Length { .. })));
    }

    #[test]
    fn debug_shows_nothing() {
        let secret = SigningSecret::from_entropy([0xab; 32]);
        assert!(!format!("{secret:?}").contains("ab"), "{secret:?}");
    }

    proptest! {
        #[test]
        fn any_text_is_taken_or_refused(text in "(whsec_)?\\PC{0,100}") {
            let _ = text.parse::<SigningSecret>();
        }
    }
}
