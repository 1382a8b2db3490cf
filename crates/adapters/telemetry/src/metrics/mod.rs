//! Metrics in Prometheus' text format 0.0.4.
//!
//! A service declares its metrics once, at its start, and keeps the handles where it counts. What is declared is
//! checked then: prefix, unit, help text, and labels that cannot grow without bound.

mod family;
mod instrument;
mod label;
mod names;
mod process;
mod registry;

pub use family::{Counters, Family, Gauges, Histograms};
pub use instrument::{Counter, Gauge, Histogram, Instrument};
pub use label::Label;
pub use registry::Metrics;

/// Bounds of histogram buckets.
pub mod buckets {
    /// From half a millisecond to half a minute, s: requests, attempts, statements.
    pub const LATENCY_SECONDS: &[f64] =
        &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
    /// From 5 ms to 6 h, s: from an event to its delivery, retries included.
    pub const DELAY_SECONDS: &[f64] =
        &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0, 21_600.0];
    /// From 1 to 4,096: how many a batch holds.
    pub const BATCH_SIZE: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1_024.0, 4_096.0];
}
