//! The worker's own behaviour, with the real process on private stores: events come from plain SQL or from the stream,
//! receivers are real.
#![allow(clippy::unwrap_used, reason = "these are tests, although not all in test functions")]

mod bench;
mod breaker;
mod clock;
mod failing;
mod isolation;
mod journeys;
mod lanes;
mod outages;
mod replays;
mod spoilt_rows;
mod stream;
