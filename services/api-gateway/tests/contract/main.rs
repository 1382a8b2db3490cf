//! The contract with partners, over HTTP: the real program on a private Postgres and a private Redis.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests measure real time, and fail by panicking, in their helpers too"
)]

mod bad_input;
mod batch;
mod caches;
mod documentation;
mod events;
mod forwarding;
mod forwarding_tls;
mod limits;
mod refusals;
mod statistics;
mod support;
mod webhooks;
