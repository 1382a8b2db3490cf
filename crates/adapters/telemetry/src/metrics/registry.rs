//! [`Metrics`]: declares metrics and renders them.

use std::collections::HashMap;

use onering_settings::Service;
use prometheus::core::Collector;
use prometheus::{
    GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, PullingGauge, Registry,
    TextEncoder,
};

use super::family::{Counters, Family, Gauges, Histograms};
use super::instrument::{Counter, Gauge, Histogram};
use super::label::Label;
use super::names::{self, NameKind};
use super::process::ProcessCollector;
use crate::error::MetricsError;

/// The metrics of one process. Clones share everything.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
}

impl Metrics {
    /// The content type of [`render`](Self::render).
    pub const CONTENT_TYPE: &'static str = "text/plain; version=0.0.4; charset=utf-8";

    /// The registry of a process: every metric carries the label `service`, and the process' own figures (memory,
    /// processor time, open files, start) and its release are there from the start.
    ///
    /// # Errors
    /// When the library refuses one of these, which depends on nothing outside.
    pub fn new(service: Service) -> Result<Self, MetricsError> {
        let labels = HashMap::from([("service".to_owned(), service.name().to_owned())]);
        let registry = Registry::new_custom(None, Some(labels)).map_err(refused("service"))?;
        let metrics = Self { registry };
        metrics.register("process", ProcessCollector::new().map_err(refused("process"))?)?;
        let build = Opts::new("onering_build_info", "The release that runs; always 1.")
            .const_label("version", env!("CARGO_PKG_VERSION"));
        let build = IntGauge::with_opts(build).map_err(refused("onering_build_info"))?;
        build.set(1);
        metrics.register("onering_build_info", build)?;
        Ok(metrics)
    }

    /// Declares a counter. Its name begins with `onering_` and ends in `_total`.
    ///
    /// # Errors
    /// When the name, the help text or the registry refuses it.
    pub fn counter(&self, name: &str, help: &str) -> Result<Counter, MetricsError> {
        names::check(NameKind::Counter, name, help)?;
        let raw = IntCounter::new(name, help).map_err(refused(name))?;
        self.register(name, raw.clone())?;
        Ok(Counter(raw))
    }

    /// Declares counters with labels.
    ///
    /// # Errors
    /// When the name, the help text, a label or the registry refuses them.
    pub fn counters<const N: usize>(
        &self,
        name: &str,
        help: &str,
        labels: [Label; N],
    ) -> Result<Counters<N>, MetricsError> {
        names::check(NameKind::Counter, name, help)?;
        let raw = IntCounterVec::new(Opts::new(name, help), &label_names(name, &labels)?).map_err(refused(name))?;
        self.register(name, raw.clone())?;
        Ok(Family::new(raw, labels))
    }

    /// Declares a gauge.
    ///
    /// # Errors
    /// When the name, the help text or the registry refuses it.
    pub fn gauge(&self, name: &str, help: &str) -> Result<Gauge, MetricsError> {
        names::check(NameKind::Gauge, name, help)?;
        let raw = prometheus::Gauge::new(name, help).map_err(refused(name))?;
        self.register(name, raw.clone())?;
        Ok(Gauge(raw))
    }

    /// Declares a gauge whose value is asked for at each scrape. `value` must answer at once.
    ///
    /// # Errors
    /// When the name, the help text or the registry refuses it.
    pub fn observed_gauge(
        &self,
        name: &str,
        help: &str,
        value: impl Fn() -> f64 + Send + Sync + 'static,
    ) -> Result<(), MetricsError> {
        names::check(NameKind::Gauge, name, help)?;
        let raw = PullingGauge::new(name, help, Box::new(value)).map_err(refused(name))?;
        self.register(name, raw)
    }

    /// Declares gauges with labels.
    ///
    /// # Errors
    /// When the name, the help text, a label or the registry refuses them.
    pub fn gauges<const N: usize>(
        &self,
        name: &str,
        help: &str,
        labels: [Label; N],
    ) -> Result<Gauges<N>, MetricsError> {
        names::check(NameKind::Gauge, name, help)?;
        let raw = GaugeVec::new(Opts::new(name, help), &label_names(name, &labels)?).map_err(refused(name))?;
        self.register(name, raw.clone())?;
        Ok(Family::new(raw, labels))
    }

    /// Declares a histogram with these upper bounds (see [`super::buckets`]).
    ///
    /// # Errors
    /// When the name, the help text, the bounds or the registry refuses it.
    pub fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> Result<Histogram, MetricsError> {
        names::check(NameKind::Histogram, name, help)?;
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        let raw = prometheus::Histogram::with_opts(options).map_err(refused(name))?;
        self.register(name, raw.clone())?;
        Ok(Histogram(raw))
    }

    /// Declares histograms with labels.
    ///
    /// # Errors
    /// When the name, the help text, the bounds, a label or the registry refuses them.
    pub fn histograms<const N: usize>(
        &self,
        name: &str,
        help: &str,
        buckets: &[f64],
        labels: [Label; N],
    ) -> Result<Histograms<N>, MetricsError> {
        names::check(NameKind::Histogram, name, help)?;
        let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
        let raw = HistogramVec::new(options, &label_names(name, &labels)?).map_err(refused(name))?;
        self.register(name, raw.clone())?;
        Ok(Family::new(raw, labels))
    }

    /// All metrics as text, for the body of `/metrics`.
    ///
    /// # Errors
    /// When the text cannot be written.
    pub fn render(&self) -> Result<String, MetricsError> {
        TextEncoder::new().encode_to_string(&self.registry.gather()).map_err(MetricsError::Render)
    }

    fn register(&self, name: &str, metric: impl Collector + 'static) -> Result<(), MetricsError> {
        self.registry.register(Box::new(metric)).map_err(refused(name))
    }
}

fn refused(name: &str) -> impl FnOnce(prometheus::Error) -> MetricsError {
    let name = name.to_owned();
    |source| MetricsError::Register { name, source }
}

fn label_names<'l, const N: usize>(name: &str, labels: &'l [Label; N]) -> Result<Vec<&'l str>, MetricsError> {
    for label in labels {
        names::check_label(name, label.name())?;
    }
    Ok(labels.iter().map(Label::name).collect())
}
