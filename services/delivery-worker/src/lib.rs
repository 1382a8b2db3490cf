//! The delivery worker: sends deliveries, retries them, and finds again what was lost on the way.
//!
//! An item comes from the stream ([`intake`]) or from Postgres ([`sweep`]), waits in its subscription's lane
//! ([`dispatcher`], [`lanes`]), is sent ([`attempt`]) and settled ([`settling`]). Entry point: [`run`].
//!
//! Invariants: nothing is sent without a lease that covers the request; nothing is acknowledged before its result is
//! committed; the number of items in this process is bounded by its places.
//!
//! Deliberately absent: decisions. What an answer means, when to try again and who may is in `onering-delivery`.

pub mod attempt;
pub mod context;
pub mod database_clock;
pub mod dispatcher;
pub mod housekeeping;
pub mod intake;
pub mod lanes;
pub mod metrics;
mod mode;
pub mod renewal;
pub mod settling;
mod startup;
pub mod subscription_cache;
pub mod sweep;
pub mod verdict;
pub mod work_item;

pub use mode::{Mode, Usage};
pub use startup::run;
