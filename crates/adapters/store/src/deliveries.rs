//! Deliveries as people see them: lists, one with its attempts, repeats, cancellation.
//!
//! How a delivery moves through its attempts is in `leases` and `settlement`; here nothing touches a lease somebody may
//! hold, except [`cancel_waiting`], whose subscription is gone.

mod attempts;
mod body;
mod cancel;
mod insert;
mod list;
mod row;

pub use attempts::{DeliveryAttempt, DeliveryWithAttempts, get, get_any_owner};
pub use body::{body_sizes, event_bodies};
pub(crate) use cancel::cancel_orphans;
pub use cancel::cancel_waiting;
pub use insert::{Inserted, Repeat, Repeated, TEST_EVENT_TYPE, TestDelivery, insert_test, repeat};
pub use list::{DeliveryFilter, DeliveryPage, Page, list, list_any_owner};
#[cfg(test)]
pub(crate) use list::{Failed, OfAll, OfOwner, OfWaiting};
pub use row::Delivery;

#[cfg(test)]
mod tests;
