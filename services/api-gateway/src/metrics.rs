//! What the gateway shows at `/metrics` besides what every service shows.

use onering_telemetry::metrics::{Counter, Counters, Histogram, Label, buckets};
use onering_telemetry::{Metrics, MetricsError};

use crate::ingest::PusherMetrics;

/// The gateway's counters.
#[derive(Debug, Clone)]
pub(crate) struct GatewayMetrics {
    /// Answers beneath `/v1/external`, by code.
    pub(crate) answers: Counters<1>,
    /// Tokens a look-up asks for.
    pub(crate) key_look_up_sizes: Histogram,
    /// Events of a commit.
    pub(crate) commit_sizes: Histogram,
    /// Time of a commit.
    pub(crate) commit_times: Histogram,
    /// Commits that failed.
    pub(crate) commit_failures: Counter,
    /// Deliveries brought to the stream.
    pub(crate) pushes: PusherMetrics,
    /// Statistics that could not be written.
    pub(crate) statistics_failures: Counter,
}

impl GatewayMetrics {
    /// Declares them.
    ///
    /// # Errors
    /// When one is declared already.
    pub(crate) fn declare(metrics: &Metrics) -> Result<Self, MetricsError> {
        let codes = onering_problem::Code::ALL.iter().map(|code| code.as_str()).chain(["OK"]);
        Ok(Self {
            answers: metrics.counters(
                "onering_external_answers_total",
                "Answers of the partner API, by the code of the gateway's refusal, or OK.",
                [Label::of("code", codes)],
            )?,
            key_look_up_sizes: metrics.histogram(
                "onering_key_look_up_size",
                "Requests that shared one look-up of keys in Postgres.",
                buckets::BATCH_SIZE,
            )?,
            commit_sizes: metrics.histogram(
                "onering_ingest_commit_size",
                "Events that shared one commit.",
                buckets::BATCH_SIZE,
            )?,
            commit_times: metrics.histogram(
                "onering_ingest_commit_seconds",
                "Time that the commit of a batch of events took.",
                buckets::LATENCY_SECONDS,
            )?,
            commit_failures: metrics
                .counter("onering_ingest_failures_total", "Batches of events that could not be written.")?,
            pushes: PusherMetrics {
                pushed: metrics.counter(
                    "onering_stream_pushed_total",
                    "Deliveries pushed to the stream right after their commit.",
                )?,
                left_to_sweep: metrics.counter(
                    "onering_stream_left_to_sweep_total",
                    "Deliveries not pushed to the stream: it was full or away, and the sweep brings them.",
                )?,
            },
            statistics_failures: metrics
                .counter("onering_statistics_failures_total", "Times that statistics could not be written at first.")?,
        })
    }
}
