//! The measurements: what is loaded how, and what is counted.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use onering_clock::Clock;
use serde_json::json;

use super::http_load::{WireRequest, closed_loop};
use super::private_stack::{Addresses, PrivateStack};
use super::report::Report;
use super::target_sink::{MARKER, TargetSink};
use super::{commits, paced, resources};
use crate::api::Api;

/// What all keys of the benchmark may call an hour: so much that the limit is counted but never reached.
const LIMIT: u64 = 1_000_000_000;
/// Events a second in the latency measurement.
const PACED_RATE: u64 = 100;
/// After the load, what was accepted may take this long to arrive.
const DRAIN_PATIENCE: Duration = Duration::from_secs(120);
const SERVICES: [&str; 4] = ["api-gateway-1", "delivery-worker-1", "admin-1", "monitoring-1"];

/// What is measured, and on what.
pub(super) struct Measurements {
    sink: TargetSink,
    token: String,
    gateway: SocketAddr,
    database_url: String,
    seconds: Duration,
    connections: u16,
    next_number: u64,
}

impl Measurements {
    /// Makes the key and the subscription that the load uses.
    pub(super) async fn prepare(stack: &Addresses, seconds: Duration, connections: u16) -> anyhow::Result<Self> {
        let sink = TargetSink::start()?;
        let operator = Api::new(&stack.admin, &stack.admin_key)?;
        let key = operator
            .post(
                "/v1/admin/external/keys",
                &json!({ "name": "benchmark", "owner_id": "bench", "tier": "enterprise", "rate_limit_override": LIMIT }),
            )
            .await?;
        let token = key["api_key"].as_str().context("no token in the answer")?.to_owned();
        let partner = Api::new(&format!("http://{}", stack.gateway).parse()?, &token)?;
        partner
            .post(
                "/v1/external/webhooks",
                &json!({ "url": format!("http://{}/webhook", sink.address()), "events": ["bench.event"], "max_in_flight": 256 }),
            )
            .await?;
        let (gateway, database_url) = (stack.gateway, stack.stores.database_url.clone());
        Ok(Self { sink, token, gateway, database_url, seconds, connections, next_number: 1 })
    }

    /// Every measurement once.
    pub(super) async fn repeat(&mut self, stack: &PrivateStack, report: &mut Report) -> anyhow::Result<()> {
        self.references(report).await?;
        self.decisions(report).await?;
        self.deliveries(report).await?;
        self.latencies(report).await?;
        for service in SERVICES {
            if let Some(resident) = stack.pid(service).and_then(resources::resident_mb) {
                report.add(resident_row(service), "MB", resident);
            }
        }
        Ok(())
    }

    /// What the machine gives without the platform: the measure of all that follows.
    async fn references(&self, report: &mut Report) -> anyhow::Result<()> {
        let sink = self.sink.address();
        let bare = closed_loop(sink, self.connections, self.seconds, 200, |_| {
            WireRequest::new("GET", "/bare", sink, &[], b"")
        })
        .await?;
        report.add("reference: bare HTTP answers", "1/s", bare);
        let body = vec![b'x'; 600];
        let posts = closed_loop(sink, self.connections, self.seconds, 200, |_| {
            WireRequest::new("POST", "/raw", sink, &[], &body)
        })
        .await?;
        report.add("reference: raw POSTs of 600 bytes to the sink", "1/s", posts);
        if let Some(commits) = commits::per_second(&self.database_url, self.seconds).await? {
            report.add("reference: durable single-row commits (32 clients)", "1/s", commits);
        }
        Ok(())
    }

    async fn decisions(&self, report: &mut Report) -> anyhow::Result<()> {
        let headers = [self.authorization()];
        let rate = closed_loop(self.gateway, self.connections, self.seconds, 200, |_| {
            WireRequest::new("GET", "/v1/external/me", self.gateway, &headers, b"")
        })
        .await?;
        report.add("gateway decisions with exact limits (/me, one key)", "1/s", rate);
        Ok(())
    }

    /// Events accepted under full load, and how fast all of them were delivered, counted from the first request.
    async fn deliveries(&self, report: &mut Report) -> anyhow::Result<()> {
        let clock = Clock::system();
        let (before, started) = (self.sink.count(), clock.monotonic());
        let accepted = closed_loop(self.gateway, self.connections, self.seconds, 202, |_| self.event(None)).await?;
        report.add("events accepted (202 after commit)", "1/s", accepted);
        let accepted_for = clock.monotonic().saturating_duration_since(started);
        let expected = (accepted * accepted_for.as_secs_f64()).round() as u64;
        // A closed loop answers a rate; the last event or two may be lost to rounding, never to the platform.
        ensure!(
            self.sink.wait_for(before + expected.saturating_sub(2), DRAIN_PATIENCE).await,
            "only {} of about {expected} events arrived within {} s",
            self.sink.count() - before,
            DRAIN_PATIENCE.as_secs()
        );
        let elapsed = clock.monotonic().saturating_duration_since(started);
        report.add(
            "events accepted and delivered, end to end",
            "1/s",
            (self.sink.count() - before) as f64 / elapsed.as_secs_f64(),
        );
        Ok(())
    }

    async fn latencies(&mut self, report: &mut Report) -> anyhow::Result<()> {
        let first = self.next_number;
        let seconds = self.seconds * 2;
        self.next_number += PACED_RATE * seconds.as_secs().max(1);
        let latencies =
            paced::measure(self.gateway, &self.sink, PACED_RATE, seconds, first, |number| self.event(Some(number)))
                .await?;
        report.add("acknowledged at 100 events/s, p50", "ms", latencies.acknowledged_p50);
        report.add("acknowledged at 100 events/s, p99", "ms", latencies.acknowledged_p99);
        report.add("arrived at 100 events/s, p50", "ms", latencies.arrived_p50);
        report.add("arrived at 100 events/s, p99", "ms", latencies.arrived_p99);
        Ok(())
    }

    fn authorization(&self) -> String {
        format!("Authorization: Bearer {}", self.token)
    }

    /// One event of about 500 bytes; a number makes the sink note when it arrives.
    fn event(&self, number: Option<u64>) -> WireRequest {
        let mark = number.map_or_else(String::new, |number| format!("{MARKER}{number},"));
        let filling = "x".repeat(420);
        let body = format!("{{\"event_type\":\"bench.event\",\"data\":{{{mark}\"filling\":\"{filling}\"}}}}");
        let headers = [self.authorization(), "Content-Type: application/json".to_owned()];
        WireRequest::new("POST", "/v1/external/events", self.gateway, &headers, body.as_bytes())
    }
}

/// Rows are named by constant texts, so that repetitions add up.
fn resident_row(service: &str) -> &'static str {
    match service {
        "api-gateway-1" => "resident memory: api-gateway after load",
        "delivery-worker-1" => "resident memory: delivery-worker after load",
        "admin-1" => "resident memory: admin",
        _ => "resident memory: monitoring",
    }
}
