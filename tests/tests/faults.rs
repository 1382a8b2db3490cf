//! The fault suite in its short form: what loses most when it goes wrong each time, and a few of the other faults in turn.
//! `make faults` runs all of it for as long as one likes.
//!
//! And the suite itself is tested: with a bug planted in the worker its verdict must be red, for the right reason.
#![allow(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "the table is printed, and a seed can be given by the environment"
)]

use std::time::Duration;

use onering_clock::Clock;
use onering_tests::faults::{Fault, HEAD, Program, Trial, Verdict, row, run, start};

/// Events of each fault.
const EVENTS: usize = 1_000;
/// How many faults are tried beside the core.
const IN_TURN: usize = 3;
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// The day, so that a suite that runs daily comes round to everything; or what is given, to see a red day again.
fn seed() -> u64 {
    let given = std::env::var("FAULTS_SEED").ok().and_then(|text| text.parse().ok());
    given.unwrap_or_else(|| Clock::system().unix_ms() / DAY_MS)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_accepted_event_is_lost_whatever_breaks() {
    let mut program = Program::new(seed(), EVENTS);
    let others = Fault::ALL.into_iter().filter(|fault| !Fault::CORE.contains(fault)).collect();
    let faults: Vec<Fault> = Fault::CORE.into_iter().chain(program.some_of(IN_TURN, others)).collect();
    println!("FAULTS_SEED={}\n\n{HEAD}", seed());
    let mut stack = start(&[]).await;
    let mut verdicts = Vec::new();
    for (fault, trial) in program.each_of(&faults) {
        let verdict = run(&mut stack, fault, &trial).await;
        println!("{}", row(&verdict));
        let is_stuck = verdict.waiting.is_some();
        verdicts.push(verdict);
        if is_stuck {
            break;
        }
    }
    for verdict in &verdicts {
        assert!(verdict.is_green(), "{}: {:#?}", verdict.fault, verdict.reds());
        assert_eq!(verdict.accepted, EVENTS, "{}", verdict.fault);
    }
}

/// A trial with a bug in the workers.
async fn with_planted(bug: &str, fault: Fault, trial: &Trial) -> Verdict {
    let mut stack = start(&[("ONERING_PLANT_BUG", bug)]).await;
    let verdict = run(&mut stack, fault, trial).await;
    println!("{bug}\n\n{HEAD}\n{}", row(&verdict));
    assert!(!verdict.is_green(), "the suite does not see {bug}");
    verdict
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sweep_that_is_off_is_seen() {
    // What was in Redis is gone for good; nobody has to wait long to know.
    let trial = Trial { patience: Duration::from_secs(15), ..Trial::of(600) };
    let verdict = with_planted("sweep-off", Fault::FlushRedis, &trial).await;
    assert!(verdict.lost > 0, "{:#?}", verdict.reds());
    assert_eq!((verdict.strangers, verdict.bad_signatures), (0, 0), "{:#?}", verdict.reds());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fence_that_is_off_is_seen() {
    // Requests outlast the leases they are sent under, and nothing crashes that deliveries depend on.
    let patience = Duration::from_secs(15);
    let trial = Trial { receiver_takes: Duration::from_secs(4), patience, ..Trial::of(120) };
    let verdict = with_planted("fence-off", Fault::KillMonitoring, &trial).await;
    assert!(verdict.repeated > 0, "{:#?}", verdict.reds());
    assert_eq!((verdict.lost, verdict.strangers, verdict.bad_signatures), (0, 0, 0), "{:#?}", verdict.reds());
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_requests_alone_are_not_red() {
    let trial = Trial { receiver_takes: Duration::from_secs(4), ..Trial::of(120) };
    let mut stack = start(&[]).await;
    let verdict = run(&mut stack, Fault::KillMonitoring, &trial).await;
    assert!(verdict.is_green(), "{:#?}", verdict.reds());
}
