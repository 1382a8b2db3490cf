//! Latency at a fixed rate: requests are sent when they are due, whatever became of those before. Each is timed twice: from
//! when it was sent, which is what one caller waits; and from when it was due, so that a stall delays what it would have
//! delayed instead of hiding it (coordinated omission).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use hdrhistogram::Histogram;
use tokio::sync::oneshot;

use super::http_load::WireRequest;
use super::pacer::Pacer;
use super::target_sink::TargetSink;

/// How long after the last answer the rest may take to arrive.
const PATIENCE: Duration = Duration::from_secs(120);

/// At what pace requests are sent, and where to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    pub(super) address: SocketAddr,
    /// Requests a second.
    pub(super) rate: u32,
    pub(super) duration: Duration,
    /// The status of every answer.
    pub(super) expected: u16,
    pub(super) clients: Clients,
}

/// Over which of the connections that are free the next request goes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Clients {
    /// The one last used, as an HTTP client has it.
    One,
    /// The one that rests longest: each is a client's own.
    Many,
}

impl Pace {
    /// How many requests it makes.
    pub(super) fn count(&self) -> u64 {
        u64::from(self.rate) * self.duration.as_secs().max(1)
    }
}

/// One request that was answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    pub(super) number: u64,
    pub(super) due: Instant,
    pub(super) sent: Instant,
    pub(super) answered: Instant,
}

/// Percentiles in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Latency {
    pub(super) p50: f64,
    pub(super) p99: f64,
}

impl Latency {
    /// Of these.
    pub(super) fn of(latencies: impl Iterator<Item = Duration>) -> anyhow::Result<Self> {
        let mut histogram = Histogram::<u64>::new(3)?;
        for latency in latencies {
            histogram.record(u64::try_from(latency.as_micros())?)?;
        }
        let milliseconds = |quantile| histogram.value_at_quantile(quantile) as f64 / 1000.0;
        Ok(Self { p50: milliseconds(0.5), p99: milliseconds(0.99) })
    }

    /// From sending to the answer.
    pub(super) fn of_answers(all: &[Sent]) -> anyhow::Result<Self> {
        Self::of(all.iter().map(|one| one.answered.saturating_duration_since(one.sent)))
    }

    /// From when it was due to the answer.
    pub(super) fn of_answers_since_due(all: &[Sent]) -> anyhow::Result<Self> {
        Self::of(all.iter().map(|one| one.answered.saturating_duration_since(one.due)))
    }
}

/// What events went through.
#[derive(Debug, Clone, Copy)]
pub(super) struct Latencies {
    /// From sending to the 202.
    pub(super) acknowledged: Latency,
    /// From when it was due to the 202.
    pub(super) acknowledged_since_due: Latency,
    /// From sending to the receiver.
    pub(super) arrived: Latency,
    /// From when it was due to the receiver.
    pub(super) arrived_since_due: Latency,
}

/// Sends numbered events and waits until all have arrived. `first` is the number of the first; numbers must not repeat.
pub(super) async fn measure(
    pace: Pace,
    sink: &TargetSink,
    first: u64,
    event: impl Fn(u64) -> WireRequest,
) -> anyhow::Result<Latencies> {
    let all = send(pace, |number| event(first + number)).await?;
    latencies(&[(first, all)], sink).await
}

/// Waits until the numbered events of some runs have arrived; with each run stands the number of its first.
pub(super) async fn latencies(runs: &[(u64, Vec<Sent>)], sink: &TargetSink) -> anyhow::Result<Latencies> {
    let all: Vec<(u64, Sent)> =
        runs.iter().flat_map(|(first, run)| run.iter().map(move |one| (first + one.number, *one))).collect();
    let waiting = async {
        while !all.iter().all(|(number, _)| sink.arrival(*number).is_some()) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.context("an event did not arrive")?;
    let arrivals = |since: fn(&Sent) -> Instant| {
        let arrived = all.iter().filter_map(|(number, one)| Some((sink.arrival(*number)?, since(one))));
        Latency::of(arrived.map(|(arrival, since)| arrival.saturating_duration_since(since)))
    };
    let sent: Vec<Sent> = all.iter().map(|(_, one)| *one).collect();
    Ok(Latencies {
        acknowledged: Latency::of_answers(&sent)?,
        acknowledged_since_due: Latency::of_answers_since_due(&sent)?,
        arrived: arrivals(|one| one.sent)?,
        arrived_since_due: arrivals(|one| one.due)?,
    })
}

/// Sends the requests of these numbers, from zero. It ends early when the future is dropped.
pub(super) async fn send(pace: Pace, request: impl Fn(u64) -> WireRequest) -> anyhow::Result<Vec<Sent>> {
    let requests = (0..pace.count()).map(request).collect();
    let stop = StopWhenDropped::default();
    let pacer = Pacer::new(pace, requests, Arc::clone(&stop.0));
    let (done, outcome) = oneshot::channel();
    let thread = std::thread::Builder::new().name("paced".to_owned());
    // Nobody waits for it any more when the future was dropped.
    thread.spawn(move || done.send(pacer.run()).ok())?;
    outcome.await.context("the thread that sends broke down")?
}

/// Tells the thread that nobody waits for it.
#[derive(Default)]
struct StopWhenDropped(Arc<AtomicBool>);

impl Drop for StopWhenDropped {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use onering_clock::Clock;

    use super::*;

    #[test]
    fn a_stall_shows_in_what_was_due_meanwhile() {
        let begin = Clock::system().monotonic();
        let at = |milliseconds| begin + Duration::from_millis(milliseconds);
        // The second was due while the first was under way, and could not be sent before.
        let all = [
            Sent { number: 0, due: at(0), sent: at(0), answered: at(100) },
            Sent { number: 1, due: at(10), sent: at(100), answered: at(101) },
        ];
        let (sent, due) = (Latency::of_answers(&all).unwrap(), Latency::of_answers_since_due(&all).unwrap());
        assert!((sent.p50 - 1.0).abs() < 0.01, "{sent:?}");
        assert!((due.p50 - 91.0).abs() < 0.1, "{due:?}");
        assert!((sent.p99 - due.p99).abs() < 0.1);
    }
}
