//! What is killed while events flow, and what must be true afterwards: every event answered 202 has arrived, what arrived
//! twice carries the same `webhook-id`, and the ledger balances.
//!
//! With the worker's sweep taken out this test turns red: it alone finds what was lost from Redis.
#![allow(clippy::panic, clippy::unwrap_used, clippy::print_stdout, reason = "a test says what is wrong by failing")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use onering_clock::Clock;
use onering_dev_servers::Signal;
use onering_testkit::{Receiver, Reply, eventually};
use onering_tests::{Api, Partner, Stack, StackOptions};
use reqwest::Method;
use serde_json::json;

/// Events of each fault.
const EVENTS: usize = 2_000;
/// Clients at once.
const CLIENTS: usize = 32;
/// How many events are accepted before the fault.
const BEFORE: usize = 600;
/// A worker that dies takes its leases with it for 17 s: the time limit of a request and the margin beyond it.
const PATIENCE: Duration = Duration::from_secs(75);

/// What happens in the middle.
#[derive(Debug, Clone, Copy)]
enum Fault {
    KillWorker,
    KillGateway,
    FlushRedis,
    CrashRedis,
    RestartPostgres,
    CrashPostgres,
}

impl Fault {
    const ALL: [Self; 6] = [
        Self::KillWorker,
        Self::KillGateway,
        Self::FlushRedis,
        Self::CrashRedis,
        Self::RestartPostgres,
        Self::CrashPostgres,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::KillWorker => "kill -9 of a worker",
            Self::KillGateway => "kill -9 of a gateway",
            Self::FlushRedis => "FLUSHALL of Redis",
            Self::CrashRedis => "kill -9 of Redis",
            Self::RestartPostgres => "restart of Postgres",
            Self::CrashPostgres => "kill -9 of Postgres",
        }
    }

    async fn strike(self, stack: &mut Stack) {
        match self {
            Self::KillWorker => stack.workers[0].restart().await,
            Self::KillGateway => stack.gateways[0].restart().await,
            Self::FlushRedis => {
                // Only what waits there can be lost, so the workers stand still until something does.
                stack.workers.iter_mut().for_each(|worker| worker.signal(Signal::STOP));
                eventually(PATIENCE, "deliveries wait in Redis", async || stream_length(stack).await >= 200).await;
                assert_eq!(stack.redis_command("FLUSHALL").await, "+OK");
                stack.workers.iter_mut().for_each(|worker| worker.signal(Signal::CONT));
            }
            Self::CrashRedis => {
                stack.redis.kill9();
                stack.redis.restart().await.unwrap();
            }
            Self::RestartPostgres => stack.database.server().restart().await.unwrap(),
            Self::CrashPostgres => {
                stack.database.server().kill9();
                stack.database.server().restart().await.unwrap();
            }
        }
    }

    /// Whether no process died that had requests to receivers under way or results to write.
    fn spares_results(self) -> bool {
        matches!(self, Self::KillGateway | Self::FlushRedis | Self::CrashRedis)
    }
}

async fn stream_length(stack: &Stack) -> u64 {
    stack.redis_command("XLEN onering:deliveries").await.trim_start_matches(':').parse().unwrap_or(0)
}

/// What one receiver got of one event.
#[derive(Debug, Default)]
struct Arrivals {
    times: usize,
    attempts: BTreeSet<String>,
    deliveries: BTreeSet<String>,
    bodies: BTreeSet<Vec<u8>>,
}

type Inbox = Arc<Mutex<BTreeMap<String, Arrivals>>>;

/// A receiver that takes its time, so that deliveries are under way and wait when the fault strikes.
async fn receiver() -> (Receiver, Inbox) {
    let inbox = Inbox::default();
    let receiver = Receiver::start().await;
    let into = Arc::clone(&inbox);
    receiver.otherwise_by(move |request| {
        let text = |name: &str| request.header(name).unwrap_or_default().to_owned();
        let mut inbox = into.lock().unwrap();
        let arrivals = inbox.entry(text("webhook-id")).or_default();
        arrivals.times += 1;
        arrivals.attempts.insert(text("X-Webhook-Attempt"));
        arrivals.deliveries.insert(text("X-Webhook-Delivery-ID"));
        arrivals.bodies.insert(request.body.clone());
        Reply::status(200).delay(Duration::from_millis(50))
    });
    (receiver, inbox)
}

/// What the clients know.
#[derive(Debug, Default)]
struct Accepted {
    events: BTreeSet<String>,
    unanswered: usize,
}

/// Publishes one event, as a careful client does: no answer means "unknown", and is asked again with the same key.
async fn publish(gateways: &[Api], number: usize, accepted: &Mutex<Accepted>) {
    let body = json!({ "event_type": "ring.forged", "data": { "number": number } });
    let key = format!("event-{number}");
    let mut tries = 0;
    let event = eventually(PATIENCE, "the event is accepted", async || {
        let gateway = &gateways[(number + tries) % gateways.len()];
        tries += 1;
        let headers = [("Idempotency-Key", key.as_str())];
        match gateway.try_call(Method::POST, "/v1/external/events", &headers, Some(&body)).await {
            Some(answer) if answer.status == 202 => Ok(answer.body["event_id"].as_str().unwrap().to_owned()),
            Some(answer) if answer.status >= 500 => Err(answer.body.to_string()),
            Some(answer) => panic!("answered {} {}", answer.status, answer.body),
            None => {
                accepted.lock().unwrap().unanswered += 1;
                Err("no answer".to_owned())
            }
        }
    })
    .await;
    accepted.lock().unwrap().events.insert(event);
}

/// The figures of one fault.
#[derive(Debug)]
struct Verdict {
    fault: Fault,
    accepted: usize,
    delivered: usize,
    repeated: usize,
    lost: usize,
    /// Arrived and never accepted: an event published twice under one idempotency key.
    strangers: usize,
    unanswered: usize,
    wrong: Vec<String>,
    took: Duration,
}

async fn run(stack: &mut Stack, fault: Fault) -> Verdict {
    let (receiver, inbox) = receiver().await;
    let owner = format!("partner-{fault:?}");
    let partner = Partner::create(stack, &owner, json!({ "rate_limit_override": 1_000_000 })).await;
    // A short time limit, because a dead worker's leases last as long and a margin.
    partner.subscribe(&receiver.url("/hook"), json!({ "timeout_seconds": 2, "max_in_flight": 64 })).await;

    let accepted = Mutex::new(Accepted::default());
    let gateways: Vec<Api> = (0..2).map(|number| stack.gateway(number).with_token(&partner.token)).collect();
    let start = Clock::system().monotonic();
    let all = (0..EVENTS).map(|number| publish(&gateways, number, &accepted));
    let clients = stream::iter(all).buffer_unordered(CLIENTS).collect::<()>();
    let strike = async {
        eventually(PATIENCE, "the flow is in its middle", async || {
            accepted.lock().unwrap().events.len() >= BEFORE && inbox.lock().unwrap().len() >= 100
        })
        .await;
        fault.strike(stack).await;
    };
    tokio::join!(clients, strike);

    let accepted = accepted.into_inner().unwrap();
    let lost = lost(&accepted.events, &inbox).await;
    let took = start.elapsed();
    if lost == 0 {
        stack.wait_until_settled(PATIENCE).await;
    }
    let inbox = inbox.lock().unwrap();
    let wrong = inbox.iter().filter_map(|(event, arrivals)| what_is_wrong(fault, event, arrivals)).collect();
    Verdict {
        fault,
        accepted: accepted.events.len(),
        delivered: accepted.events.len() - lost,
        repeated: inbox.values().map(|arrivals| arrivals.times - 1).sum(),
        lost,
        strangers: inbox.keys().filter(|event| !accepted.events.contains(*event)).count(),
        unanswered: accepted.unanswered,
        wrong,
        took,
    }
}

/// Waits until every accepted event has arrived, or nothing more is to be expected; how many then are missing.
async fn lost(accepted: &BTreeSet<String>, inbox: &Inbox) -> usize {
    let missing = || {
        let inbox = inbox.lock().unwrap();
        accepted.iter().filter(|event| !inbox.contains_key(*event)).count()
    };
    let deadline = Clock::system().monotonic() + PATIENCE;
    // Ends by itself in either case, because the table says better what is missing than a deadline does.
    let over = async || missing() == 0 || Clock::system().monotonic() > deadline;
    eventually(PATIENCE * 2, "every accepted event arrives, or enough was waited", over).await;
    missing()
}

fn what_is_wrong(fault: Fault, event: &str, arrivals: &Arrivals) -> Option<String> {
    if arrivals.deliveries.len() != 1 || arrivals.bodies.len() != 1 {
        return Some(format!("{event} came as another delivery or with another body"));
    }
    // An attempt that timed out on a busy machine is repeated with the next number; the same number twice is a repeat.
    let doubled = arrivals.times > arrivals.attempts.len();
    (doubled && fault.spares_results())
        .then(|| format!("{event} came twice as the same attempt, and nothing had crashed"))
}

fn print_head() {
    println!("| fault | accepted | delivered | repeated | lost | strangers | unanswered calls | seconds |");
    println!("|---|---|---|---|---|---|---|---|");
}

fn print(verdict: &Verdict) {
    let Verdict { fault, accepted, delivered, repeated, lost, strangers, unanswered, took, .. } = verdict;
    let (name, seconds) = (fault.name(), took.as_secs_f64());
    println!("| {name} | {accepted} | {delivered} | {repeated} | {lost} | {strangers} | {unanswered} | {seconds:.1} |");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_accepted_event_is_lost_whatever_is_killed() {
    let options = StackOptions {
        more_gateways: 1,
        more_workers: 1,
        private_postgres: true,
        environment: vec![
            ("ONERING_WEBHOOKS_LEASE_SECONDS", "2".to_owned()),
            ("ONERING_WEBHOOKS_BACKOFF_SECONDS", "1".to_owned()),
            ("ONERING_WEBHOOKS_MAX_ATTEMPTS", "20".to_owned()),
        ],
    };
    let mut stack = Stack::start(options).await;
    let mut verdicts = Vec::new();
    print_head();
    for fault in Fault::ALL {
        let verdict = run(&mut stack, fault).await;
        print(&verdict);
        stack.assert_ledger_balances().await;
        let lost = verdict.lost;
        verdicts.push(verdict);
        if lost > 0 {
            let (number, some) = stack.waiting().await;
            println!("{number} still wait, such as\n{some}");
            break;
        }
    }
    for verdict in &verdicts {
        assert_eq!((verdict.accepted, verdict.lost, verdict.strangers), (EVENTS, 0, 0), "{}", verdict.fault.name());
        assert!(verdict.wrong.is_empty(), "{}: {:#?}", verdict.fault.name(), verdict.wrong);
    }
}
