//! Who may attempt a waiting delivery, and until when.
//!
//! A waiting delivery has either `queued_until`, a lease or a due time by this database's clock, or `held_reason`. The sweep
//! ([`sweep`]) takes only rows whose time has passed and always sets a new time; whoever holds `(attempt_count,
//! queued_until)` as the row still has it may attempt the delivery ([`renew`], `settlement::settle`). So at any instant
//! at most one process has that right, whatever Redis remembers or forgets.
//!
//! A row is held by whoever has its lease (`settlement::settle`) or from the start, and stays so until its reason goes
//! ([`release_subscriptions`], [`release_oldest`]); then it is due at once and the sweep takes it. What is held because delivery was
//! off the sweep takes as it is: it only runs while delivery is on.

mod held;
mod renew;
mod sweep;

pub use held::{FoundHeld, HeldSubscription, held_subscriptions, release_oldest, release_subscriptions};
pub use renew::{Renewal, renew};
pub use sweep::{Haul, LeftBehind, Swept, Vacancy, Wanted, sweep};

#[cfg(test)]
pub(crate) use {held::ReleaseOldest, held::ReleaseSubscriptions, sweep::FRONT, sweep::Sweep};

#[cfg(test)]
mod tests;
