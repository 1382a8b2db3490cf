//! `onering audit`: the loss ledger, from Postgres alone. What ingest promised must be there, in one state each.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use chrono::TimeDelta;
use onering_clock::Clock;
use onering_delivery::{Ledger, Status};
use onering_store::ledger;
use serde_json::{Value, json};

use crate::args::Audit;
use crate::output;

/// Events named when the ledger does not balance.
const NAMED: u32 = 20;

/// Counts a range and prints the ledger; success only when it balances.
pub(crate) async fn run(options: Audit) -> anyhow::Result<ExitCode> {
    let now = Clock::system().now();
    // An event accepted in this very millisecond belongs to the range that ends now.
    let to = options.to.unwrap_or(now + TimeDelta::milliseconds(1));
    let from = options.from.unwrap_or(to - TimeDelta::hours(24));
    anyhow::ensure!(from < to, "--from must be before --to");
    // A long range takes as long as it takes.
    let config = options.database.resolve()?.statement_timeout(Duration::ZERO);
    let mut connection = onering_store::connect(&config).await.context("the database cannot be reached")?;
    let counted = ledger::read(&mut connection, from, to).await?;
    let unbalanced =
        if counted.balances() { Vec::new() } else { ledger::unbalanced(&mut connection, from, to, NAMED).await? };
    if options.json {
        let events: Vec<Value> = unbalanced
            .iter()
            .map(|event| json!({ "event_id": event.event_id, "matched": event.matched, "found": event.found }))
            .collect();
        output::json(&json!({
            "from": from, "to": to, "ledger": counted, "missing": missing(&counted),
            "balanced": counted.balances(), "unbalanced_events": events,
        }));
    } else {
        lines_of(&counted).iter().for_each(|line| output::line(line));
        for event in &unbalanced {
            output::line(&format!("  {}: matched {}, found {}", event.event_id, event.matched, event.found));
        }
    }
    Ok(if counted.balances() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Promised deliveries that are not there; JSON has no larger numbers, and no database so many rows.
fn missing(counted: &Ledger) -> i64 {
    i64::try_from(counted.missing()).unwrap_or(i64::MAX)
}

fn lines_of(counted: &Ledger) -> Vec<String> {
    let promised = i128::from(counted.matched) + i128::from(counted.repeated);
    let parts = format!("(matched {}, repeated {})", counted.matched, counted.repeated);
    let mut lines = vec![format!("{:<14} {promised:>8}  {parts}", "promised")];
    for status in Status::ALL {
        let held = if *status == Status::Pending { format!("  (held {})", counted.held) } else { String::new() };
        lines.push(format!("{:<14} {:>8}{held}", status.as_str(), counted.count(*status)));
    }
    lines.push(match counted.balances() {
        true => "The ledger balances ✅".to_owned(),
        false => format!("The ledger does not balance ❌ missing {}", counted.missing()),
    });
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_says_how_much_is_missing() {
        let balanced = Ledger { matched: 3, repeated: 1, delivered: 4, ..Ledger::default() };
        assert_eq!(lines_of(&balanced).last().unwrap(), "The ledger balances ✅");
        let unbalanced = Ledger { delivered: 2, ..balanced };
        assert_eq!(lines_of(&unbalanced).last().unwrap(), "The ledger does not balance ❌ missing 2");
        assert_eq!(missing(&unbalanced), 2);
    }
}
