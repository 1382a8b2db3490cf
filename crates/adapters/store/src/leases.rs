//! Who may attempt a waiting delivery, and until when.
//!
//! A waiting delivery has either `queued_until`, a lease or a due time by this database's clock, or `held_reason`. The sweep
//! ([`sweep`]) takes only rows whose time has passed and always sets a new time; whoever holds `(attempt_count,
//! queued_until)` as the row still has it may attempt the delivery ([`renew`], `settlement::settle`). So at any instant
//! at most one process has that right, whatever Redis remembers or forgets.
//!
//! Held rows ([`hold`]) stay until their reason goes ([`release`]); then they are due at once and the sweep takes them.

mod held;
mod renew;
mod sweep;

pub use held::{HeldSubscription, held_subscriptions, hold, release, release_subscriptions};
pub use renew::{Renewal, renew};
pub use sweep::{Haul, LeftBehind, Swept, Vacancy, Wanted, sweep};

#[cfg(test)]
pub(crate) use {renew::Renew, sweep::FRONT, sweep::Sweep};

#[cfg(test)]
mod tests;
