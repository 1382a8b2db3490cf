//! A streaming reverse proxy: what arrives is passed on as it arrives, in both directions.
//!
//! Used by the gateway's route table and by the front door of the dev stack. Nothing is buffered beyond a few chunks,
//! no redirect is followed, no compressed body is unpacked, no proxy of the environment is used, and a request is sent
//! again only where it cannot have reached anyone: after a failure to connect.

mod forward;
mod headers;
mod request_stream;
mod response_stream;
mod target;
mod upstreams;

pub use forward::{ForwardPlan, Forwarded, Proxy, ProxyError};
pub use upstreams::{NoUpstream, Upstreams};
