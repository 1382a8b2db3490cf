//! API keys and their secrets.
//!
//! A key is one identity and one quota; its one or two live secrets open it. The gateway asks with [`find_by_digests`];
//! operators do the rest. Functions that take something away from a key (disable, revoke, rotate, delete …) are done
//! when they return, but gateways remember a key for some seconds: the caller announces the key's digests
//! ([`digests_of`]) after the commit.
//!
//! Invariants: a token is never here, only its digest; at most one secret of a key is without an end (unique index) and
//! at most one more is alive beside it (`onering_keys::rotation`).

mod change;
mod create;
mod find_by_digests;
mod key;
mod read;
mod rotate;

pub use change::{KeyChange, delete, disable, enable, revoke, update};
pub use create::{NewKey, NewSecret, create};
pub use find_by_digests::{FoundKey, find_by_digests};
pub use key::{ApiKey, KeySecret};
pub use read::{KeyFilter, digests_of, digests_of_owner, get, list};
pub use rotate::{Rotated, Rotation, RotationOutcome, RotationTarget, rotate};

#[cfg(test)]
mod tests;
