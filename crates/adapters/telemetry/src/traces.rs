//! Traces: batches of spans, sent to a collector by a thread of their own.

use std::time::Duration;

use onering_settings::Process;
use opentelemetry::KeyValue;
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Metadata;
use url::Url;

use crate::error::TelemetryError;

/// How long one batch may take to be sent. Also bounds how long the end of the process waits for the last one.
pub(crate) const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// Crates whose spans are exported, besides those named `onering_…`: ours.
const OURS: [&str; 5] = ["onering", "api_gateway", "admin", "monitoring", "delivery_worker"];

/// Is this a span or event of our own code? Those of the HTTP client that carries traces would feed themselves.
pub(crate) fn is_ours(metadata: &Metadata<'_>) -> bool {
    let crate_name = metadata.target().split("::").next().unwrap_or_default();
    OURS.contains(&crate_name) || crate_name.starts_with("onering_")
}

/// A provider whose spans go to the collector at `base`.
pub(crate) fn provider(base: &Url, process: &Process) -> Result<SdkTracerProvider, TelemetryError> {
    let endpoint = format!("{}/v1/traces", base.as_str().trim_end_matches('/'));
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(client()?)
        .with_endpoint(&endpoint)
        .with_timeout(EXPORT_TIMEOUT)
        .build()
        .map_err(|source| TelemetryError::TraceExporter { endpoint, source })?;
    let resource = Resource::builder()
        .with_service_name(process.service.name())
        .with_attributes([
            KeyValue::new("service.namespace", "onering"),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("service.instance.id", process.instance.clone()),
        ])
        .build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}

/// The batch thread has no async runtime, so the client is a blocking one; and such a client may not be made on a
/// thread that has a runtime, so it is made on its own.
fn client() -> Result<reqwest::blocking::Client, TelemetryError> {
    // The client needs a TLS provider even for plain HTTP. An error says that the program has chosen one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    std::thread::Builder::new()
        .name("otlp-client".to_owned())
        .spawn(|| reqwest::blocking::Client::builder().timeout(EXPORT_TIMEOUT).build())
        .map_err(|_| TelemetryError::TraceClientThread)?
        .join()
        .map_err(|_| TelemetryError::TraceClientThread)?
        .map_err(TelemetryError::TraceClient)
}
