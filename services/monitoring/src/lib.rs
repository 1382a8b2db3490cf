//! The monitoring service: what happened in the last 24 hours, what waits now, what is wrong, and whether anything was lost.
//!
//! Entry point: [`Application::build`], which both the process and the tests use. `routes` are the HTTP side, one operation
//! each; `operations` read; `counting` turns rows into figures, without I/O; `watches` keep the gauges of `/metrics` and the totals
//! that figures of a day are read from.
//!
//! Invariants: a source that cannot be read is an error (503) or, in a gauge, `NaN`; never a zero. Every read has a deadline.
//! What an answer costs follows the number of minutes and of what waits, not the traffic; only the ledger counts rows, on
//! connections of its own, so that it can never keep the others waiting.
//!
//! Deliberately absent: writing anything but these totals and an admin key's last use, the shapes of the answers and the rules of
//! the alerts (`onering-metrics-model`), and any call to another service.

mod application;
mod counting;
mod openapi;
mod operations;
mod operator_directory;
mod routes;
mod sources;
mod watches;

pub use application::{Application, StartError};
pub use openapi::{ApiDocumentation, schemas};
