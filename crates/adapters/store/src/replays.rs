//! Replays: jobs that send the deliveries of a range of time again, as new deliveries that point at their originals.
//!
//! An operator asks how many there are ([`count`]) and makes a job ([`create`]). Workers take jobs ([`lease`]) and go over
//! their originals step by step ([`step`]), each step one transaction that makes new deliveries and moves the job's cursor.
//! So whatever is killed, each original is repeated at most once by a job, and a job goes on where it was.
//!
//! What is gone over: originals only, that is deliveries that repeat no other one, that were final when the job was made. An
//! original stands for its repeats (resends, other replays): it counts as delivered once it or one of them was, it is left
//! alone while one of them waits, and else by its own status. So replaying what failed twice does not send twice what
//! the first time brought home, and nothing is sent once for the original and once for each of its repeats.

mod count;
mod job;
mod jobs;
mod lease;
mod step;

pub use count::{ReplayCount, count};
pub use job::{NewReplay, ReplayJob, ReplayScope};
pub use jobs::{MOST_RUNNING, cancel, create, get, list};
pub use lease::{fail, lease, release};
pub use step::{Stepped, Turn, step};

#[cfg(test)]
pub(crate) use {count::Count, step::Repeat};

#[cfg(test)]
mod tests;
