//! Log lines: one JSON object or one line of text an event.

use std::io::IsTerminal;

use onering_settings::{LogFormat, Telemetry};
use tracing::Subscriber;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer};

use crate::error::TelemetryError;

/// What is let through, to logs and traces alike.
pub(crate) fn filter(settings: &Telemetry) -> Result<EnvFilter, TelemetryError> {
    EnvFilter::builder()
        .parse(&settings.log)
        .map_err(|source| TelemetryError::LogFilter { directives: settings.log.clone(), source })
}

/// The layer that writes the lines.
pub(crate) fn layer<S, W>(format: LogFormat, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    match format {
        // The list of spans has the request's fields however deep the event is, so the innermost is not repeated.
        LogFormat::Json => lines.json().flatten_event(true).with_current_span(false).with_span_list(true).boxed(),
        LogFormat::Text => lines.with_ansi(std::io::stdout().is_terminal()).boxed(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use serde_json::{Value, json};
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::field;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// What is written while `work` runs.
    fn written(log: &str, format: LogFormat, work: impl FnOnce()) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let settings = Telemetry { log: log.to_owned(), format, otlp: None };
        let subscriber =
            tracing_subscriber::registry().with(filter(&settings).unwrap()).with(layer(format, move || writer.clone()));
        tracing::subscriber::with_default(subscriber, work);
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_json_line_has_the_fields_at_the_top_and_those_of_its_spans() {
        let text = written("info", LogFormat::Json, || {
            let _request = tracing::info_span!("request", { field::REQUEST_ID } = "req_1").entered();
            let _inner = tracing::info_span!("inner").entered();
            tracing::info!({ field::ATTEMPT } = 2, "processing delivery");
        });
        let line: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["message"], "processing delivery");
        assert_eq!(line["level"], "INFO");
        assert_eq!(line[field::ATTEMPT], 2);
        assert_eq!(line["spans"], json!([{"name": "request", "request.id": "req_1"}, {"name": "inner"}]));
        assert!(line["timestamp"].is_string());
    }

    #[test]
    fn each_event_is_one_line_whatever_it_says() {
        for format in [LogFormat::Json, LogFormat::Text] {
            let text = written("info", format, || tracing::info!(detail = "two\nlines", "message"));
            assert_eq!(text.lines().count(), 1, "{text}");
        }
    }

    #[test]
    fn the_filter_keeps_what_it_is_told() {
        let text = written("warn,onering_telemetry=debug", LogFormat::Text, || {
            tracing::debug!("kept");
            tracing::info!(target: "other", "dropped");
            tracing::warn!(target: "other", "kept as well");
        });
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(!text.contains("dropped"));
    }

    #[test]
    fn a_filter_that_is_not_understood_names_its_variable() {
        let settings = Telemetry { log: "onering=loud".to_owned(), format: LogFormat::Json, otlp: None };
        let error = filter(&settings).unwrap_err();
        assert!(error.to_string().starts_with("ONERING_LOG cannot be used"), "{error}");
    }
}
