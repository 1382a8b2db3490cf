//! `onering bench hostile`: what a worker's memory does beside receivers that answer with malice, under a steady load to one
//! that does not.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use onering_dev_servers::HostileAnswer;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::hostile_receiver::HostileReceiver;
use super::partners::{Partner, keep_sending};
use super::private_stack::PrivateStack;
use super::report::Report;
use super::resources;
use super::target_sink::{MARKER, TargetSink};
use crate::args::HostileBench;

/// Events a second to the healthy one, and to each of the hostile ones.
const RATE: u32 = 50;
const HOSTILE_RATE: u32 = 5;
/// What is on its way at the end may take this long.
const DRAIN_PATIENCE: Duration = Duration::from_secs(60);
const WORKER: &str = "delivery-worker-1";
/// As much patience with those that fail as can be had, so that they go on to be asked.
const ENVIRONMENT: [(&str, &str); 3] = [
    ("ONERING_BREAKER_FAILURES", "1000"),
    ("ONERING_BREAKER_OPEN_SECONDS", "1"),
    ("ONERING_BREAKER_OPEN_MAX_SECONDS", "1"),
];
const SHARES: usize = 10;
const SHARE_NAMES: [&str; SHARES] = [
    "worker's memory after 1/10 of the time",
    "after 2/10",
    "after 3/10",
    "after 4/10",
    "after 5/10",
    "after 6/10",
    "after 7/10",
    "after 8/10",
    "after 9/10",
    "after 10/10",
];

/// What it may take beside starting and stopping.
pub(super) fn limit(options: &HostileBench) -> Duration {
    Duration::from_secs(options.seconds.into()) + DRAIN_PATIENCE
}

/// Measures on a stack that is not started yet.
pub(super) async fn measure(stack: &mut PrivateStack, options: &HostileBench) -> anyhow::Result<Report> {
    let addresses = stack.start_with(&ENVIRONMENT).await?;
    let sink = TargetSink::start()?;
    let healthy = Partner::make(&addresses, "healthy").await?;
    healthy.subscribe(sink.address(), "/webhook", json!({})).await?;
    let hostile = Partner::make(&addresses, "hostile").await?;
    let mut receivers = Vec::new();
    for answer in HostileAnswer::all().into_iter().chain([HostileAnswer::patience()]) {
        let receiver = HostileReceiver::start(answer).await?;
        let settings = json!({ "timeout_seconds": 2, "max_in_flight": 4 });
        hostile.subscribe(receiver.address(), "/hook", settings).await?;
        receivers.push(receiver);
    }

    eprintln!("{} s beside {} hostile receivers", options.seconds, receivers.len());
    let (stop, gateway) = (CancellationToken::new(), addresses.gateway);
    let numbered = |number: u64| healthy.event(&format!("{MARKER}{number},"));
    let events = keep_sending(gateway, 0..u64::MAX, RATE, stop.clone(), numbered);
    let malice = keep_sending(gateway, 0..u64::MAX, HOSTILE_RATE, stop.clone(), |_| hostile.event(""));
    let sampling = async {
        let samples = sample(stack, options.seconds).await;
        stop.cancel();
        samples
    };
    let (events, malice, samples) = tokio::try_join!(events, malice, sampling)?;
    let all_arrived = sink.wait_for_numbers(events, DRAIN_PATIENCE).await;
    ensure!(all_arrived, "only {} of {events} events arrived at the healthy one", sink.numbers());

    let mut report = Report::default();
    report.add("events to the healthy one", "", events as f64);
    report.add("of them arrived", "", sink.numbers() as f64);
    report.add("events to each of the hostile ones", "", malice as f64);
    let asked = receivers.iter().map(HostileReceiver::asked).sum::<u64>();
    report.add("requests to all of the hostile ones", "", asked as f64);
    for (name, resident) in SHARE_NAMES.into_iter().zip(ends_of_shares(&samples)) {
        report.add(name, "MB", resident);
    }
    report.add("worker's memory at most", "MB", samples.iter().copied().fold(0.0, f64::max));
    Ok(report)
}

/// The worker's memory at the end of each second.
async fn sample(stack: &PrivateStack, seconds: u32) -> anyhow::Result<Vec<f64>> {
    let mut pace = tokio::time::interval(Duration::from_secs(1));
    pace.tick().await;
    let first = stack.pid(WORKER).context("no worker runs")?;
    let mut samples = Vec::new();
    for _ in 0..seconds {
        pace.tick().await;
        ensure!(stack.pid(WORKER) == Some(first), "the worker has died");
        samples.push(resources::resident_mb(first).context("the worker's memory cannot be read")?);
    }
    Ok(samples)
}

/// The last sample of each tenth.
fn ends_of_shares(samples: &[f64]) -> Vec<f64> {
    (1..=SHARES).filter_map(|share| samples.get((samples.len() * share / SHARES).checked_sub(1)?)).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tenth_ends_with_its_last_second() {
        let samples: Vec<f64> = (1..=600).map(f64::from).collect();
        let ends = ends_of_shares(&samples);
        assert_eq!((ends.len(), ends[0], ends[1], ends[9]), (10, 60.0, 120.0, 600.0));
        assert_eq!(ends_of_shares(&[1.0; 10]).len(), 10);
        assert_eq!(ends_of_shares(&[]), Vec::<f64>::new());
    }
}
