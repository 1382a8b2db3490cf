//! The behaviours that callers see, tested over real connections against a real server.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers fail it by panicking")]

mod bodies;
mod errors;
mod forwarding;
mod lifecycle;
mod operators;
mod support;
mod upstreams;
