//! `make faults`: the fault suite for as long as one likes.
//!
//! Exit codes: 0 all green, 1 something was red, 2 the command line was not understood.
#![allow(clippy::print_stdout, reason = "the table is what it is for")]

use std::panic::AssertUnwindSafe;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use futures_util::FutureExt as _;
use onering_clock::Clock;
use onering_tests::faults::{Fault, HEAD, Program, row, run, start};

/// Breaks a stack of its own in every way there is, under load, and holds what arrived against what was accepted.
#[derive(Parser)]
struct Arguments {
    /// The same seed, the same faults in the same order; by chance when left out
    #[arg(long)]
    seed: Option<u64>,
    /// No fault is begun after so many minutes
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=10_080))]
    minutes: u64,
    /// This fault again and again instead of all in turn
    #[arg(long)]
    only: Option<Fault>,
    /// Events published around each fault
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(500..=1_000_000))]
    events: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // One that panics is a red suite, after its processes have shown their logs.
    match AssertUnwindSafe(suite(arguments)).catch_unwind().await {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(_) => {
            println!("RED: the suite broke off");
            ExitCode::FAILURE
        }
    }
}

/// Runs until time is up or something does not settle; answers how many faults were red.
async fn suite(arguments: Arguments) -> usize {
    let clock = Clock::system();
    let seed = arguments.seed.unwrap_or_else(|| clock.unix_ms());
    println!("seed {seed} (again: make faults FAULTS_ARGS=\"--seed {seed}\")\n\n{HEAD}");
    let mut stack = start(&[]).await;
    let begun = clock.monotonic();
    let time = Duration::from_secs(arguments.minutes * 60);
    let (mut tried, mut red) = (0_usize, 0_usize);
    let program = Program::new(seed, usize::try_from(arguments.events).unwrap_or(usize::MAX));
    for (fault, trial) in program.filter(|(fault, _)| arguments.only.is_none_or(|only| only == *fault)) {
        if clock.monotonic().saturating_duration_since(begun) >= time {
            break;
        }
        let verdict = run(&mut stack, fault, &trial).await;
        println!("{}", row(&verdict));
        tried += 1;
        red += usize::from(!verdict.is_green());
        if verdict.waiting.is_some() {
            println!("\nstopped: what waits now would be waited for in every later trial");
            break;
        }
    }
    println!("\nseed {seed}: {tried} faults, {red} red");
    red
}
