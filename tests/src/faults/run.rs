//! One trial, from its first event to its verdict.

use std::collections::BTreeSet;
use std::time::Duration;

use onering_clock::Clock;
use onering_testkit::eventually;
use serde_json::json;

use super::fault::Fault;
use super::inbox::{Arrivals, Inbox};
use super::load::Load;
use super::neighbours::Neighbours;
use super::verdict::Verdict;
use crate::api::Api;
use crate::partner::Partner;
use crate::stack::{Stack, StackOptions};

/// How long the stores may take to answer at the end of a trial.
const PATIENCE_OF_STORES: Duration = Duration::from_secs(30);

/// How a fault is tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// Events published.
    pub events: usize,
    /// Of these, how many are accepted before the fault.
    pub before: usize,
    /// How long a fault lasts that has an end.
    pub lasts: Duration,
    /// How long the receiver takes for each request, so that deliveries are under way when the fault strikes.
    pub receiver_takes: Duration,
    /// How long anything is waited for.
    pub patience: Duration,
}

impl Trial {
    /// So many events, and the fault after a third of them.
    #[must_use]
    pub fn of(events: usize) -> Self {
        Self {
            events,
            before: events / 3,
            lasts: Duration::from_secs(3),
            receiver_takes: Duration::from_millis(50),
            // A worker that dies takes its leases with it for 17 s: the time limit of a request and the margin beyond it.
            patience: Duration::from_secs(75),
        }
    }

    /// A subscription's time limit: short, because a dead worker's leases last as long and a margin.
    fn timeout_seconds(&self) -> u64 {
        self.receiver_takes.as_secs() + 2
    }
}

/// A stack that can be broken: two of each process that has work, stores of its own, and lines to them that can be cut.
/// `environment` is added to every process.
///
/// # Panics
/// When something does not start.
pub async fn start(environment: &[(&'static str, &str)]) -> Stack {
    let short = [
        ("ONERING_WEBHOOKS_LEASE_SECONDS", "2"),
        ("ONERING_WEBHOOKS_BACKOFF_SECONDS", "1"),
        ("ONERING_WEBHOOKS_MAX_ATTEMPTS", "20"),
        // A breaker that opens does so for no longer than anything here is waited for.
        ("ONERING_BREAKER_OPEN_SECONDS", "1"),
        ("ONERING_BREAKER_OPEN_MAX_SECONDS", "2"),
    ];
    let environment = short.iter().chain(environment).map(|(name, value)| (*name, (*value).to_owned())).collect();
    Stack::start(StackOptions {
        more_gateways: 1,
        more_workers: 1,
        private_postgres: true,
        breakable_lines: true,
        environment,
    })
    .await
}

/// Tries a fault.
///
/// # Panics
/// When something does not come to an end: an event that nobody accepts, a process that does not start again.
pub async fn run(stack: &mut Stack, fault: Fault, trial: &Trial) -> Verdict {
    let (inbox, partner, neighbours) = prepare(stack, fault, trial).await;
    let clock = Clock::system();
    let begun = clock.monotonic();
    let load = Load::default();
    let gateways: Vec<Api> =
        (0..stack.gateways.len()).map(|number| stack.gateway(number).with_token(&partner.token)).collect();
    let strike = async {
        eventually(trial.patience, "the flow is in its middle", async || {
            load.count() >= trial.before && inbox.len() >= trial.before / 6
        })
        .await;
        fault.strike(stack, trial.lasts).await;
    };
    tokio::join!(load.publish(&gateways, trial.events, trial.patience), strike);

    let accepted = load.into_accepted();
    let lost = wait_for_all(&accepted, &inbox, trial.patience).await;
    let took = clock.monotonic().saturating_duration_since(begun);
    let mut wrong: Vec<String> = neighbours.relent(&partner, stack).await.into_iter().collect();
    let waiting = wait_until_settled(stack, if lost == 0 { trial.patience } else { Duration::ZERO }).await;
    let memory_mb = stack.workers.iter().filter_map(|worker| most_memory_mb(worker.pid())).max();
    wrong.extend(fault.heal(stack).await);
    wrong.extend(inbox.each(|(event, arrivals)| contradiction(event, arrivals)).into_iter().flatten());
    let (bad_signatures, first_refusal) = inbox.refused();
    wrong.extend(first_refusal);
    Verdict {
        fault,
        accepted: accepted.len(),
        delivered: accepted.len() - lost,
        repeated: inbox.each(|(_, arrivals)| arrivals.times - arrivals.attempts.len()).into_iter().sum(),
        lost,
        waiting,
        strangers: inbox.strangers(&accepted),
        bad_signatures,
        memory_mb,
        took,
        ledger: unbalanced(stack).await,
        wrong,
    }
}

async fn prepare(stack: &Stack, fault: Fault, trial: &Trial) -> (Inbox, Partner, Neighbours) {
    let inbox = Inbox::open(trial.receiver_takes).await;
    // A partner of its own for each trial, so that none sees another's events.
    let owner = format!("faults-{}", Clock::system().unix_ms());
    let partner = Partner::create(stack, &owner, json!({ "rate_limit_override": 1_000_000 })).await;
    let settings = json!({ "timeout_seconds": trial.timeout_seconds(), "max_in_flight": 64 });
    let subscription = partner.subscribe(&inbox.url(), settings).await;
    inbox.expect(&subscription.secret);
    let neighbours = Neighbours::move_in(fault, &partner, trial.events).await;
    (inbox, partner, neighbours)
}

/// Waits until every accepted event has arrived, or nothing more is to be expected; how many then are missing.
async fn wait_for_all(accepted: &BTreeSet<String>, inbox: &Inbox, patience: Duration) -> usize {
    let clock = Clock::system();
    let deadline = clock.monotonic() + patience;
    // Ends by itself in either case, because the table says better what is missing than a deadline does.
    let over = async || inbox.missing(accepted) == 0 || clock.monotonic() > deadline;
    eventually(patience * 2, "every accepted event arrives, or enough was waited", over).await;
    inbox.missing(accepted)
}

/// Waits until nothing waits any more, or enough was waited; how many then still wait, and which.
async fn wait_until_settled(stack: &Stack, patience: Duration) -> Option<String> {
    let clock = Clock::system();
    let deadline = clock.monotonic() + patience;
    let over = async || match stack.waiting().await {
        (0, _) => Some(None),
        (number, some) => (clock.monotonic() > deadline).then(|| Some(format!("{number}, such as {some}"))),
    };
    eventually(patience * 2 + PATIENCE_OF_STORES, "what waits can be counted", over).await
}

/// Whatever is repeated, it is the same delivery with the same bytes.
fn contradiction(event: &str, arrivals: &Arrivals) -> Option<String> {
    let is_one = arrivals.deliveries.len() == 1 && arrivals.bodies.len() == 1;
    (!is_one).then(|| format!("{event} came as another delivery or with another body"))
}

/// What `onering audit` says unless the ledger balances.
async fn unbalanced(stack: &Stack) -> Option<String> {
    let (code, text) = stack.onering(&["audit"]).await;
    (code != 0).then(|| text.lines().last().unwrap_or_default().to_owned())
}

/// The most memory a process ever held.
fn most_memory_mb(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kilobytes| kilobytes / 1024)
}
