//! What monitoring answers with, and when it raises an alarm.
//!
//! Entry points: [`ExternalMetrics::new`] and [`WebhookMetrics::new`] make the two main answers out of counts;
//! [`evaluate`] compares [`Readings`] with [`Thresholds`]; [`Precision`] and [`Histogram`] keep latencies as HDR buckets
//! that add up exactly over processes and minutes.
//!
//! Invariants: an alert fires strictly above its threshold; where nothing was measured a figure is null, never zero;
//! names that users scrape twice (`dead` and `dead_letter`) come from one value.
//!
//! Deliberately absent: where the counts come from (`onering-store`) and the Prometheus registry
//! (`onering-telemetry`). A source that cannot be read is the caller's error and never reaches this crate.

mod alerts;
mod external;
mod histogram;
mod lists;
mod thresholds;
mod webhooks;

pub use alerts::{Alert, AlertKind, AlertsReport, Readings, evaluate};
pub use external::{CanaryMetrics, ExternalAlerts, ExternalCounts, ExternalMetrics, TierMetrics};
pub use histogram::{Histogram, Precision};
pub use lists::{
    ApiKeyMetrics, ApiKeysReport, LedgerReport, RecentDeliveries, RecentDelivery, RotationProgress, WebhookHealth,
};
pub use thresholds::Thresholds;
pub use webhooks::{WebhookAlerts, WebhookCounts, WebhookMetrics, mean_retries, rate};
