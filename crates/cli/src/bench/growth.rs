//! `onering bench growth`: one stack measured with empty tables, and again with the past of months in them.

mod monitoring;
mod sweeping;

use std::time::Duration;

use onering_clock::Clock;
use onering_store::{AsyncPgConnection, PoolConfig, seeding};
use serde_json::json;

use super::bed::{Bed, Receiver};
use super::delivery_switch;
use super::live::end_to_end;
use super::partners::Partner;
use super::private_stack::PrivateStack;
use super::report::{Report, Spread};
use super::seed::{self, Plan, Waiting};
use crate::args::{GrowthBench, TableBench};

/// Deliveries that are due while the sweep is timed.
const DUE: u64 = 20_000;
/// Loads a phase has in each repetition, by their length: two, and what is still to arrive.
const LOADS: u32 = 4;
/// What is seeded slower than this is given up.
const SLOWEST_PER_SECOND: u64 = 10_000;

/// What it may take beside starting and stopping.
pub(super) fn limit(options: &GrowthBench) -> Duration {
    let loads = Duration::from_secs(options.seconds.into()) * u32::from(options.repeat) * LOADS * 2;
    loads + Duration::from_secs(options.deliveries / SLOWEST_PER_SECOND)
}

/// Measures on a stack that is not started yet.
pub(super) async fn measure(stack: &mut PrivateStack, options: &GrowthBench) -> anyhow::Result<Report> {
    let addresses = stack.start().await?;
    let mut bed = Bed::make(stack, addresses, &TableBench::of(options.seconds, options.connections)).await?;
    let config = PoolConfig::new(&bed.addresses.stores.database_url)?.statement_timeout(Duration::ZERO);
    let mut store = onering_store::connect(&config).await?;
    let mut report = Report::default();
    // Statements are prepared, connections opened and caches filled before anything counts.
    end_to_end(&mut bed).await?;

    eprintln!("empty tables");
    let empty = loads(&mut bed, options.repeat, "empty", &mut report).await?;
    monitoring::measure(&bed, "empty", &mut report).await?;
    sweeping::measure(&mut store, "empty: sweep that finds nothing", &mut report).await?;

    eprintln!("filling them");
    fill(&bed, &config, options, &mut report).await?;
    seeding::checkpoint(&mut store).await?;

    eprintln!("full tables");
    sweep_what_is_due(&bed, &mut store, &mut report).await?;
    let full = loads(&mut bed, options.repeat, "full", &mut report).await?;
    monitoring::measure(&bed, "full", &mut report).await?;
    sweeping::measure(&mut store, "full: sweep that finds nothing", &mut report).await?;
    report.add("end to end: full, of empty", "×", full / empty);
    Ok(report)
}

/// End to end, each time with the reference; answers the median.
async fn loads(bed: &mut Bed<'_>, repeat: u16, phase: &str, report: &mut Report) -> anyhow::Result<f64> {
    let mut rates = Vec::new();
    for _ in 0..repeat {
        report.add(format!("{phase}: POSTs into nginx"), "1/s", bed.posts(Receiver::Nginx).await?);
        let rate = end_to_end(bed).await?;
        report.add(format!("{phase}: accepted and delivered, end to end"), "1/s", rate);
        rates.push(rate);
    }
    Ok(Spread::of(&rates).median)
}

/// Seeds. Delivery is off from now on: what is due is to stay that.
async fn fill(bed: &Bed<'_>, config: &PoolConfig, options: &GrowthBench, report: &mut Report) -> anyhow::Result<()> {
    delivery_switch::turn_and_wait(bed, false).await?;
    let owner = "due";
    let webhook = Partner::make(&bed.addresses, owner).await?;
    let webhook = webhook.subscribe(bed.nginx.address(), "/webhook", json!({})).await?;
    let clock = Clock::system();
    let mut plan = Plan::new(options.deliveries, options.subscriptions, clock.unix_ms());
    plan.waiting = Some(Waiting { deliveries: DUE, is_due: true, to: Some((owner.parse()?, webhook.parse()?)) });
    plan.adds = true;
    let seeded = seed::fill(config, plan, &clock).await?;
    report.add("full: deliveries seeded", "", options.deliveries as f64);
    report.add("full: seeded", "1/s", seeded.rate());
    Ok(())
}

/// Times the sweep while there is much to sweep, and then has it all sent.
async fn sweep_what_is_due(bed: &Bed<'_>, store: &mut AsyncPgConnection, report: &mut Report) -> anyhow::Result<()> {
    sweeping::measure(store, "full: sweep that takes 500 of 20,000", report).await?;
    let (received, delivered) = (bed.received(Receiver::Nginx).await?, bed.delivered().await?);
    delivery_switch::turn_and_wait(bed, true).await?;
    bed.wait_until_received(Receiver::Nginx, received + DUE).await?;
    bed.wait_until_delivered(delivered + DUE).await
}
