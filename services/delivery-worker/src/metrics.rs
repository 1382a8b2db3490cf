//! What the worker counts for Prometheus.

use std::time::Duration;

use onering_delivery::{BreakerChange, Settlement, StatsOutcome, Transition};
use onering_signing::KeyAge;
use onering_store::settlement::Settled;
use onering_telemetry::MetricsError;
use onering_telemetry::metrics::{Counter, Counters, Gauge, Histogram, Label, Metrics, buckets};

use crate::rotation_meter::Shown;

/// The worker's counters and gauges.
#[derive(Debug)]
pub(crate) struct WorkerMetrics {
    outcomes: Counters<1>,
    latency: Histogram,
    attempt_time: Histogram,
    batch: Histogram,
    late: Counter,
    rotation_answers: Counters<1>,
    /// Attempts under way.
    pub(crate) in_flight: Gauge,
    /// Lanes with something to do.
    pub(crate) lanes: Gauge,
    /// Deliveries queued in lanes.
    pub(crate) queued: Gauge,
    /// Entries in the stream, of one or more deliveries each.
    pub(crate) stream: Gauge,
    /// Results that could not be written at first.
    pub(crate) settlement_failures: Counter,
    /// Deliveries found by the sweep.
    pub(crate) swept: Counter,
    /// Sweeps that failed.
    pub(crate) sweep_failures: Counter,
    /// Deliveries put back because their lane was full.
    pub(crate) overflowed: Counter,
    /// Deliveries the sweep put off because they stood before others.
    pub(crate) put_off: Counter,
    /// Changes of circuits that this worker made, by kind.
    pub(crate) circuits: Counters<1>,
    /// Circuits that are not closed, as this worker knows.
    pub(crate) circuits_open: Gauge,
    /// Deliveries in the stream that could not be read.
    pub(crate) garbled: Counter,
    /// Deliveries made by replays.
    pub(crate) replayed: Counter,
}

impl WorkerMetrics {
    /// Declares them.
    ///
    /// # Errors
    /// [`MetricsError`] when a name is taken or not allowed: a mistake in the code.
    pub(crate) fn new(metrics: &Metrics) -> Result<Self, MetricsError> {
        let outcome = Label::of("outcome", StatsOutcome::ALL.iter().map(|outcome| outcome.as_str()));
        Ok(Self {
            outcomes: metrics.counters(
                "onering_deliveries_total",
                "Results written, by what they led to",
                [outcome],
            )?,
            latency: metrics.histogram(
                "onering_delivery_latency_seconds",
                "From accepting an event to the 2xx answer of its receiver",
                buckets::DELAY_SECONDS,
            )?,
            attempt_time: metrics.histogram(
                "onering_delivery_attempt_seconds",
                "How long attempts took, whatever came of them",
                buckets::LATENCY_SECONDS,
            )?,
            batch: metrics.histogram(
                "onering_settlement_batch_size",
                "Results written by one statement",
                buckets::BATCH_SIZE,
            )?,
            late: metrics.counter(
                "onering_settlement_late_total",
                "Results that were not written because the delivery had changed hands",
            )?,
            rotation_answers: metrics.counters(
                "onering_rotation_answers_total",
                "2xx answers during rotations that named the secret they verified with",
                [Label::of("secret", KeyAge::ALL.iter().map(|age| age.as_str()))],
            )?,
            in_flight: metrics.gauge("onering_delivery_attempts_in_flight", "Attempts under way")?,
            lanes: metrics.gauge("onering_delivery_lanes", "Subscriptions with deliveries in this worker")?,
            stream: metrics.gauge(
                "onering_stream_entries",
                "Entries in the stream, waiting or taken, of 1 to 32 deliveries each",
            )?,
            queued: metrics.gauge("onering_delivery_lanes_queued", "Deliveries waiting in lanes for their turn")?,
            settlement_failures: metrics.counter(
                "onering_settlement_failures_total",
                "Batches of results that could not be written at first",
            )?,
            swept: metrics.counter("onering_deliveries_swept_total", "Deliveries the sweep found due")?,
            sweep_failures: metrics.counter("onering_sweep_failures_total", "Sweeps that failed")?,
            overflowed: metrics.counter(
                "onering_deliveries_overflowed_total",
                "Deliveries not taken up because their lane was full",
            )?,
            put_off: metrics.counter(
                "onering_deliveries_put_off_total",
                "Due deliveries put off because their lane was full and they stood before those of others",
            )?,
            circuits: metrics.counters(
                "onering_circuit_transitions_total",
                "Changes of subscriptions' circuits that this worker made, by kind",
                [Label::of("kind", BreakerChange::ALL.iter().map(|change| change.as_str()))],
            )?,
            circuits_open: metrics.gauge(
                "onering_circuits_open",
                "Subscriptions whose circuit is open or being probed, as this worker knows",
            )?,
            garbled: metrics
                .counter("onering_stream_garbled_total", "Deliveries in the stream that could not be read")?,
            replayed: metrics.counter("onering_replayed_total", "Deliveries that replays made again")?,
        })
    }

    /// Counts what an attempt during a rotation's overlap showed.
    pub(crate) fn rotation_answer(&self, shown: &Shown) {
        if let Some(age) = shown.named() {
            self.rotation_answers.with([age.as_str()]).inc();
        }
    }

    /// Counts a batch of results after they were written.
    pub(crate) fn settled(&self, settlements: &[Settlement], settled: &Settled) {
        self.batch.observe_value(settlements.len() as f64);
        for settlement in settlements {
            if !settled.written.contains(&settlement.delivery_id) {
                self.late.inc();
                continue;
            }
            if let Some(outcome) = settlement.transition.stats_outcome() {
                self.outcomes.with([outcome.as_str()]).inc();
            }
            if let Transition::Delivered { latency_ms, .. } = settlement.transition {
                self.latency.observe(Duration::from_millis(latency_ms.into()));
            }
            if let Some(attempt) = &settlement.attempt {
                self.attempt_time.observe(Duration::from_millis(attempt.duration_ms.into()));
            }
        }
    }
}
