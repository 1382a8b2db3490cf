//! A streaming reverse proxy: what arrives is passed on as it arrives, in both directions.
//!
//! Used by the gateway's route table and by the front door of the dev stack. Nothing is buffered beyond a few chunks,
//! no redirect is followed, no compressed body is unpacked, and no proxy of the environment is used.
//!
//! A call and its answer are one future on the thread that the call came to (`exchange`), over a connection of that thread
//! (`pool`): nothing is handed to another task unless an upstream answers before it has the whole request. What comes is taken
//! apart by `unpacking`, which knows no sockets. A short answer of known length that came with its head is passed on as one
//! piece.
//!
//! Invariants: a request is sent again only after a failure to connect, over a kept connection that took nothing of it, or where
//! sending it again changes nothing (a safe method without a body, over a kept connection that brought no word); an answer about
//! whose end two readers could disagree is none.

mod answer;
mod exchange;
mod forward;
mod headers;
mod pool;
mod request_head;
mod target;
mod unpacking;
mod upload;
mod upstreams;

pub use forward::{ForwardPlan, Forwarded, Proxy};
pub use unpacking::{ForwardedAnswer, read_forwarded};
pub use upstreams::{NoUpstream, Upstreams};
