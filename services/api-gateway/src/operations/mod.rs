//! What calls do, apart from HTTP.

mod prepare_event;
mod publish_batch;

pub(crate) use prepare_event::prepare_event;
pub(crate) use publish_batch::{BatchItems, ItemOutcome, parse_item, publish_batch};
