//! `onering bench isolation`: how long events of healthy subscriptions take alone, and how long with a receiver beside them
//! that hangs and one that is flooded. Both are measured in each repetition, so that what the machine does meanwhile shows
//! in both.

use std::time::Duration;

use anyhow::ensure;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::paced::{self, Clients, Latencies, Pace};
use super::partners::{Partner, keep_sending};
use super::private_stack::{Addresses, PrivateStack};
use super::report::Report;
use super::target_sink::{HANG, MARKER, TargetSink};
use crate::args::IsolationBench;

/// Healthy partners, each with a subscription.
const PARTNERS: u64 = 10;
/// Events a second to all of them together.
const RATE: u32 = 100;
/// Events a second to the receiver that hangs.
const HANGING_RATE: u32 = 50;
/// What is left of the flood may take this long to arrive.
const DRAIN_PATIENCE: Duration = Duration::from_secs(180);

/// What it may take beside starting and stopping.
pub(super) fn limit(options: &IsolationBench) -> Duration {
    (Duration::from_secs(options.seconds.into()) * 2 + DRAIN_PATIENCE) * u32::from(options.repeat)
}

/// Measures on a stack that is not started yet.
pub(super) async fn measure(stack: &mut PrivateStack, options: &IsolationBench) -> anyhow::Result<Report> {
    let addresses = stack.start().await?;
    let mut bench = Isolation::prepare(&addresses, options).await?;
    let mut report = Report::default();
    for repetition in 1..=options.repeat {
        eprintln!("repetition {repetition} of {}", options.repeat);
        bench.repeat(&mut report).await?;
    }
    Ok(report)
}

struct Isolation<'a> {
    stack: &'a Addresses,
    healthy: Vec<Partner>,
    /// Of the healthy and of the one that hangs.
    sink: TargetSink,
    /// Of the flood, so that its receiver is not theirs.
    flooded: TargetSink,
    flooding: Partner,
    flood: u32,
    burst: u32,
    duration: Duration,
    repetitions: u32,
    next_number: u64,
}

/// What runs beside a measurement; ends with it.
struct Beside {
    stop: CancellationToken,
    hanging: JoinHandle<anyhow::Result<u64>>,
    flood: JoinHandle<anyhow::Result<u64>>,
}

impl<'a> Isolation<'a> {
    async fn prepare(stack: &'a Addresses, options: &IsolationBench) -> anyhow::Result<Self> {
        let (sink, flooded) = (TargetSink::start()?, TargetSink::start()?);
        let mut healthy = Vec::new();
        for number in 0..PARTNERS {
            healthy.push(subscribed(stack, &format!("healthy-{number}"), &sink, "/webhook").await?);
        }
        let flooding = subscribed(stack, "flooded", &flooded, "/webhook").await?;
        Ok(Self {
            stack,
            healthy,
            sink,
            flooded,
            flooding,
            flood: options.flood.into(),
            burst: options.burst.into(),
            duration: Duration::from_secs(options.seconds.into()),
            repetitions: 0,
            next_number: 1,
        })
    }

    async fn repeat(&mut self, report: &mut Report) -> anyhow::Result<()> {
        self.repetitions += 1;
        let alone = self.latencies().await?;
        let before = self.flooded.count();
        let beside = self.start_beside().await?;
        let disturbed = self.latencies().await;
        let (hanging, flooded) = beside.end().await?;
        let disturbed = disturbed?;
        report.add("alone, p50", "ms", alone.arrived_since_due.p50);
        report.add("alone, p99", "ms", alone.arrived_since_due.p99);
        report.add("beside a hanging and a flooded one, p50", "ms", disturbed.arrived_since_due.p50);
        report.add("beside a hanging and a flooded one, p99", "ms", disturbed.arrived_since_due.p99);
        report.add("acknowledged alone, p99", "ms", alone.acknowledged_since_due.p99);
        report.add("acknowledged beside them, p99", "ms", disturbed.acknowledged_since_due.p99);
        report.add("ratio, p50", "×", disturbed.arrived_since_due.p50 / alone.arrived_since_due.p50);
        report.add("ratio, p99", "×", disturbed.arrived_since_due.p99 / alone.arrived_since_due.p99);
        let arrived = self.flooded.count() - before;
        report.add("events to the hanging one", "", hanging as f64);
        report.add("events of the flood", "", flooded as f64);
        report.add("of them arrived meanwhile", "", arrived as f64);
        ensure!(
            self.flooded.wait_for(before + flooded, DRAIN_PATIENCE).await,
            "only {} of {flooded} events of the flood arrived",
            self.flooded.count() - before
        );
        Ok(())
    }

    /// From when an event was due to be sent until it arrived.
    async fn latencies(&mut self) -> anyhow::Result<Latencies> {
        let pace = Pace {
            address: self.stack.gateway,
            rate: RATE,
            duration: self.duration,
            expected: 202,
            clients: Clients::Many,
        };
        let first = self.next_number;
        self.next_number += pace.count();
        let request = |number: u64| self.healthy[(number % PARTNERS) as usize].event(&format!("{MARKER}{number},"));
        paced::measure(pace, &self.sink, first, request).await
    }

    /// Starts both and waits until they are under way. Each repetition has a hanging receiver of its own, of which nothing
    /// is known yet.
    async fn start_beside(&self) -> anyhow::Result<Beside> {
        let hanging = subscribed(self.stack, &format!("hanging-{}", self.repetitions), &self.sink, HANG).await?;
        let (gateway, stop) = (self.stack.gateway, CancellationToken::new());
        let (burst, batches_a_second) = (self.burst, (self.flood / self.burst).max(1));
        let (one, batch) = (hanging.event(""), self.flooding.batch(burst));
        let before = self.flooded.count();
        let without_end = 0..u64::MAX;
        let ones = keep_sending(gateway, without_end.clone(), HANGING_RATE, stop.clone(), move |_| one.clone());
        let batches = keep_sending(gateway, without_end, batches_a_second, stop.clone(), move |_| batch.clone());
        let beside = Beside {
            hanging: tokio::spawn(ones),
            flood: tokio::spawn(async move { Ok(batches.await? * u64::from(burst)) }),
            stop,
        };
        ensure!(self.flooded.wait_for(before + 1, DRAIN_PATIENCE).await, "the flood does not arrive");
        Ok(beside)
    }
}

impl Beside {
    /// Ends both; answers how many events each was sent.
    async fn end(self) -> anyhow::Result<(u64, u64)> {
        self.stop.cancel();
        Ok((self.hanging.await??, self.flood.await??))
    }
}

/// A partner whose events go to this path of this sink.
async fn subscribed(stack: &Addresses, owner: &str, sink: &TargetSink, path: &str) -> anyhow::Result<Partner> {
    let partner = Partner::make(stack, owner).await?;
    partner.subscribe(sink.address(), path, json!({})).await?;
    Ok(partner)
}
