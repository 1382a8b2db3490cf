//! Accepting events: requests that arrive while commits are under way share the next.
//!
//! All HTTP workers share one queue. [`Publisher::publish`] puts an event into it and answers once it is committed, durably.
//! Mostly one commit is under way at a time; further ones go beside large ones, each on a Postgres connection of its own. What a commit leads to is pushed to the delivery stream afterwards by the process's
//! [`Pusher`], for which nobody waits: a push that is lost costs time and not the delivery, which the sweep finds.

mod batch;
mod committer;
mod database_line;
mod fairness;
mod prepared_event;
mod publisher;
mod pusher;
mod queue;

pub(crate) use committer::{Committing, start_committers};
pub(crate) use prepared_event::{Claim, PreparedEvent};
pub(crate) use publisher::{NotAccepted, Publisher, Receipt};
pub(crate) use pusher::{Pusher, PusherMetrics};
