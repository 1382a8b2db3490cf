//! `onering bench isolation`: how long events of healthy subscriptions take alone, and how long with a receiver beside them
//! that hangs and one that is flooded. Both are measured in each repetition, so that what the machine does meanwhile shows
//! in both.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use onering_clock::Clock;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::http_load::{Connection, WireRequest};
use super::paced::{self, Latencies};
use super::private_stack::{Addresses, PrivateStack};
use super::report::Report;
use super::target_sink::{HANG, MARKER, TargetSink};
use crate::api::Api;
use crate::args::IsolationBench;

/// Healthy partners, each with a subscription.
const PARTNERS: u64 = 10;
/// Events a second to all of them together.
const RATE: u64 = 100;
/// Events a second to the receiver that hangs.
const HANGING_RATE: u32 = 50;
/// The flood comes in so many batches a second.
const BATCHES: u32 = 10;
/// What all keys may call an hour: never reached.
const LIMIT: u64 = 1_000_000_000;
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

/// A partner's key, as requests carry it.
struct Token(String);

impl Token {
    fn event(&self, gateway: SocketAddr, mark: &str) -> WireRequest {
        self.post(gateway, "/v1/external/events", &event(mark))
    }

    fn batch(&self, gateway: SocketAddr, count: u32) -> WireRequest {
        let events: Vec<String> = (0..count).map(|_| event("")).collect();
        self.post(gateway, "/v1/external/events/batch", &format!("[{}]", events.join(",")))
    }

    fn post(&self, gateway: SocketAddr, path: &str, body: &str) -> WireRequest {
        let headers = [format!("Authorization: Bearer {}", self.0), "Content-Type: application/json".to_owned()];
        WireRequest::new("POST", path, gateway, &headers, body.as_bytes())
    }
}

/// One event of about 500 bytes.
fn event(mark: &str) -> String {
    let filling = "x".repeat(420);
    format!("{{\"event_type\":\"bench.event\",\"data\":{{{mark}\"filling\":\"{filling}\"}}}}")
}

struct Isolation<'a> {
    stack: &'a Addresses,
    healthy: Vec<Token>,
    /// Of the healthy and of the one that hangs.
    sink: TargetSink,
    /// Of the flood, so that its receiver is not theirs.
    flooded: TargetSink,
    flooding: Token,
    flood: u32,
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
            healthy.push(partner(stack, &format!("healthy-{number}"), &sink, "/webhook").await?);
        }
        let flooding = partner(stack, "flooded", &flooded, "/webhook").await?;
        Ok(Self {
            stack,
            healthy,
            sink,
            flooded,
            flooding,
            flood: options.flood.into(),
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
        report.add("alone, p50", "ms", alone.arrived_p50);
        report.add("alone, p99", "ms", alone.arrived_p99);
        report.add("beside a hanging and a flooded one, p50", "ms", disturbed.arrived_p50);
        report.add("beside a hanging and a flooded one, p99", "ms", disturbed.arrived_p99);
        report.add("ratio, p50", "×", disturbed.arrived_p50 / alone.arrived_p50);
        report.add("ratio, p99", "×", disturbed.arrived_p99 / alone.arrived_p99);
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
        let first = self.next_number;
        self.next_number += RATE * self.duration.as_secs().max(1);
        let request = |number: u64| {
            let token = &self.healthy[(number % PARTNERS) as usize];
            token.event(self.stack.gateway, &format!("{MARKER}{number},"))
        };
        paced::measure(self.stack.gateway, &self.sink, RATE, self.duration, first, request).await
    }

    /// Starts both and waits until they are under way. Each repetition has a hanging receiver of its own, of which nothing
    /// is known yet.
    async fn start_beside(&self) -> anyhow::Result<Beside> {
        let hanging = partner(self.stack, &format!("hanging-{}", self.repetitions), &self.sink, HANG).await?;
        let (gateway, stop) = (self.stack.gateway, CancellationToken::new());
        let one = hanging.event(gateway, "");
        let batch = self.flooding.batch(gateway, self.flood / BATCHES);
        let before = self.flooded.count();
        let beside = Beside {
            hanging: tokio::spawn(keep_sending(gateway, one, HANGING_RATE, 1, stop.clone())),
            flood: tokio::spawn(keep_sending(gateway, batch, BATCHES, u64::from(self.flood / BATCHES), stop.clone())),
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

async fn partner(stack: &Addresses, owner: &str, sink: &TargetSink, path: &str) -> anyhow::Result<Token> {
    let key = json!({ "name": owner, "owner_id": owner, "tier": "enterprise", "rate_limit_override": LIMIT });
    let key = Api::new(&stack.admin, &stack.admin_key)?.post("/v1/admin/external/keys", &key).await?;
    let token = key["api_key"].as_str().context("no token in the answer")?.to_owned();
    let url = format!("http://{}{path}", sink.address());
    let partner = Api::new(&format!("http://{}", stack.gateway).parse()?, &token)?;
    partner.post("/v1/external/webhooks", &json!({ "url": url, "events": ["bench.event"] })).await?;
    Ok(Token(token))
}

/// Sends a request of so many events `rate` times a second until told to stop; answers how many events were accepted.
async fn keep_sending(
    gateway: SocketAddr,
    request: WireRequest,
    rate: u32,
    events: u64,
    stop: CancellationToken,
) -> anyhow::Result<u64> {
    let mut connection = Connection::open(gateway).await?;
    let (started, interval) = (Clock::system().monotonic(), Duration::from_secs(1) / rate);
    let mut sent = 0_u32;
    while stop.run_until_cancelled(tokio::time::sleep_until((started + interval * sent).into())).await.is_some() {
        let status = connection.call(&request).await?;
        ensure!(status == 202, "events were answered {status}");
        sent += 1;
    }
    Ok(u64::from(sent) * events)
}
