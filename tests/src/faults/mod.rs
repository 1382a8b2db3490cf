//! The fault suite: events flow, something breaks in the middle, and afterwards every event answered 202 must have arrived,
//! once unless a crash explains a repeat, with signatures that verify; the ledger balances, and no worker grew beyond its
//! bound.
//!
//! Entry points: [`start`] for a stack that can be broken, [`run`] for one [`Fault`] under one [`Trial`], [`Program`] for
//! the order and the moments that a seed stands for. What a run came to is a [`Verdict`]; [`Verdict::reds`] says what is
//! wrong with it.
//!
//! Deliberately absent: DNS that changes its answer. The worker asks the system's resolver, which no test can point
//! elsewhere; `crates/adapters/webhook-client/tests/receivers.rs` breaks it at the client's own seam.

mod fault;
mod inbox;
mod load;
mod neighbours;
mod program;
mod run;
mod strike;
mod table;
mod verdict;

pub use fault::Fault;
pub use program::Program;
pub use run::{Trial, run, start};
pub use table::{HEAD, row};
pub use verdict::Verdict;
