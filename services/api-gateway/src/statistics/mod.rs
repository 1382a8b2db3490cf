//! What is counted of answers and of usage: in memory, per minute and per hour, and written down once a second.
//!
//! Each HTTP worker counts in a [`Tally`] of its own, so counting never waits for another thread; [`Bookkeeper`] gathers all
//! tallies and writes the sums. A write that fails keeps its counts for the next.

mod bookkeeper;
mod counts;
mod tally;

pub(crate) use bookkeeper::Bookkeeper;
pub(crate) use tally::{Answer, Tally};
