//! Signs webhook requests and verifies them: the one place that knows the signed bytes.
//!
//! Sender, sink and command line use the same code, so that they cannot disagree. Entry points: [`sign`] makes the
//! headers of one attempt; [`Verifier`] checks a received request; [`SigningSecret`] is the secret both share, [`KeyPair`]
//! what the sender alone signs with and [`PublicKey`] the half of it that receivers know.
//!
//! | [`Scheme`] | header | signed bytes | key |
//! |---|---|---|---|
//! | `x-webhook` | `X-Webhook-Signature: t=<t>,e=<id>,v1=<hex>` | `<t>.<id>.<body>` | the secret's text |
//! | `standard-webhooks` | `webhook-signature: v1,<base64>` | `<id>.<t>.<body>` | the bytes its base64 stands for |
//! | `standard-webhooks-v1a` | `webhook-signature: v1a,<base64>` | `<id>.<t>.<body>` | the key pair |
//! | `timestamp-body` | `X-Webhook-Signature: <hex>` | `<t>.<body>` | the secret's text |
//!
//! `v1a` is ed25519, the others are HMAC-SHA256. While a rotation overlaps, the previous keys sign as well, except in
//! `timestamp-body`, whose bare value has no room for a second signature: there the current secret alone signs.
//!
//! Invariants: secrets appear in no `Debug` output and are wiped from memory when dropped; signatures are compared in
//! constant time; a signature is checked before the stamp, so a stale verdict is about a genuine request.
//!
//! Deliberately absent: the clock (the stamp is an argument), randomness (new keys are made of given entropy), storage and sealing of secrets (`onering-secrets`), and
//! headers that are not part of a signature, whose names alone are in [`header`].

mod freshness;
pub mod header;
mod key_pair;
mod live_secrets;
mod receiver_key;
mod scheme;
mod secret;
mod sign;
mod verify;

pub use freshness::Freshness;
pub use key_pair::{KeyError, KeyPair, PublicKey};
pub use live_secrets::{LiveSecrets, Signers, SigningKeys};
pub use receiver_key::{ReceiverKey, ReceiverKeyError};
pub use scheme::{Scheme, Schemes, UnknownScheme};
pub use secret::{SecretError, SigningSecret};
pub use sign::{SignatureHeaders, SigningInput, is_signable_id, sign};
pub use verify::{KeyAge, Verified, Verifier, VerifyError};
