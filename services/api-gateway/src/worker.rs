//! [`Worker`]: what one HTTP worker has to itself, and what all of them share.
//!
//! Every worker is a thread with a runtime of its own. On the way of a decision through it nothing crosses to another thread:
//! the rate limiter's Redis connection and those to the product live on the worker's own runtime. Events do: all workers' share one commit.

use std::future::{Ready, ready};
use std::rc::Rc;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use onering_clock::Clock;
use onering_store::Pool;
use onering_telemetry::metrics::Counters;
use onering_web::{ApiError, Proxy};
use onering_webhook_operations::WebhookOperations;

use crate::access::Turnstile;
use crate::forwarding::Forwarder;
use crate::ingest::Publisher;
use crate::statistics::Tally;

/// One worker's own things, and handles on the process's. As an argument of a handler: the worker that runs it.
pub(crate) struct Worker {
    /// The clock of the process.
    pub(crate) clock: Clock,
    /// The way in.
    pub(crate) turnstile: Turnstile,
    /// Accepts events.
    pub(crate) publisher: Publisher,
    /// Counts answers for Postgres.
    pub(crate) statistics: Tally,
    /// Counts answers by code for Prometheus.
    pub(crate) answers: Counters<1>,
    /// Connections for what is not on the hot path.
    pub(crate) pool: Pool,
    /// Works with subscriptions and deliveries.
    pub(crate) webhooks: WebhookOperations,
    /// Where calls are passed on to.
    pub(crate) forwarder: Arc<Forwarder>,
    /// Passes them on, over connections of this thread.
    pub(crate) proxy: Proxy,
    /// The largest body of one event, bytes.
    pub(crate) event_cap: usize,
}

impl Worker {
    /// The worker that answers this request.
    ///
    /// # Errors
    /// Where the application was put together without one.
    pub(crate) fn of(request: &HttpRequest) -> Result<Rc<Self>, NoWorker> {
        request.app_data::<Rc<Self>>().cloned().ok_or(NoWorker)
    }
}

/// The application was put together without a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the application has no worker")]
pub(crate) struct NoWorker;

impl From<NoWorker> for ApiError {
    fn from(mistake: NoWorker) -> Self {
        Self::internal(mistake)
    }
}

/// [`Worker`] as an argument of handlers.
pub(crate) struct OnWorker(pub(crate) Rc<Worker>);

impl FromRequest for OnWorker {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Worker::of(request).map(Self).map_err(ApiError::from))
    }
}
