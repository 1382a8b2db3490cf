//! Postgres: every table, every row type and all SQL of the platform.
//!
//! Start with [`migrate::migrate`] once per deployment and [`Pool::new`] once per process; then call the functions of the
//! module that owns a table family. They take `&mut AsyncPgConnection`, so the caller decides about connections and
//! transactions, and name the resource first and the verb second: `settlement::settle`, `leases::sweep`.
//!
//! What always holds here: Postgres is the truth, and its clock alone judges leases. Every change of a delivery's state is
//! one conditional statement whose answer says which rows it really changed. Hot statements have constant SQL
//! (`statement.rs`), so each connection prepares them once. What is newest and what waits is read along an index
//! (`by_index.rs`), whatever Postgres takes a day's table for.
//!
//! Deliberately absent: retry policy and decisions (domain crates), Redis (`onering-queue`), a clock of its own, and any
//! transaction that outlives a function, let alone an HTTP request.

mod address;
pub mod admin_keys;
pub mod api_keys;
pub mod audit_log;
pub mod blocklist;
mod by_index;
mod certificates;
pub mod circuit_events;
mod columns;
pub mod database_clock;
pub mod deliveries;
pub mod delivery_totals;
mod error;
pub mod event_types;
pub mod failing_subscriptions;
pub mod flags;
#[cfg(test)]
mod hot_statements;
pub mod idempotency;
pub mod ingest;
pub mod leases;
pub mod ledger;
pub mod listen;
pub mod migrate;
pub mod monitoring_reads;
pub mod partitions;
pub mod partners;
pub mod pool;
pub mod replays;
mod schema;
pub mod seeding;
pub mod server_counters;
pub mod settlement;
mod statement;
pub mod statistics;
pub mod subscriptions;
#[cfg(test)]
mod testing;
mod transaction;
pub mod usage;

pub use diesel_async::AsyncPgConnection;
pub use error::{Context, StoreError};
pub use pool::{Pool, PoolConfig, connect};
pub use transaction::transaction;
