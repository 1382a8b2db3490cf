//! What can go wrong around a service.

use std::error::Error;
use std::io;

use onering_queue::QueueError;
use onering_store::StoreError;
use onering_telemetry::MetricsError;
use onering_web::ServeError;

/// Why a service could not start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KitError {
    /// SIGTERM and SIGINT cannot be listened to.
    #[error("signals cannot be listened to")]
    Signals(#[source] io::Error),
    /// The metrics every service has cannot be declared.
    #[error("the metrics of the process cannot be declared")]
    Metrics(#[source] MetricsError),
    /// Postgres cannot be reached with these settings, whatever happens.
    #[error("the database settings are not usable")]
    Database(#[source] StoreError),
    /// Redis cannot be reached with these settings, whatever happens.
    #[error("the Redis settings are not usable")]
    Redis(#[source] QueueError),
    /// The HTTP server.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The process was told to stop before it had started. Not a failure.
    #[error("told to stop before the start was complete")]
    Stopped,
}

/// An error and its causes in one line: what a log shows.
#[must_use]
pub fn error_chain(error: &(dyn Error + 'static)) -> String {
    let mut chain = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        chain.push_str(": ");
        chain.push_str(&cause.to_string());
        next = cause.source();
    }
    chain
}
