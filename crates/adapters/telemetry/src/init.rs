//! [`init`]: logs and traces of this process.

use std::io::Stdout;

use onering_settings::{Process, Telemetry};
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::error::TelemetryError;
use crate::lines::Lines;
use crate::{field, logs, traces};

/// Keeps telemetry going. Dropping it sends the spans and writes the log lines that are still waiting; hold it until the end of
/// `main`.
#[must_use = "dropping the guard ends the export of traces"]
#[derive(Debug)]
pub struct TelemetryGuard {
    traces: Option<SdkTracerProvider>,
    lines: Lines<Stdout>,
}

/// Sets up logs, and traces where a collector is named, for the whole process. Once.
///
/// # Errors
/// When the filter is not understood, the exporter cannot be made, or logging has been set up before.
pub fn init(settings: &Telemetry, process: &Process) -> Result<TelemetryGuard, TelemetryError> {
    let filter = logs::filter(settings)?;
    let provider = settings.otlp.as_ref().map(|base| traces::provider(base, process)).transpose()?;
    let lines = Lines::to(std::io::stdout()).map_err(TelemetryError::NoThread)?;
    let guard = TelemetryGuard { traces: provider, lines: lines.clone() };
    let export = guard.traces.as_ref().map(|provider| {
        tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("onering"))
            .with_threads(false)
            .with_filter(filter_fn(traces::is_ours))
    });
    tracing_subscriber::registry()
        .with(filter)
        .with(export)
        .with(logs::layer(settings.format, lines))
        .try_init()
        .map_err(TelemetryError::AlreadySetUp)?;
    tracing::info!(
        { field::SERVICE } = process.service.name(),
        { field::INSTANCE } = process.instance,
        { field::VERSION } = env!("CARGO_PKG_VERSION"),
        traces = settings.otlp.is_some(),
        "telemetry started"
    );
    Ok(guard)
}

impl Drop for TelemetryGuard {
    fn drop(&mut self) {
        if let Some(provider) = self.traces.take()
            && let Err(error) = provider.shutdown_with_timeout(traces::EXPORT_TIMEOUT)
        {
            tracing::warn!({ field::ERROR } = %error, "the last traces were not sent");
        }
        self.lines.end();
    }
}
