//! What is open, and to whom: the switches and the sticky cohorts of a staged rollout.
//!
//! Purpose: one pure answer to "is this on for this partner?", the same on every replica. Entry points:
//! [`switch::resolve`], which merges the three sources of switch values, [`Switches`], what comes out of it, and
//! [`Cohort::contains`].
//!
//! Invariant: a runtime override only narrows. Whatever overrides say, nothing is open that the environment and the
//! flag files leave closed; and a cohort at a smaller percentage is a subset of the same cohort at a larger one.
//!
//! Deliberately absent: reading the environment, files or tables, and the moment of change. That is `onering-flags`'.

mod cohort;
mod murmur3;
mod percent;
mod source;
pub mod switch;
mod switches;

pub use cohort::{BUCKETS, Cohort, bucket};
pub use percent::{Percent, PercentError};
pub use source::SourceValues;
pub use switch::{Kind, Switch, SwitchError, Value, resolve};
pub use switches::Switches;
