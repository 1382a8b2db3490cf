//! The three kinds of metrics. Handles are cheap to clone and to count with: keep them where they are used.

use std::time::Duration;

use prometheus::{GaugeVec, HistogramVec, IntCounterVec};

/// A number that only grows.
#[derive(Debug, Clone)]
pub struct Counter(pub(crate) prometheus::IntCounter);

impl Counter {
    /// Counts one.
    pub fn inc(&self) {
        self.0.inc();
    }

    /// Counts `more`.
    pub fn add(&self, more: u64) {
        self.0.inc_by(more);
    }

    /// What has been counted.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.get()
    }
}

/// A number that goes up and down.
#[derive(Debug, Clone)]
pub struct Gauge(pub(crate) prometheus::Gauge);

impl Gauge {
    /// Sets it.
    pub fn set(&self, value: f64) {
        self.0.set(value);
    }

    /// Sets it to a number of things.
    pub fn set_count(&self, count: usize) {
        // Exact up to 2^53, which no count of ours comes near.
        self.0.set(count as f64);
    }

    /// Sets it to 1 or 0.
    pub fn set_flag(&self, on: bool) {
        self.0.set(if on { 1.0 } else { 0.0 });
    }

    /// One more.
    pub fn inc(&self) {
        self.0.inc();
    }

    /// One less.
    pub fn dec(&self) {
        self.0.dec();
    }

    /// What it is.
    #[must_use]
    pub fn get(&self) -> f64 {
        self.0.get()
    }
}

/// How values are spread.
#[derive(Debug, Clone)]
pub struct Histogram(pub(crate) prometheus::Histogram);

impl Histogram {
    /// Takes a time, as seconds.
    pub fn observe(&self, time: Duration) {
        self.0.observe(time.as_secs_f64());
    }

    /// Takes a size, or a number in the histogram's own unit.
    pub fn observe_value(&self, value: f64) {
        self.0.observe(value);
    }

    /// How many values it has taken.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.get_sample_count()
    }
}

/// A kind of metric. Implemented by [`Counter`], [`Gauge`] and [`Histogram`] only.
pub trait Instrument: Sized + sealed::Sealed {}

impl Instrument for Counter {}
impl Instrument for Gauge {}
impl Instrument for Histogram {}

pub(crate) mod sealed {
    /// How the library underneath keeps a family of this kind.
    pub trait Sealed: Sized {
        type Raw: Clone + Send + Sync + 'static;

        /// The member with these label values, made if it was not there.
        fn member(raw: &Self::Raw, values: &[&str]) -> Result<Self, prometheus::Error>;
    }
}

impl sealed::Sealed for Counter {
    type Raw = IntCounterVec;

    fn member(raw: &IntCounterVec, values: &[&str]) -> Result<Self, prometheus::Error> {
        raw.get_metric_with_label_values(values).map(Self)
    }
}

impl sealed::Sealed for Gauge {
    type Raw = GaugeVec;

    fn member(raw: &GaugeVec, values: &[&str]) -> Result<Self, prometheus::Error> {
        raw.get_metric_with_label_values(values).map(Self)
    }
}

impl sealed::Sealed for Histogram {
    type Raw = HistogramVec;

    fn member(raw: &HistogramVec, values: &[&str]) -> Result<Self, prometheus::Error> {
        raw.get_metric_with_label_values(values).map(Self)
    }
}
