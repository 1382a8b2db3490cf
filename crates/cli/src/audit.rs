//! `onering audit`: the loss ledger, from Postgres alone. What ingest promised must be there, in one state each; and what
//! is DELIVERED must be with its receiver, where that has a list.

mod received;
mod received_ids;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use chrono::{DateTime, TimeDelta, Utc};
use onering_clock::Clock;
use onering_delivery::{Ledger, PartnerLedger, Status};
use onering_ids::OwnerId;
use onering_store::ledger::UnbalancedEvent;
use onering_store::{AsyncPgConnection, ledger, partners};
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
    if let Some(owner) = &options.owner {
        anyhow::ensure!(partners::get(&mut connection, owner).await?.is_some(), "there is no partner {owner}");
    }
    if let Some(list) = &options.received {
        let (owner, webhook) = received::subscription(&mut connection, options.webhook, options.owner.as_ref()).await?;
        let list = received::List { path: list, as_of: options.as_of, begun: now };
        return received::run(&mut connection, list, (&owner, webhook), (from, to), options.json).await;
    }
    let counted = Counted::read(&mut connection, options.owner.as_ref(), from, to).await?;
    if options.json {
        output::json(&counted.document(from, to));
    } else {
        counted.lines().iter().for_each(|line| output::line(line));
    }
    Ok(if counted.balances() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A ledger as it was counted, and where it does not add up.
struct Counted {
    ledger: Ledger,
    /// Of a partner: whose, and what is known of events for all partners.
    partner: Option<(OwnerId, PartnerLedger)>,
    unbalanced: Vec<UnbalancedEvent>,
}

impl Counted {
    async fn read(
        connection: &mut AsyncPgConnection,
        owner: Option<&OwnerId>,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> anyhow::Result<Self> {
        let mut counted = match owner {
            None => {
                let ledger = ledger::read(connection, from, to).await?;
                Self { ledger, partner: None, unbalanced: Vec::new() }
            }
            Some(owner) => {
                let partner = ledger::read_of_owner(connection, owner, from, to).await?;
                let ledger = partner.ledger;
                Self { ledger, partner: Some((owner.clone(), partner)), unbalanced: Vec::new() }
            }
        };
        if !counted.balances() {
            counted.unbalanced = ledger::unbalanced(connection, owner, from, to, NAMED).await?;
        }
        Ok(counted)
    }

    fn balances(&self) -> bool {
        self.partner.as_ref().map_or(self.ledger.balances(), |(_, partner)| partner.balances())
    }

    /// Promised deliveries that are not there; JSON has no larger numbers, and no database so many rows.
    fn missing(&self) -> i64 {
        i64::try_from(self.ledger.missing()).unwrap_or(i64::MAX)
    }

    fn document(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Value {
        let events: Vec<Value> = self
            .unbalanced
            .iter()
            .map(|event| json!({ "event_id": event.event_id, "matched": event.matched, "found": event.found }))
            .collect();
        let mut document = json!({
            "from": from, "to": to, "ledger": self.ledger, "missing": self.missing(), "balanced": self.balances(),
            "unbalanced_events": events,
        });
        if let Some((owner, partner)) = &self.partner {
            document["owner_id"] = json!(owner);
            document["broadcast"] = partner.broadcast.into();
            document["broadcast_unbalanced"] = partner.broadcast_unbalanced.into();
        }
        document
    }

    fn lines(&self) -> Vec<String> {
        let counted = &self.ledger;
        let promised = i128::from(counted.matched) + i128::from(counted.repeated);
        let parts = format!("(matched {}, repeated {})", counted.matched, counted.repeated);
        let mut lines = vec![format!("{:<14} {promised:>8}  {parts}", "promised")];
        for status in Status::ALL {
            let held = if *status == Status::Pending { format!("  (held {})", counted.held) } else { String::new() };
            lines.push(format!("{:<14} {:>8}{held}", status.as_str(), counted.count(*status)));
        }
        if let Some((owner, partner)) = &self.partner {
            lines.push(format!(
                "Of {owner} alone. {} of these are of events for all partners, which do not say whom they were promised to.",
                partner.broadcast
            ));
            if partner.broadcast_unbalanced > 0 {
                lines.push(format!(
                    "{} events for all partners lack deliveries or have too many; whose they are cannot be known.",
                    partner.broadcast_unbalanced
                ));
            }
        }
        lines.push(match self.balances() {
            true => "The ledger balances ✅".to_owned(),
            false => format!("The ledger does not balance ❌ missing {}", counted.missing()),
        });
        let events = self.unbalanced.iter();
        lines.extend(
            events.map(|event| format!("  {}: matched {}, found {}", event.event_id, event.matched, event.found)),
        );
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(ledger: Ledger, partner: Option<PartnerLedger>) -> Counted {
        let partner = partner.map(|partner| (OwnerId::default_partner(), partner));
        Counted { ledger, partner, unbalanced: Vec::new() }
    }

    #[test]
    fn the_verdict_says_how_much_is_missing() {
        let balanced = Ledger { matched: 3, repeated: 1, delivered: 4, ..Ledger::default() };
        assert_eq!(counted(balanced, None).lines().last().unwrap(), "The ledger balances ✅");
        let unbalanced = counted(Ledger { delivered: 2, ..balanced }, None);
        assert_eq!(unbalanced.lines().last().unwrap(), "The ledger does not balance ❌ missing 2");
        assert_eq!(unbalanced.missing(), 2);
    }

    #[test]
    fn of_a_partner_no_more_is_claimed_than_is_known() {
        let ledger = Ledger { matched: 3, delivered: 3, ..Ledger::default() };
        let partner = PartnerLedger { ledger, broadcast: 1, broadcast_unbalanced: 2 };
        let lines = counted(ledger, Some(partner)).lines();
        assert_eq!(lines.last().unwrap(), "The ledger does not balance ❌ missing 0");
        assert!(lines.iter().any(|line| line.contains("whose they are cannot be known")), "{lines:#?}");
        let known = counted(ledger, Some(PartnerLedger { broadcast_unbalanced: 0, ..partner }));
        assert_eq!(known.lines().last().unwrap(), "The ledger balances ✅");
    }
}
