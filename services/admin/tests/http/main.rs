//! The operators' API over HTTP: the real binary on a Postgres and a Redis of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test's helpers fail it by panicking, and tests compare with real time"
)]

mod admin_keys;
mod audit;
mod bad_input;
mod blocklist;
mod deliveries;
mod event_types;
mod flags;
mod key_changes;
mod key_rotation;
mod keys;
mod lists;
mod partners;
mod replays;
mod roles;
mod support;
mod webhooks;
