//! The delivery worker: sends deliveries, retries them, and finds again what was lost on the way.
//!
//! An item comes from the stream (`intake`, `bodies`) or from Postgres (`sweep`), is given its subscription (`arrival`), waits in
//! that subscription's lane (`dispatcher`, `lanes`), is prepared where need be (`preparation`), sent (`attempt`) and settled
//! (`settling`, `writing`). Subscriptions whose receiver fails are left alone (`breakers`). `replay` makes deliveries of the
//! past again. Entry point: [`run`].
//!
//! Invariants: nothing is sent without a lease that covers the request; nothing is acknowledged before its result is
//! committed, unless the delivery is somebody else's; the number of items in this process is bounded by its places; a part
//! that ends by itself ends the process.
//!
//! Deliberately absent: decisions. What an answer means, when to try again and who may is in `onering-delivery`.

mod arrival;
mod attempt;
mod bodies;
mod breakers;
mod context;
mod database_clock;
mod dispatcher;
mod entry_share;
mod events;
mod failing_subscriptions;
mod housekeeping;
mod intake;
mod lane_limit;
mod lanes;
mod look;
mod metrics;
mod mode;
mod places;
mod planted;
mod preparation;
mod recovery;
mod release;
mod replay;
mod rotation_meter;
mod settling;
mod signing_keys;
mod startup;
mod subscription_cache;
mod sweep;
mod tally;
mod verdict;
mod work_item;
mod worker;
mod writing;

pub use mode::{Mode, Usage};
pub use startup::run;
