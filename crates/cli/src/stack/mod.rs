//! A stack on this machine: Postgres, Redis, the four services, the front door and a sample product, supervised on
//! 127.0.0.1.
//!
//! `up` writes what to run ([`config::StackConfig`]) and launches a supervisor ([`launch`]), which derives the processes
//! from it ([`plan`]), starts them and starts again whatever dies, as an orchestrator would ([`supervisor`]). All state is
//! in one folder ([`folder`]), `.run/` for the dev stack; the benchmark runs a stack of its own in another.
//!
//! Invariant: only processes that this folder's records prove to be ours are ever signalled ([`records`]).
#![allow(clippy::disallowed_methods, reason = "the environment of `up` is handed on to what it starts")]

mod admin_key;
mod config;
mod dev_env;
mod down;
mod folder;
mod kept_process;
mod launch;
mod plan;
mod ports;
mod records;
mod secrets;
mod spare_service;
mod spare_worker;
mod status;
mod stores;
mod supervisor;
mod up;

pub(crate) use admin_key::admin_key;
pub(crate) use config::StackConfig;
pub(crate) use dev_env::DevEnv;
pub(crate) use down::{down, stop};
pub(crate) use folder::RunFolder;
pub(crate) use launch::{Lifetime, lay_out, start_supervisor, wait_until_ready};
pub(crate) use plan::{Stores, route_table};
pub(crate) use ports::Ports;
pub(crate) use records::{ProcessRecords, signal};
pub(crate) use spare_service::SpareService;
pub(crate) use spare_worker::{SpareWorker, delivered_in};
pub(crate) use status::status;
pub(crate) use stores::addresses as store_addresses;
pub(crate) use supervisor::supervise;
pub(crate) use up::up;
