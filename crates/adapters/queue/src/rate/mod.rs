//! Exact rate limits: the script that counts, the limiter that gathers requests for it, and what holds without Redis.

mod answer;
mod denied;
mod flight;
mod limiter;
mod local;
mod script;

pub use answer::TakeAnswer;
pub use limiter::{Decision, LimiterUnavailable, RateLimiter};
pub use local::LocalLimits;
pub use script::{RateScript, TakeRequest, Taken};
