//! The one source of time and of randomness.
//!
//! Everything that happens by itself in the outside world and cannot be reproduced from arguments starts
//! here: what time it is, a fresh id, a secret's entropy, the jitter of a retry. A program makes one
//! [`Clock`] at its start and passes clones down; pure code takes instants as arguments and never sees it.
//!
//! Entry points: [`Clock::system`] in programs, [`Clock::manual`] in tests.
//!
//! Invariants:
//! - `now` has microseconds and no more, so an instant read back from Postgres equals the one written;
//! - `monotonic` never goes back, whatever an administrator or NTP does to the wall clock;
//! - ids made by one process sort in the order they were made.
//!
//! Deliberately absent: sleeping (the runtime's business) and the time used for leases, which is the
//! database's: one judge for many clocks.
#![expect(clippy::disallowed_methods, reason = "this crate is the home that the ban on `now` and `random` points to")]

mod clock;
mod id_sequence;
mod randomness;

pub use clock::Clock;
