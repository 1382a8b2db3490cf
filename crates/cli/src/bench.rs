//! `onering bench`: measures this build beside references taken in the same run.
//!
//! It runs a stack of its own (durable Postgres, Redis, the four services) in a temporary folder on free ports, so it
//! neither needs nor disturbs a running one, and takes it down however it ends. Every measurement is repeated, the
//! repetitions of all of them interleaved, and medians are printed with their range: single figures of a shared machine are
//! noise.

mod backlog;
mod bare_server;
mod bed;
mod breaker;
mod closed_loop;
mod commits;
mod delivery_switch;
mod goals;
mod growth;
mod hostile;
mod hostile_receiver;
mod http_load;
mod isolation;
mod live;
mod machine;
mod meter;
mod nginx;
mod paced;
mod pacer;
mod partners;
mod private_stack;
mod programs;
mod redis_benchmark;
mod report;
mod resources;
mod scenarios;
mod seed;
mod table;
mod target_sink;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};

pub(crate) use self::bare_server::run as serve_bare;
use self::bed::Bed;
use self::private_stack::PrivateStack;
use self::report::Report;
use self::scenarios::Scenarios;
use self::table::Circumstances;
use crate::args::{Bench, Scenario, SpecialBench, TableBench};
use crate::output;

/// Time beside the load itself: starting, draining, settling. Whoever runs this in a script gets an end in any case.
const OVERHEAD: Duration = Duration::from_secs(300);
/// What one scenario may take in one repetition beside its loads, of which there are at most so many.
const OVERHEAD_OF_SCENARIO: Duration = Duration::from_secs(120);
const LOADS_OF_SCENARIO: u32 = 10;

/// Measures and prints a table.
pub(crate) async fn run(options: Bench) -> anyhow::Result<ExitCode> {
    let (report, json) = match options.what {
        None => return tabulate(&options.table).await,
        Some(SpecialBench::Isolation(options)) => {
            let limit = OVERHEAD + isolation::limit(&options);
            (on_a_stack(limit, async |stack| isolation::measure(stack, &options).await).await?, options.json)
        }
        Some(SpecialBench::Breaker(options)) => {
            let limit = OVERHEAD + breaker::limit(&options)?;
            (on_a_stack(limit, async |stack| breaker::measure(stack, &options).await).await?, options.json)
        }
        Some(SpecialBench::Hostile(options)) => {
            let limit = OVERHEAD + hostile::limit(&options);
            (on_a_stack(limit, async |stack| hostile::measure(stack, &options).await).await?, options.json)
        }
        Some(SpecialBench::Growth(options)) => {
            let limit = OVERHEAD + growth::limit(&options);
            (on_a_stack(limit, async |stack| growth::measure(stack, &options).await).await?, options.json)
        }
        Some(SpecialBench::Backlog(options)) => {
            let limit = OVERHEAD + backlog::limit(&options);
            (on_a_stack(limit, async |stack| backlog::measure(stack, &options).await).await?, options.json)
        }
        Some(SpecialBench::Seed(options)) => return seed::run(options).await,
    };
    if report.is_empty() {
        bail!("nothing was measured");
    }
    report.print();
    if let Some(path) = json {
        write(&path, &report.to_json())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The table of goals.
async fn tabulate(options: &TableBench) -> anyhow::Result<ExitCode> {
    let of_scenario = OVERHEAD_OF_SCENARIO + Duration::from_secs(options.seconds.into()) * LOADS_OF_SCENARIO;
    let scenarios = u32::try_from(Scenario::ALL.len())?;
    let limit = OVERHEAD + of_scenario * scenarios * u32::from(options.repeat);
    let report = on_a_stack(limit, async |stack| measure(stack, options).await).await?;
    let circumstances = Circumstances {
        machine: machine::described(),
        seconds: options.seconds,
        repeat: options.repeat,
        connections: options.connections,
    };
    let table = table::markdown(&report, &circumstances);
    output::line(table.trim_end());
    if let Some(path) = &options.markdown {
        write(path, &table)?;
    }
    if let Some(path) = &options.json {
        write(path, &table::json(&report, &circumstances))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))
}

/// Measures on a stack of its own. Whatever happens, nothing is left running and nothing is left on the disk.
async fn on_a_stack(
    limit: Duration,
    measuring: impl AsyncFnOnce(&mut PrivateStack) -> anyhow::Result<Report>,
) -> anyhow::Result<Report> {
    let stop = onering_web::stop_on_signals().context("signals cannot be heard")?;
    let mut stack = PrivateStack::prepare()?;
    eprintln!("starting a stack for the benchmark");
    let outcome = tokio::select! {
        outcome = measuring(&mut stack) => outcome,
        () = stop.cancelled() => Err(anyhow::anyhow!("interrupted")),
        () = tokio::time::sleep(limit) => Err(anyhow::anyhow!("not done after {} s, given up", limit.as_secs())),
    };
    let removed = stack.remove().await;
    let report = outcome?;
    removed?;
    Ok(report)
}

async fn measure(stack: &mut PrivateStack, options: &TableBench) -> anyhow::Result<Report> {
    let addresses = stack.start().await?;
    let mut bed = Bed::make(stack, addresses, options).await?;
    let scenarios = Scenarios::prepare(&mut bed, &options.only).await?;
    let mut report = Report::default();
    for repetition in 1..=options.repeat {
        eprintln!("repetition {repetition} of {}", options.repeat);
        scenarios.repeat(&mut bed, &mut report).await?;
    }
    Ok(report)
}
