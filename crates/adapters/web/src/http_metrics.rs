//! How many requests were answered, how, and how fast.

use std::time::Duration;

use onering_telemetry::metrics::{Counters, Gauge, Histograms, Label, buckets};
use onering_telemetry::{Metrics, MetricsError};

/// The label of requests that no route matched: what callers make up must not become labels.
const UNROUTED: &str = "unrouted";
const METHODS: [&str; 7] = ["GET", "POST", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS"];
const MAX_ROUTES: usize = 200;
const MAX_STATUSES: usize = 40;

/// The counters of a server's answers. Clones count together.
#[derive(Debug, Clone)]
pub struct HttpMetrics {
    requests: Counters<3>,
    seconds: Histograms<2>,
    in_flight: Gauge,
}

impl HttpMetrics {
    /// Declares `onering_http_requests_total`, `onering_http_request_duration_seconds` and
    /// `onering_http_requests_in_flight`.
    ///
    /// # Errors
    /// Where metrics of these names are declared already.
    pub fn declare(metrics: &Metrics) -> Result<Self, MetricsError> {
        let method = || Label::of("method", METHODS);
        let route = || Label::first("route", MAX_ROUTES);
        let requests = metrics.counters(
            "onering_http_requests_total",
            "Requests answered, by method, route and status.",
            [method(), route(), Label::first("status", MAX_STATUSES)],
        )?;
        let seconds = metrics.histograms(
            "onering_http_request_duration_seconds",
            "Time from a request's head to the head of its answer, by method and route.",
            buckets::LATENCY_SECONDS,
            [method(), route()],
        )?;
        let in_flight =
            metrics.gauge("onering_http_requests_in_flight", "Requests whose answer has not begun to be sent.")?;
        Ok(Self { requests, seconds, in_flight })
    }

    pub(crate) fn enter(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    pub(crate) fn answered(&self, method: &str, route: Option<&str>, status: &str, took: Duration) {
        let route = route.unwrap_or(UNROUTED);
        self.requests.with([method, route, status]).inc();
        self.seconds.with([method, route]).observe(took);
    }
}

/// Counts one request as being answered, until it is dropped: also when its client goes away.
pub(crate) struct InFlight(Gauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use onering_settings::Service;

    use super::*;

    #[test]
    fn methods_and_paths_that_callers_make_up_are_no_labels() {
        let metrics = Metrics::new(Service::Admin).unwrap();
        HttpMetrics::declare(&metrics).unwrap().answered("BREW", None, "418", Duration::from_millis(3));
        let text = metrics.render().unwrap();
        let counted = text.lines().find(|line| line.starts_with("onering_http_requests_total{")).unwrap();
        for label in [r#"method="other""#, r#"route="unrouted""#, r#"status="418""#] {
            assert!(counted.contains(label), "{counted}");
        }
        assert!(!text.contains("BREW"));
    }

    #[test]
    fn what_is_in_flight_is_counted_until_it_is_dropped() {
        let metrics = HttpMetrics::declare(&Metrics::new(Service::Admin).unwrap()).unwrap();
        let one = metrics.enter();
        assert!((metrics.in_flight.get() - 1.0).abs() < f64::EPSILON);
        drop(one);
        assert!(metrics.in_flight.get().abs() < f64::EPSILON);
    }
}
