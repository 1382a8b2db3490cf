//! Tells the log when something begins to fail and when it works again, not every time in between: an outage of minutes is
//! two lines, not hundreds.

use std::error::Error;

use onering_service_kit::error_chain;
use onering_telemetry::field;

/// Whether one kind of work fails at the moment.
#[derive(Debug)]
pub(crate) struct Failing {
    complaint: &'static str,
    failures: u64,
}

impl Failing {
    /// Work that does not fail. `complaint` is what is logged when it does.
    #[must_use]
    pub(crate) const fn new(complaint: &'static str) -> Self {
        Self { complaint, failures: 0 }
    }

    /// Notes a failure.
    pub(crate) fn failed(&mut self, error: &(dyn Error + 'static)) {
        self.failures += 1;
        if self.failures == 1 {
            tracing::warn!({ field::ERROR } = error_chain(error), "{}; it is tried again", self.complaint);
        }
    }

    /// Notes a success.
    pub(crate) fn worked(&mut self) {
        if self.failures > 0 {
            tracing::info!({ field::COUNT } = self.failures, "works again; before: {}", self.complaint);
            self.failures = 0;
        }
    }
}
