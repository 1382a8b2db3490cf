//! API keys, operators' keys, and the decision whether a call comes in.
//!
//! Purpose: everything that is true about keys, in one place that can be tested without a server. Entry points:
//! [`access::decide`], the access decision; [`ApiToken`], the secret a partner holds; [`KeyRecord`], what the platform
//! knows about a key.
//!
//! Invariants: a token is never stored, shown or compared, only its digest; the decision is a function of its input
//! alone, so the same call gets the same answer on every replica; the first check that refuses is the one that is named.
//!
//! Deliberately absent: the rate limit, which comes after the decision and needs shared counters (`onering-rate-limit`
//! and `onering-queue`), look-ups and caches, and where randomness comes from.

pub mod access;
mod auth_failures;
mod cidr;
mod client_address;
mod record;
mod role;
pub mod rotation;
mod scope;
mod tier;
mod token;

pub use access::{AccessInput, Credential, Refusal, Verdict};
pub use auth_failures::AuthFailures;
pub use cidr::{CidrError, any_contains, parse_cidr};
pub use client_address::ClientAddress;
pub use record::KeyRecord;
pub use role::{Role, UnknownRole};
pub use scope::{Scope, ScopeError, ScopeSet};
pub use tier::{CANARY_HOURLY_LIMIT, Tier, UnknownTier};
pub use token::{AdminKind, AdminToken, ApiKind, ApiToken, DigestError, Token, TokenDigest, TokenError, TokenKind};
