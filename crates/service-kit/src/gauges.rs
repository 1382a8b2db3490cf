//! What every process shows of itself besides its requests.

use std::sync::atomic::Ordering;

use onering_flags::FlagsHandle;
use onering_store::Pool;
use onering_telemetry::{Metrics, MetricsError};

use crate::flag_overrides::Readable;

/// Declares the gauges of the switches and of the connections.
pub(crate) fn declare(
    metrics: &Metrics,
    flags: &FlagsHandle,
    overrides_readable: Readable,
    pool: &Pool,
) -> Result<(), MetricsError> {
    let failures = flags.failures();
    metrics.observed_gauge(
        "onering_config_reload_failed",
        "1 while a switch file or the runtime overrides cannot be read and the last good values are in force.",
        move || {
            let failed = !failures.borrow().is_empty() || !overrides_readable.load(Ordering::Relaxed);
            if failed { 1.0 } else { 0.0 }
        },
    )?;
    let generations = flags.subscribe();
    metrics.observed_gauge(
        "onering_flags_generation",
        "How many times the switches have changed since the process started.",
        move || generations.borrow().generation as f64,
    )?;
    let open = pool.clone();
    metrics.observed_gauge("onering_database_connections_open", "Postgres connections of the pool.", move || {
        open.status().open as f64
    })?;
    let idle = pool.clone();
    metrics.observed_gauge("onering_database_connections_idle", "Postgres connections not in use.", move || {
        idle.status().idle as f64
    })?;
    let waiting = pool.clone();
    metrics.observed_gauge(
        "onering_database_connection_waiters",
        "Callers that wait for a Postgres connection to come free.",
        move || waiting.status().waiting as f64,
    )
}
