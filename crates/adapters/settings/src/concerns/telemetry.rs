//! Logs and traces.

use std::str::FromStr;

use url::Url;

use crate::reader::Reader;
use crate::table::{LOG, LOG_FORMAT, OTLP_ENDPOINT};

/// What is logged, and where traces go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telemetry {
    /// Filter directives.
    pub log: String,
    /// The form of log lines.
    pub format: LogFormat,
    /// Base URL of the collector; `None` exports no traces.
    pub otlp: Option<Url>,
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// Text for people.
    Text,
}

impl FromStr for LogFormat {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "json" => Ok(Self::Json),
            "text" => Ok(Self::Text),
            _ => Err(()),
        }
    }
}

impl Telemetry {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let log = reader.text(&LOG);
        let format = reader.parsed(&LOG_FORMAT);
        let otlp = reader.http_url(&OTLP_ENDPOINT);
        Some(Self { log: log?.to_owned(), format: format?, otlp })
    }
}
