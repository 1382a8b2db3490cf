//! `onering bench`: measures this build beside references taken in the same run, and prints figures, no verdict.
//!
//! It runs a stack of its own (durable Postgres, Redis, the four services) in a temporary folder on free ports, so it
//! neither needs nor disturbs a running one, and takes it down however it ends. Every measurement is repeated, the
//! repetitions of all of them interleaved, and medians are printed with their range: single figures of a shared machine are
//! noise.

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

use anyhow::{Context as _, bail};

use self::measurements::Measurements;
use self::private_stack::PrivateStack;
use self::report::Report;
use crate::args::Bench;

/// Time beside the load itself: starting, draining, settling. Whoever runs this in a script gets an end in any case.
const OVERHEAD: Duration = Duration::from_secs(300);
/// Measurements a repetition, of `--seconds` each; the paced one takes twice as long.
const MEASUREMENTS: u32 = 7;

/// Measures and prints a table.
pub(crate) async fn run(options: Bench) -> anyhow::Result<ExitCode> {
    let stop = onering_web::stop_on_signals().context("signals cannot be heard")?;
    let seconds = Duration::from_secs(options.seconds.into());
    let limit = OVERHEAD + seconds * MEASUREMENTS * u32::from(options.repeat) * 2;
    let mut stack = PrivateStack::prepare()?;
    let outcome = tokio::select! {
        outcome = measure(&options, &mut stack, seconds) => outcome,
        () = stop.cancelled() => Err(anyhow::anyhow!("interrupted")),
        () = tokio::time::sleep(limit) => Err(anyhow::anyhow!("not done after {} s, given up", limit.as_secs())),
    };
    // Whatever happened, nothing is left running and nothing is left on the disk.
    let removed = stack.remove().await;
    let report = outcome?;
    removed?;
    report.print();
    if let Some(path) = options.json {
        std::fs::write(&path, report.to_json()).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn measure(options: &Bench, stack: &mut PrivateStack, seconds: Duration) -> anyhow::Result<Report> {
    eprintln!("starting a stack for the benchmark");
    let addresses = stack.start().await?;
    let mut measurements = Measurements::prepare(&addresses, seconds, options.connections).await?;
    let mut report = Report::default();
    for repetition in 1..=options.repeat {
        eprintln!("repetition {repetition} of {}", options.repeat);
        measurements.repeat(stack, &mut report).await?;
    }
    if report.is_empty() {
        bail!("nothing was measured");
    }
    Ok(report)
}
