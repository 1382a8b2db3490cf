//! The dev stack: Postgres, Redis, the four services, the front door and a sample product, supervised on 127.0.0.1.
//!
//! `up` writes what to run ([`config::StackConfig`]) and starts a supervisor, which derives the processes from it
//! ([`plan`]), starts them and starts again whatever dies, as an orchestrator would. All state is in `.run/`.
#![allow(clippy::disallowed_methods, reason = "the environment of `up` is handed on to what it starts")]

mod admin_key;
mod config;
mod down;
mod folder;
mod plan;
mod ports;
mod status;
mod stores;
mod supervisor;
mod up;

pub(crate) use down::down;
pub(crate) use status::status;
pub(crate) use supervisor::supervise;
pub(crate) use up::up;

/// What the benchmark needs to run a stack of its own.
pub(crate) mod bench {
    pub(crate) use super::admin_key::ensure as ensure_admin_key;
    pub(crate) use super::config::StackConfig;
    pub(crate) use super::folder::RunFolder;
    pub(crate) use super::plan::{Stores, route_table};
    pub(crate) use super::ports::Ports;
    pub(crate) use super::status::states;
    pub(crate) use super::stores::addresses as store_addresses;
    pub(crate) use super::supervisor::run;
    pub(crate) use super::up::write_flags;
}
