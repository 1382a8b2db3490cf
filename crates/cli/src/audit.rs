//! `onering audit`: the loss ledger, from Postgres alone. What ingest promised must be there, in one state each.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use chrono::TimeDelta;
use onering_clock::Clock;
use onering_delivery::{Ledger, Status};
use onering_store::{PoolConfig, ledger};
use serde_json::json;

use crate::args::Audit;
use crate::output;

/// Events named when the ledger does not balance.
const NAMED: u32 = 20;

pub(crate) async fn run(options: Audit) -> anyhow::Result<ExitCode> {
    let now = Clock::system().now();
    // An event accepted in this very millisecond belongs to the range that ends now.
    let to = options.to.unwrap_or(now + TimeDelta::milliseconds(1));
    let from = options.from.unwrap_or(to - TimeDelta::hours(24));
    anyhow::ensure!(from < to, "--from must be before --to");
    let config = PoolConfig::new(&options.database_url).context("DATABASE_URL")?.statement_timeout(Duration::ZERO);
    let mut connection = onering_store::connect(&config).await.context("the database cannot be reached")?;
    let counted = ledger::read(&mut connection, from, to).await?;
    let unbalanced = if counted.balances() {
        Vec::new()
    } else {
        ledger::unbalanced(&mut connection, from, to, NAMED).await?
    };
    if options.json {
        let events: Vec<_> = unbalanced
            .iter()
            .map(|event| json!({ "event_id": event.event_id, "matched": event.matched, "found": event.found }))
            .collect();
        output::json(&json!({
            "from": from, "to": to, "ledger": counted, "missing": counted.missing().to_string(),
            "balanced": counted.balances(), "unbalanced_events": events,
        }));
    } else {
        print(&counted);
        for event in &unbalanced {
            println!("  {}: matched {}, found {}", event.event_id, event.matched, event.found);
        }
    }
    Ok(if counted.balances() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(counted: &Ledger) {
    println!("promised   {:>12}  (matched {}, repeated {})", counted.matched + counted.repeated, counted.matched, counted.repeated);
    for status in Status::ALL {
        let held = if *status == Status::Pending { format!("  (held {})", counted.held) } else { String::new() };
        println!("{:<14} {:>8}{held}", status.as_str(), counted.count(*status));
    }
    match counted.missing() {
        0 if counted.balances() => println!("The ledger balances ✅"),
        missing => println!("The ledger does not balance ❌ missing {missing}"),
    }
}
