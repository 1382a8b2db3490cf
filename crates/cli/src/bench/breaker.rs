//! `onering bench breaker`: what a receiver that is down for minutes is asked, beside what it would be asked were it not left
//! alone, and how long its events take once it is back.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use onering_clock::Clock;
use onering_delivery::{RetrySchedule, Status};
use onering_settings::{DeliveryPolicies, load_delivery_policies};
use onering_store::{PoolConfig, monitoring_reads};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::partners::{Partner, keep_sending};
use super::private_stack::{Addresses, PrivateStack};
use super::report::Report;
use super::target_sink::{MARKER, TargetSink};
use crate::api::{Api, query};
use crate::args::BreakerBench;

/// How long what is due may take, and then to be written down.
const DRAIN_PATIENCE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(250);

/// What it may take beside starting and stopping.
pub(super) fn limit(options: &BreakerBench) -> anyhow::Result<Duration> {
    Ok(outage(options) + patience(&load_delivery_policies()?) + DRAIN_PATIENCE)
}

fn outage(options: &BreakerBench) -> Duration {
    Duration::from_secs(options.seconds.into())
}

/// How long events may take to arrive once their receiver is back: the longest an attempt is put off, by the schedule with
/// its tenth of chance, and then by the circuit.
fn patience(policies: &DeliveryPolicies) -> Duration {
    let longest = policies.schedule.backoff().iter().max().copied().unwrap_or_default();
    longest + longest / 10 + policies.breaker.longest_pause() + DRAIN_PATIENCE
}

/// Measures on a stack that is not started yet.
pub(super) async fn measure(stack: &mut PrivateStack, options: &BreakerBench) -> anyhow::Result<Report> {
    let policies = load_delivery_policies()?;
    let (addresses, clock) = (stack.start().await?, Clock::system());
    let sink = TargetSink::start()?;
    let partner = Partner::make(&addresses, "outage").await?;
    let webhook_id = partner.subscribe(sink.address(), "/webhook", json!({})).await?;

    eprintln!("the receiver is down for {} s, with {} events a second", options.seconds, options.rate);
    sink.fail(true);
    let back_at = clock.monotonic() + outage(options);
    let events = u64::from(options.seconds) * u64::from(options.rate);
    let numbered = |number: u64| partner.event(&format!("{MARKER}{number},"));
    let stop = CancellationToken::new();
    ensure!(
        keep_sending(addresses.gateway, 0..events, options.rate.into(), stop, numbered).await? == events,
        "not every event was sent"
    );
    tokio::time::sleep_until(back_at.into()).await;
    sink.fail(false);

    eprintln!("the receiver is back");
    let back = clock.monotonic();
    let all_arrived = sink.wait_for_numbers(events, patience(&policies)).await;
    let took = clock.monotonic().saturating_duration_since(back);
    let spent = Spent::read(&addresses, &webhook_id, events).await?;

    let without = requests_without_breaker(&policies.schedule, events, options.rate.into(), outage(options));
    let mut report = Report::default();
    report.add("events", "", events as f64);
    report.add("requests while it was down", "", sink.refused() as f64);
    report.add("requests by the schedule alone, at most", "", without as f64);
    report.add("times fewer", "×", without as f64 / sink.refused().max(1) as f64);
    report.add("circuit opened", "", opens(&addresses, &webhook_id).await? as f64);
    report.add("attempts spent in all", "", spent.attempts as f64);
    report.add("delivered", "", spent.delivered as f64);
    report.add("events that arrived after its return", "", sink.numbers() as f64);
    if all_arrived {
        report.add("until all had arrived", "s", took.as_secs_f64());
    }
    Ok(report)
}

/// Attempts that the schedule has for these events while their receiver is down: of each those that come before its return,
/// counted without the schedule's jitter, which only puts them off.
fn requests_without_breaker(schedule: &RetrySchedule, events: u64, rate: u32, outage: Duration) -> u64 {
    let interval = Duration::from_secs(1) / rate;
    let begun = (0..events).map(|number| interval.saturating_mul(u32::try_from(number).unwrap_or(u32::MAX)));
    begun.map(|begun| attempts_within(schedule, outage.saturating_sub(begun))).sum()
}

/// Failing attempts of one event within this time from its first.
fn attempts_within(schedule: &RetrySchedule, time: Duration) -> u64 {
    let mut due = Duration::ZERO;
    let mut attempts = 0;
    for attempt in 1..=schedule.max_attempts() {
        if due >= time {
            break;
        }
        attempts += 1;
        due += schedule.entry(attempt);
    }
    attempts
}

/// What the platform says of its deliveries.
#[derive(Debug, Clone, Copy)]
struct Spent {
    attempts: u64,
    delivered: u64,
}

impl Spent {
    /// Once all are delivered, or no more are for a while: what has arrived is written down a moment later.
    async fn read(stack: &Addresses, webhook_id: &str, events: u64) -> anyhow::Result<Self> {
        let operator = Api::new(&stack.admin, &stack.admin_key)?;
        let path = query("/v1/admin/external/deliveries", &[("webhook_id", Some(webhook_id))]);
        let deadline = Clock::system().monotonic() + DRAIN_PATIENCE;
        loop {
            let list = operator.get_all(&path).await?;
            let items = list["items"].as_array().context("the list of deliveries has no items")?;
            let is_delivered = |item: &&serde_json::Value| item["status"] == Status::Delivered.as_str();
            let spent = Self {
                attempts: items.iter().filter_map(|item| item["attempt_count"].as_u64()).sum(),
                delivered: items.iter().filter(is_delivered).count() as u64,
            };
            if spent.delivered == events || Clock::system().monotonic() > deadline {
                return Ok(spent);
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

async fn opens(stack: &Addresses, webhook_id: &str) -> anyhow::Result<u64> {
    let mut connection = onering_store::connect(&PoolConfig::new(&stack.stores.database_url)?).await?;
    let since = chrono::DateTime::UNIX_EPOCH;
    let circuit = monitoring_reads::circuit_of(&mut connection, webhook_id.parse()?, since).await?;
    Ok(circuit.opens)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(attempts: u64, backoff: &[u64]) -> RetrySchedule {
        RetrySchedule::new(attempts, backoff.iter().copied().map(Duration::from_secs).collect()).unwrap()
    }

    #[test]
    fn an_event_is_tried_as_often_as_its_schedule_fits_into_the_outage() {
        let usual = schedule(3, &[60, 300, 900]);
        let within = |seconds| attempts_within(&usual, Duration::from_secs(seconds));
        assert_eq!([0, 1, 60, 61, 360, 361, 9_999].map(within), [0, 1, 1, 2, 2, 3, 3]);
        let quick = schedule(100, &[1]);
        assert_eq!(attempts_within(&quick, Duration::from_secs(10)), 10);
    }

    #[test]
    fn later_events_have_less_time() {
        let usual = schedule(3, &[60, 300, 900]);
        let requests = |events, seconds| requests_without_breaker(&usual, events, 50, Duration::from_secs(seconds));
        // Three minutes at 50/s: every event once, and those of the first two minutes a second time.
        assert_eq!(requests(9_000, 180), 9_000 + 6_000);
        assert_eq!((requests(50, 1), requests(0, 180)), (50, 0));
    }
}
