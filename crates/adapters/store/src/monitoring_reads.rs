//! What monitoring asks: totals of the per-minute tables, what waits now, recent deliveries, circuits, a subscription's health.
//!
//! The cost of these reads follows the number of minutes, processes and subscriptions, and what waits; never the
//! traffic. Totals come from the per-minute tables by their leading column, those of the workers mostly from what
//! `delivery_totals` has added up; what waits comes from the partial indexes that hold only waiting rows. Deciding what
//! is an alert is `onering-metrics-model`'s. A failed read is an error, never a zero.

mod circuits;
mod health;
mod recent;
mod totals;
mod troubled;
mod waiting;

pub use circuits::{Circuit, CircuitTotals, circuit_of, circuit_totals};
pub use health::{SubscriptionHealth, subscription_health};
pub use recent::{RecentFilter, recent_deliveries};
pub use totals::{
    BucketCount, KeyCount, OutcomeTotal, RequestTotal, delivery_latency, delivery_outcomes, key_counts,
    request_latency, request_totals,
};
pub use troubled::{TroubledSubscriptions, troubled_subscriptions};
pub(crate) use waiting::waiting_of_within;
pub use waiting::{HeldCount, Waiting, waiting, waiting_of};

#[cfg(test)]
pub(crate) mod plan;
#[cfg(test)]
mod tests;
