//! The gateway: what partners call.
//!
//! Purpose: it knows who calls, decides whether they come in, holds them to their limits exactly, accepts their events and
//! subscriptions, and passes on to the product what the route table names. Entry point: [`Application`]; [`reading`] is its
//! parsers alone.
//!
//! Invariants: no handler runs before the access decision, because the permission is the type of its argument; every answer
//! to a recognised caller has its rate headers, from the one decision that was made; an event is answered with 202 after it
//! was committed and not before; nothing that a request waits for crosses to another thread while its key is in memory.
//!
//! Deliberately absent: sending deliveries (the worker's), operators (admin's), and any state that a second replica would
//! have to agree with: that is in Postgres and Redis.

mod access;
mod forwarding;
mod ingest;
mod metrics;
mod operations;
pub mod reading;
mod routes;
mod startup;
mod statistics;
mod worker;

pub use startup::Application;
