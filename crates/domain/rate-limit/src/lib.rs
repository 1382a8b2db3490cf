//! Rate limits: what a key may take in a clock hour and in a second, and what its answers say about it.
//!
//! Purpose: the arithmetic of limits, once, for the Redis script's tests, for the local fallback and for the headers.
//! Entry points: [`Window::take`], the reference model, and [`headers`].
//!
//! Invariants: in one window the admitted cost never exceeds the limit; a call is admitted whole or refused whole; a
//! refused call changes nothing. So for calls of cost 1, admitted = min(asked, limit).
//!
//! Deliberately absent: sharing windows between replicas, and the clock. Both are Redis', behind `onering-queue`.

mod headers;
mod loss;
mod policy;
mod window;

pub use headers::{
    DEGRADED_HEADER, LIMIT_HEADER, LimitHeaders, POLICY_HEADER, QUOTA_HEADER, REMAINING_HEADER, RESET_HEADER, headers,
};
pub use loss::{LossPolicy, UnknownLossPolicy};
pub use policy::{Cost, Limit, LimitError, Policy};
pub use window::{HourWindow, Outcome, Quota, RefusedBy, Window};
