//! `onering bench`: measures this build beside references taken in the same run, and prints figures, no verdict.
//!
//! It runs a stack of its own (durable Postgres, Redis, the four services) in a temporary folder on free ports, so it
//! neither needs nor disturbs a running one, and takes it down however it ends. Every measurement is repeated, the
//! repetitions of all of them interleaved, and medians are printed with their range: single figures of a shared machine are
//! noise.

mod breaker;
mod commits;
mod hostile;
mod hostile_receiver;
mod http_load;
mod isolation;
mod measurements;
mod paced;
mod partners;
mod private_stack;
mod report;
mod resources;
mod seed;
mod target_sink;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};

use self::measurements::Measurements;
use self::private_stack::PrivateStack;
use self::report::Report;
use crate::args::{Bench, SpecialBench};

/// Time beside the load itself: starting, draining, settling. Whoever runs this in a script gets an end in any case.
const OVERHEAD: Duration = Duration::from_secs(300);
/// Measurements a repetition, of `--seconds` each; the paced one takes twice as long.
const MEASUREMENTS: u32 = 7;

/// Measures and prints a table.
pub(crate) async fn run(options: Bench) -> anyhow::Result<ExitCode> {
    let seconds = Duration::from_secs(options.seconds.into());
    let repeat = u32::from(options.repeat);
    let (report, json) = match options.what {
        None => {
            let limit = OVERHEAD + seconds * MEASUREMENTS * repeat * 2;
            let measuring = async |stack: &mut PrivateStack| measure(stack, seconds, repeat, options.connections).await;
            (on_a_stack(limit, measuring).await?, options.json)
        }
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
        Some(SpecialBench::Seed(options)) => return seed::run(options).await,
    };
    if report.is_empty() {
        bail!("nothing was measured");
    }
    report.print();
    if let Some(path) = json {
        std::fs::write(&path, report.to_json()).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok(ExitCode::SUCCESS)
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

async fn measure(stack: &mut PrivateStack, seconds: Duration, repeat: u32, connections: u16) -> anyhow::Result<Report> {
    let addresses = stack.start().await?;
    let mut measurements = Measurements::prepare(&addresses, seconds, connections).await?;
    let mut report = Report::default();
    for repetition in 1..=repeat {
        eprintln!("repetition {repetition} of {repeat}");
        measurements.repeat(stack, &mut report).await?;
    }
    Ok(report)
}
