//! What can go wrong with keys and sealed values. No text here ever holds a key or a secret.

/// The list of keys cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyRingError {
    /// There is no key in the list.
    #[error("no key is given; write kid:base64, with 32 random bytes as the base64")]
    Empty,
    /// An entry is not of the form `kid:base64`. It is not quoted, because it may be a key without its name.
    #[error("entry {position} is not of the form kid:base64")]
    Form {
        /// Which entry, counted from 1.
        position: usize,
    },
    /// The name of a key has characters it may not have, or too many.
    #[error("the key id of entry {position} is not 1 to 64 of the characters A-Z a-z 0-9 . _ -")]
    KeyId {
        /// Which entry, counted from 1.
        position: usize,
    },
    /// Two keys have the same name, so nobody could tell which one sealed what.
    #[error("the key id {kid} is given twice")]
    Duplicate {
        /// The name.
        kid: String,
    },
    /// The part after the colon is not base64.
    #[error("the key {kid} is not base64")]
    Base64 {
        /// The key's name.
        kid: String,
    },
    /// The key has the wrong length.
    #[error("the key {kid} has {length} bytes; it needs 32 (openssl rand -base64 32)")]
    Length {
        /// The key's name.
        kid: String,
        /// How many bytes it has.
        length: usize,
    },
}

/// A secret could not be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the secret is too long to be sealed")]
pub struct SealError;

/// A sealed value could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// It was sealed by a key that is not on the ring.
    #[error("the key {kid} that sealed the value is not among ONERING_SECRETS_KEYS")]
    UnknownKey {
        /// The missing key's name.
        kid: String,
    },
    /// It was changed, belongs to another row, or was sealed by another key of the same name.
    #[error("the value sealed by key {kid} does not open: it was changed, moved to another row, or the key differs")]
    Refused {
        /// The name of the key it was tried with.
        kid: String,
    },
}
