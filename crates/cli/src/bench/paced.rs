//! Latency at a fixed rate: events are sent when they are due, whatever became of those before, and timed from when they
//! were due. So a stall delays what it would have delayed, instead of hiding it (coordinated omission).

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use hdrhistogram::Histogram;
use onering_clock::Clock;

use super::http_load::{Connection, WireRequest};
use super::target_sink::TargetSink;

/// How long after the last event the rest may take to arrive.
const PATIENCE: Duration = Duration::from_secs(20);
/// Connections the events are spread over: a slow answer must not delay the next event.
const CONNECTIONS: u64 = 16;

/// Percentiles in milliseconds.
pub(super) struct Latencies {
    pub(super) acknowledged_p50: f64,
    pub(super) acknowledged_p99: f64,
    pub(super) arrived_p50: f64,
    pub(super) arrived_p99: f64,
}

/// Sends `rate` events a second for `duration`. `first` is the number of the first event; numbers must not repeat.
pub(super) async fn measure(
    gateway: SocketAddr,
    sink: &TargetSink,
    rate: u64,
    duration: Duration,
    first: u64,
    request: impl Fn(u64) -> WireRequest,
) -> anyhow::Result<Latencies> {
    let clock = Clock::system();
    let count = rate * duration.as_secs().max(1);
    let interval = Duration::from_secs(1) / u32::try_from(rate).context("the rate is too high")?;
    let started = clock.monotonic() + Duration::from_millis(50);
    let mut senders = tokio::task::JoinSet::new();
    for lane in 0..CONNECTIONS {
        let requests: Vec<(u64, WireRequest)> =
            (lane..count).step_by(CONNECTIONS as usize).map(|number| (number, request(first + number))).collect();
        let clock = clock.clone();
        senders.spawn(async move {
            let mut connection = Connection::open(gateway).await?;
            let mut acknowledged = Vec::with_capacity(requests.len());
            for (number, request) in requests {
                let due = started + interval * u32::try_from(number).unwrap_or(u32::MAX);
                tokio::time::sleep_until(due.into()).await;
                let status = connection.call(&request).await?;
                ensure!(status == 202, "an event was answered {status}");
                acknowledged.push(clock.monotonic().saturating_duration_since(due));
            }
            anyhow::Ok(acknowledged)
        });
    }
    let mut acknowledged = Histogram::<u64>::new(3)?;
    while let Some(lane) = senders.join_next().await {
        for latency in lane?? {
            acknowledged.record(latency.as_micros() as u64)?;
        }
    }
    let mut arrived = Histogram::<u64>::new(3)?;
    for number in 0..count {
        let due = started + interval * u32::try_from(number).unwrap_or(u32::MAX);
        let waiting = async {
            loop {
                if let Some(at) = sink.arrival(first + number) {
                    return at;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let at = tokio::time::timeout(PATIENCE, waiting).await.context("an event did not arrive")?;
        arrived.record(at.saturating_duration_since(due).as_micros() as u64)?;
    }
    let milliseconds = |histogram: &Histogram<u64>, quantile| histogram.value_at_quantile(quantile) as f64 / 1000.0;
    Ok(Latencies {
        acknowledged_p50: milliseconds(&acknowledged, 0.5),
        acknowledged_p99: milliseconds(&acknowledged, 0.99),
        arrived_p50: milliseconds(&arrived, 0.5),
        arrived_p99: milliseconds(&arrived, 0.99),
    })
}
