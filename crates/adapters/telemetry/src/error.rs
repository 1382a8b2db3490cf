//! What can go wrong while telemetry is set up.

/// Logs or traces cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TelemetryError {
    /// The filter directives are not understood.
    #[error("ONERING_LOG cannot be used: `{directives}` is neither a level nor a list of directives")]
    LogFilter {
        /// What was given.
        directives: String,
        /// What is wrong with it.
        #[source]
        source: tracing_subscriber::filter::ParseError,
    },
    /// Somebody else has set the process' subscriber.
    #[error("logging has already been set up in this process")]
    AlreadySetUp(#[source] tracing_subscriber::util::TryInitError),
    /// The thread that writes log lines could not be started.
    #[error("the thread that writes log lines could not be started")]
    NoThread(#[source] std::io::Error),
    /// The HTTP client that carries traces could not be made.
    #[error("the client for OTEL_EXPORTER_OTLP_ENDPOINT could not be made")]
    TraceClient(#[source] reqwest::Error),
    /// The thread that makes the client could not be started or ended early.
    #[error("the client for OTEL_EXPORTER_OTLP_ENDPOINT could not be made: its thread failed")]
    TraceClientThread,
    /// The exporter refuses its settings.
    #[error("traces cannot be exported to OTEL_EXPORTER_OTLP_ENDPOINT {endpoint}")]
    TraceExporter {
        /// Where traces were to go.
        endpoint: String,
        /// What the exporter says.
        #[source]
        source: opentelemetry_otlp::ExporterBuildError,
    },
}

/// A metric cannot be declared or rendered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MetricsError {
    /// The name breaks a rule.
    #[error("the metric name `{name}` cannot be used: {rule}")]
    Name {
        /// The name.
        name: String,
        /// The rule.
        rule: &'static str,
    },
    /// The help text is empty.
    #[error("the metric `{name}` has no help text")]
    Help {
        /// The metric.
        name: String,
    },
    /// A label's name breaks a rule.
    #[error("the label `{label}` of the metric `{name}` cannot be used: {rule}")]
    Label {
        /// The metric.
        name: String,
        /// The label.
        label: String,
        /// The rule.
        rule: &'static str,
    },
    /// The registry refuses the metric: most likely it has one of that name.
    #[error("the metric `{name}` cannot be registered")]
    Register {
        /// The metric.
        name: String,
        /// What the registry says.
        #[source]
        source: prometheus::Error,
    },
    /// The text could not be written.
    #[error("the metrics cannot be rendered")]
    Render(#[source] prometheus::Error),
}
