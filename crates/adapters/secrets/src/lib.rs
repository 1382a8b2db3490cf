//! Sealing webhook signing secrets before they are stored, and opening them again.
//!
//! Start at [`KeyRing`], made from `ONERING_SECRETS_KEYS=kid:base64,…`. Its first key seals; every key opens what it
//! sealed. Keys are replaced without a pause: put the new one first, reseal what [`KeyRing::needs_resealing`] names,
//! then drop the old one.
//!
//! Invariants: XChaCha20-Poly1305 with a random nonce each time and the row's id as associated data, so a sealed value
//! opens in its own row and in no other, and not at all once a bit of it has changed; no key and no secret is in a
//! `Debug`, an error or, once dropped, in memory.
//!
//! Deliberately absent: where sealed values are kept (`onering-store`), what the secrets are for (`onering-signing`),
//! and reading the setting (`onering-settings`).

mod error;
mod key_ring;
mod parse;

pub use error::{KeyRingError, OpenError, SealError};
pub use key_ring::{KeyRing, Sealed};
