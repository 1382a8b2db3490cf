//! What tests of the whole platform share: a stack of the four real processes on a private Postgres and Redis, and the
//! people who use it (an operator, partners).
//!
//! Entry point: [`Stack::start`]. Everything here is reached as its users reach it: over HTTP, with their keys, or with
//! plain SQL. Failure is a panic with a sentence. Beside the stack: verifiers of other people ([`Verifier`]), the
//! documentation as its readers use it ([`documents`]), a ConfigMap as the kubelet mounts it ([`ConfigMapVolume`]), and
//! everything that can be broken under load ([`faults`]).
//!
//! Deliberately absent: fakes of our own services, and sleeping.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test helper fails its test by panicking, prints the figures it measured, and finds programs by the environment"
)]

mod api;
mod config_map;
mod database;
pub mod documents;
pub mod faults;
mod guide;
mod measured;
pub mod outside;
mod partner;
mod stack;
mod verifier;

pub use api::{Answer, Api};
pub use config_map::ConfigMapVolume;
pub use database::StackDatabase;
pub use guide::guide_block;
pub use measured::{BOUND, Change};
pub use partner::{Partner, Subscription};
pub use stack::{Stack, StackOptions};
pub use verifier::{SignedRequest, Verifier};
