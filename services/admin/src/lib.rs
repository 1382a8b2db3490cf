//! The operators' API, `/v1/admin`.
//!
//! Entry point: [`start`]; the routes and what they need are the table in `routes`. A handler unpacks, calls one operation and
//! answers; its permission is the type of an argument.
//!
//! What always holds: a change and its row of the audit log are one transaction, which the type of
//! `AdminState::change` asks for; gateways and workers are told after the commit; a token is in the one answer that makes
//! it, with `Cache-Control: no-store`, and in no row, log line or audit row.
//!
//! Deliberately absent: the access decision for partners (the gateway's), sending, and every SQL statement.

mod acting;
mod fields;
mod json_answer;
mod operations;
mod operator_directory;
mod path_id;
mod routes;
mod startup;
mod state;

pub use startup::start;
