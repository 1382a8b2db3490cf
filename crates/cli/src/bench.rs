//! `onering bench`: measures this build beside references taken in the same run, and prints figures, no verdict.
//!
//! It starts a stack of its own (durable Postgres, Redis, the four services) in a temporary folder on free ports, so it
//! neither needs nor disturbs a running one. Every measurement is repeated, the repetitions of all of them interleaved, and
//! medians are printed with their range: single figures of a shared machine are noise.

mod commits;
mod http_load;
mod measurements;
mod paced;
mod private_stack;
mod report;
mod resources;
mod target_sink;

use std::process::ExitCode;
use std::time::Duration;

use crate::args::Bench;

pub(crate) async fn run(options: Bench) -> anyhow::Result<ExitCode> {
    let seconds = Duration::from_secs(options.seconds.into());
    let stack = private_stack::PrivateStack::start().await?;
    let bench = measurements::Measurements::prepare(&stack, seconds, options.connections).await;
    let outcome = match bench {
        Ok(mut bench) => {
            let mut report = report::Report::default();
            let mut result = Ok(());
            for repetition in 1..=options.repeat {
                eprintln!("repetition {repetition} of {}", options.repeat);
                result = bench.repeat(&stack, &mut report).await;
                if result.is_err() {
                    break;
                }
            }
            result.map(|()| report)
        }
        Err(error) => Err(error),
    };
    stack.stop().await;
    let report = outcome?;
    report.print();
    if let Some(path) = options.json {
        std::fs::write(&path, report.to_json())?;
    }
    Ok(ExitCode::SUCCESS)
}
