//! What the processes tell about themselves: logs, traces and metrics.
//!
//! Entry points: [`init`] at the start of a program, whose [`TelemetryGuard`] flushes traces when it is dropped;
//! [`Metrics`], the registry that `/metrics` renders; [`mod@field`], the names of log fields.
//!
//! Invariants:
//! - logs go to standard output, one line an event, and nowhere else; whoever runs the process carries them on;
//! - every metric has the platform's prefix, a help text and labels that cannot grow without bound;
//! - spans of libraries are never exported, so exporting a trace cannot make another.
//!
//! Never logged, never a label and never a span's field: tokens, secrets, payloads, signatures, `Authorization`,
//! query strings. Deliberately absent: the metrics themselves, which each service declares where it counts.

mod error;
pub mod field;
mod init;
mod lines;
mod logs;
pub mod metrics;
pub mod traceparent;
mod traces;

pub use error::{MetricsError, TelemetryError};
pub use init::{TelemetryGuard, init};
pub use metrics::Metrics;
