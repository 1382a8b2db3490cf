//! The ledger as gauges.

use onering_metrics_model::LedgerReport;
use onering_telemetry::metrics::Gauge;
use onering_telemetry::{Metrics, MetricsError};

use super::figure_gauges::UNKNOWN;

/// The gauges of the ledger's last check.
#[derive(Debug)]
pub(super) struct LedgerGauges {
    balanced: Gauge,
    missing: Gauge,
    checked_at: Gauge,
    days_counted: Gauge,
    days_unbalanced: Gauge,
}

impl LedgerGauges {
    /// Declares them; they show that nothing is known yet.
    pub(super) fn declare(metrics: &Metrics) -> Result<Self, MetricsError> {
        let gauges = Self {
            balanced: metrics.gauge(
                "onering_ledger_balanced",
                "1 while every delivery promised in the last 24 hours is there, once; NaN while that is not known.",
            )?,
            missing: metrics.gauge(
                "onering_ledger_missing",
                "Deliveries of the last 24 hours that should be there and are not; negative when there are too many.",
            )?,
            checked_at: metrics.gauge(
                "onering_ledger_checked_timestamp_seconds",
                "When the ledger was last counted, in seconds since 1970; 0 for never.",
            )?,
            days_counted: metrics.gauge(
                "onering_ledger_partitions_counted",
                "Whole days before today that were counted, one after the other, since this process started.",
            )?,
            days_unbalanced: metrics.gauge(
                "onering_ledger_partitions_unbalanced",
                "Those of the days counted that did not balance when they were last counted; NaN before the first is.",
            )?,
        };
        gauges.show_nothing();
        gauges.days_unbalanced.set(UNKNOWN);
        Ok(gauges)
    }

    /// Shows a check.
    pub(super) fn show(&self, report: &LedgerReport) {
        self.checked_at.set(report.timestamp.timestamp_millis() as f64 / 1_000.0);
        self.missing.set(report.missing as f64);
        // Last: who sees that it is known sees the rest.
        self.balanced.set_flag(report.balances);
    }

    /// Shows what is known of the days before today.
    pub(super) fn show_days(&self, counted: usize, unbalanced: usize) {
        self.days_counted.set_count(counted);
        self.days_unbalanced.set_count(unbalanced);
    }

    /// Shows that it could not be counted. When it last could stays.
    pub(super) fn show_nothing(&self) {
        self.balanced.set(UNKNOWN);
        self.missing.set(UNKNOWN);
    }
}
