//! [`KeyRing`] and what it seals.

use std::fmt;
use std::sync::Arc;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use onering_clock::Clock;
use onering_ids::SecretId;
use zeroize::Zeroizing;

use crate::error::{KeyRingError, OpenError, SealError};
use crate::parse::{ParsedKey, parse};

const NONCE_BYTES: usize = 24;

/// The keys that seal and open secrets. Cheap to clone; `Debug` shows the keys' names only.
#[derive(Clone)]
pub struct KeyRing {
    keys: Arc<[NamedKey]>,
    clock: Clock,
}

struct NamedKey {
    kid: String,
    /// Wipes its key when dropped.
    cipher: XChaCha20Poly1305,
}

/// A secret nobody can read without the key that sealed it. As a row holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Which key sealed it.
    pub kid: String,
    /// The nonce (24 bytes), then the ciphertext and its tag (16 bytes).
    pub bytes: Vec<u8>,
}

impl KeyRing {
    /// Reads `kid:base64,…`, each key 32 bytes. The clock gives the randomness of the nonces.
    ///
    /// # Errors
    /// [`KeyRingError`], naming the entry and never quoting a key.
    pub fn parse(text: &str, clock: Clock) -> Result<Self, KeyRingError> {
        let keys = parse(text)?
            .into_iter()
            .map(|ParsedKey { kid, key }| NamedKey { kid, cipher: XChaCha20Poly1305::new(<&Key>::from(&*key)) });
        Ok(Self { keys: keys.collect(), clock })
    }

    /// Seals a secret for the row with this id, with the first key.
    ///
    /// # Errors
    /// [`SealError`] for a secret of more than 256 GiB, which is to say never.
    pub fn seal(&self, row: SecretId, secret: &[u8]) -> Result<Sealed, SealError> {
        let NamedKey { kid, cipher } = self.sealing_key();
        let entropy = self.clock.entropy32();
        let nonce = XNonce::try_from(&entropy[..NONCE_BYTES]).map_err(|_| SealError)?;
        let row = row.uuid();
        let payload = Payload { msg: secret, aad: row.as_bytes() };
        let ciphertext = cipher.encrypt(&nonce, payload).map_err(|_| SealError)?;
        Ok(Sealed { kid: kid.clone(), bytes: [&nonce[..], &ciphertext].concat() })
    }

    /// Opens what was sealed for the row with this id. The secret's memory is wiped when dropped.
    ///
    /// # Errors
    /// [`OpenError::UnknownKey`] when its key is not on the ring; [`OpenError::Refused`] when it is not what was sealed
    /// for this row.
    pub fn open(&self, row: SecretId, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let key = self.keys.iter().find(|key| key.kid == sealed.kid);
        let NamedKey { kid, cipher } = key.ok_or_else(|| OpenError::UnknownKey { kid: sealed.kid.clone() })?;
        let refused = || OpenError::Refused { kid: kid.clone() };
        let (nonce, ciphertext) = sealed.bytes.split_at_checked(NONCE_BYTES).ok_or_else(refused)?;
        let nonce = XNonce::try_from(nonce).map_err(|_| refused())?;
        let row = row.uuid();
        let payload = Payload { msg: ciphertext, aad: row.as_bytes() };
        cipher.decrypt(&nonce, payload).map(Zeroizing::new).map_err(|_| refused())
    }

    /// Whether a value was sealed by another key than the one that seals now, so that this other key is still needed.
    #[must_use]
    pub fn needs_resealing(&self, sealed: &Sealed) -> bool {
        sealed.kid != self.sealing_kid()
    }

    /// The name of the key that seals now.
    #[must_use]
    pub fn sealing_kid(&self) -> &str {
        &self.sealing_key().kid
    }

    /// The names of all keys, the sealing one first.
    pub fn kids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| key.kid.as_str())
    }

    #[expect(clippy::expect_used, reason = "a ring is made by `parse` only, which refuses an empty list")]
    fn sealing_key(&self) -> &NamedKey {
        self.keys.first().expect("a ring has a key")
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("KeyRing").field(&self.kids().collect::<Vec<_>>()).finish()
    }
}

#[cfg(test)]
mod tests;
