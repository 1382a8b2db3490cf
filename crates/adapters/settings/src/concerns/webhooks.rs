//! Events and deliveries.

use std::time::Duration;

use ipnet::IpNet;
use onering_delivery::{BreakerPolicy, FailurePolicy, RetrySchedule};

use crate::reader::Reader;
use crate::table::{
    BREAKER_FAILURES, BREAKER_OPEN_MAX_SECONDS, BREAKER_OPEN_SECONDS, RETENTION_DAYS, WEBHOOKS_ALLOW_CIDRS,
    WEBHOOKS_ALLOW_HTTP, WEBHOOKS_BACKOFF_SECONDS, WEBHOOKS_FAILING_DISABLE_DAYS, WEBHOOKS_FAILING_WARN_DAYS,
    WEBHOOKS_LEASE_SECONDS, WEBHOOKS_MAX_ATTEMPTS, WEBHOOKS_MAX_IN_FLIGHT, WEBHOOKS_REPLAY_WINDOW_SECONDS,
    WORKER_BODY_BYTES,
};

/// How deliveries are sent, and where to.
#[derive(Debug, Clone, PartialEq)]
pub struct Webhooks {
    /// How often and after which waits a delivery is tried.
    pub schedule: RetrySchedule,
    /// How long a delivery belongs to the worker that took it.
    pub lease: Duration,
    /// How old a stamp receivers accept.
    pub replay_window: Duration,
    /// Are `http://` targets taken? Never in production.
    pub allow_http: bool,
    /// Private networks targets may be in. Empty in production.
    pub allow_cidrs: Vec<IpNet>,
    /// Deliveries one worker sends at the same time.
    pub max_in_flight_per_worker: usize,
}

impl Webhooks {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let schedule = schedule(reader);
        let lease = reader.seconds(&WEBHOOKS_LEASE_SECONDS);
        let replay_window = replay_window(reader);
        let allow_http = reader.switch(&WEBHOOKS_ALLOW_HTTP);
        if allow_http == Some(true) {
            reader.refuse_in_production(&WEBHOOKS_ALLOW_HTTP, "it lets events travel unencrypted");
        }
        let allow_cidrs = reader.networks(&WEBHOOKS_ALLOW_CIDRS);
        if allow_cidrs.as_ref().is_some_and(|networks| !networks.is_empty()) {
            reader.refuse_in_production(&WEBHOOKS_ALLOW_CIDRS, "it lets partners reach private networks");
        }
        let max_in_flight_per_worker = reader.whole(&WEBHOOKS_MAX_IN_FLIGHT);
        Some(Self {
            schedule: schedule?,
            lease: lease?,
            replay_window: replay_window?,
            allow_http: allow_http?,
            allow_cidrs: allow_cidrs?,
            max_in_flight_per_worker: max_in_flight_per_worker?,
        })
    }
}

/// How often and after which waits a delivery is tried.
pub(crate) fn schedule(reader: &mut Reader<'_>) -> Option<RetrySchedule> {
    let max_attempts = reader.whole(&WEBHOOKS_MAX_ATTEMPTS);
    let backoff = reader.seconds_list(&WEBHOOKS_BACKOFF_SECONDS);
    // The table has the domain's own bounds, so this refuses nothing that they let through.
    RetrySchedule::new(max_attempts?, backoff?)
        .map_err(|error| reader.refuse(&WEBHOOKS_BACKOFF_SECONDS, error.to_string(), "choose another schedule"))
        .ok()
}

/// When a subscription that fails is left alone, and for how long.
pub(crate) fn breaker(reader: &mut Reader<'_>) -> Option<BreakerPolicy> {
    let failures = reader.whole(&BREAKER_FAILURES);
    let (first, longest) = (reader.seconds(&BREAKER_OPEN_SECONDS), reader.seconds(&BREAKER_OPEN_MAX_SECONDS));
    // The table has the other bounds: only that the two pauses fit together is left to be refused.
    BreakerPolicy::new(failures?, first?, longest?)
        .map_err(|error| {
            reader.refuse(
                &BREAKER_OPEN_MAX_SECONDS,
                error.to_string(),
                format!("give it at least the value of {}", BREAKER_OPEN_SECONDS.name),
            );
        })
        .ok()
}

/// How old a stamp receivers accept.
pub(crate) fn replay_window(reader: &mut Reader<'_>) -> Option<Duration> {
    reader.seconds(&WEBHOOKS_REPLAY_WINDOW_SECONDS)
}

/// How many days of events, deliveries and attempts are kept.
pub(crate) fn retention_days(reader: &mut Reader<'_>) -> Option<u32> {
    reader.whole(&RETENTION_DAYS)
}

/// When partners are warned of failing subscriptions, and when the platform disables them.
pub(crate) fn failure_policy(reader: &mut Reader<'_>) -> Option<FailurePolicy> {
    let warn_days = reader.days_list(&WEBHOOKS_FAILING_WARN_DAYS);
    let disable_days = reader.whole(&WEBHOOKS_FAILING_DISABLE_DAYS);
    FailurePolicy::new(warn_days?, disable_days?)
        .map_err(|error| {
            let remedy = "choose ascending days before ONERING_WEBHOOKS_FAILING_DISABLE_DAYS";
            reader.refuse(&WEBHOOKS_FAILING_WARN_DAYS, error.to_string(), remedy);
        })
        .ok()
}

/// How many bytes of bodies a worker holds at the same time.
pub(crate) fn worker_body_bytes(reader: &mut Reader<'_>) -> Option<usize> {
    reader.whole(&WORKER_BODY_BYTES)
}
