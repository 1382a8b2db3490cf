//! Breakers that all workers share: one hash with a field for each subscription that ails, changed by one script.

mod packed;
mod shared;

pub use shared::{BreakerAnswer, BreakerOutcome, BreakerSnapshot, SharedBreakers};
