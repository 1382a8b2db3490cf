//! Outbound HTTP to receivers nobody vouches for: one attempt, guarded, bounded, turned into an
//! [`Answer`](onering_delivery::Answer).
//!
//! Entry points: [`WebhookClient::endpoint`] takes a target apart once, [`WebhookClient::send`] makes one attempt;
//! [`AddressGuard::check_url`] and [`AddressGuard::check_resolves`] judge a target when a subscription is made.
//!
//! Invariants: no request leaves for an address the guard refuses, whatever DNS answers: names are resolved by the
//! guard, which hands out checked addresses only, and the connection is made to one of those; one `send` is one request
//! at most; nothing a receiver sends is read without a bound.
//!
//! A request and its answer are one future in the caller's task (`exchange`): the request goes out in one write, and what comes
//! is given to the parser of `onering-http-exchange`, which knows no sockets (`head`, `body`). A connection goes back to the `pool` when the answer was
//! read to an end that nobody can doubt. One that was idle and is closed before it took a byte of the request is replaced by a new
//! one; had it taken any, the attempt has failed: the receiver may have seen it. Why this is not a library:
//! `docs/decisions/0006-own-http-exchange.md`.
//!
//! Deliberately absent: retries, redirects, proxies, cookies, decompression, HTTP/2, the signing of requests
//! (`onering-signing`), and any opinion on what an answer means (`onering-delivery`).

mod address;
mod body;
mod client;
mod connector;
mod endpoint;
mod exchange;
mod failure;
mod guard;
mod head;
mod header_line;
mod look_up;
mod pool;
pub mod reading;
mod request;

pub use address::{Refusal, refusal};
pub use client::{ClientError, ClientSettings, Sent, WebhookClient};
pub use endpoint::Endpoint;
pub use guard::{AddressGuard, GuardError};
pub use look_up::{LookUp, LookingUp, SystemLookUp};
pub use request::Request;
