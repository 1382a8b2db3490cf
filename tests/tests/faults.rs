//! The fault suite in its short form: every fault once, at moments that never change. `make faults` goes on for as long as one
//! likes, in other orders and at other moments.
//!
//! And the suite itself is tested: with a bug planted in the worker its verdict must be red, for the right reason.
#![allow(clippy::print_stdout, reason = "the table is printed")]

use std::time::Duration;

use onering_tests::faults::{Fault, HEAD, Program, Trial, Verdict, row, run, start};

/// Events of what loses most when it goes wrong, and of each other fault.
const EVENTS: usize = 2_000;
const FEWER_EVENTS: usize = 1_000;
/// The same each time: a red run is to be seen again, and a green one to mean the same tomorrow.
const SEED: u64 = 1;

#[tokio::test(flavor = "multi_thread")]
async fn no_accepted_event_is_lost_whatever_breaks() {
    let others: Vec<Fault> = Fault::ALL.into_iter().filter(|fault| !Fault::CORE.contains(fault)).collect();
    let core = Program::new(SEED, EVENTS).each_of(&Fault::CORE);
    let trials = core.into_iter().chain(Program::new(SEED, FEWER_EVENTS).each_of(&others));
    println!("{HEAD}");
    let mut stack = start(&[]).await;
    let mut verdicts = Vec::new();
    for (fault, trial) in trials {
        let verdict = run(&mut stack, fault, &trial).await;
        println!("{}", row(&verdict));
        let is_stuck = verdict.waiting.is_some();
        verdicts.push((verdict, trial.events));
        if is_stuck {
            break;
        }
    }
    for (verdict, events) in &verdicts {
        assert!(verdict.is_green(), "{}: {:#?}", verdict.fault, verdict.reds());
        assert_eq!(verdict.accepted, *events, "{}", verdict.fault);
    }
    assert_eq!(verdicts.len(), Fault::ALL.len());
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
async fn a_breaker_that_never_opens_is_seen() {
    let verdict = with_planted("breaker-unbounded", Fault::HostileReceivers, &Trial::of(300)).await;
    assert!(verdict.wrong.iter().any(|wrong| wrong.contains("a receiver that is down")), "{:#?}", verdict.reds());
    assert_eq!((verdict.lost, verdict.strangers, verdict.bad_signatures), (0, 0, 0), "{:#?}", verdict.reds());
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_requests_alone_are_not_red() {
    let trial = Trial { receiver_takes: Duration::from_secs(4), ..Trial::of(120) };
    let mut stack = start(&[]).await;
    let verdict = run(&mut stack, Fault::KillMonitoring, &trial).await;
    assert!(verdict.is_green(), "{:#?}", verdict.reds());
}
