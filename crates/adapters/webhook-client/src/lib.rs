//! Outbound HTTP to receivers nobody vouches for: one attempt, guarded, bounded, turned into an
//! [`Answer`](onering_delivery::Answer).
//!
//! Entry points: [`WebhookClient::send`] makes one attempt; [`AddressGuard::check_url`] and
//! [`AddressGuard::check_resolves`] judge a target when a subscription is made.
//!
//! Invariants: no request leaves for an address the guard refuses, whatever DNS answers: names are resolved by the
//! guard, which hands out checked addresses only, and the connection is made to one of those; one `send` is one request
//! at most; nothing a receiver sends is read without a bound.
//!
//! Deliberately absent: retries, redirects, proxies, cookies, decompression, HTTP/2, the signing of requests
//! (`onering-signing`), and any opinion on what an answer means (`onering-delivery`).

mod address;
mod client;
mod failure;
mod guard;
mod look_up;
mod request;
mod response;

pub use address::{Refusal, refusal};
pub use client::{ClientError, ClientSettings, Sent, WebhookClient};
pub use guard::{AddressGuard, GuardError};
pub use look_up::{LookUp, LookingUp, SystemLookUp};
pub use request::Request;
