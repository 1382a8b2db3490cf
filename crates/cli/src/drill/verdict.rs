//! What a drill came to. Pure: from what was accepted, what the platform says of its deliveries, and what arrived.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use onering_delivery::Status;
use serde_json::{Value, json};

use crate::args::DrillFault;
use crate::output;
use crate::sink::Arrival;

/// The figures of one drill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Figures {
    fault: DrillFault,
    /// Events answered 202, and the deliveries they promised.
    accepted: u64,
    promised: u64,
    /// Deliveries by status, as the platform lists them.
    statuses: BTreeMap<String, u64>,
    /// Accepted events that arrived and were taken.
    arrived: u64,
    /// Requests that made an attempt once more that had been made.
    repeated: u64,
    /// Requests that were not genuine or not fresh.
    refused: u64,
    took: Duration,
    proves_nothing: Option<String>,
}

/// Deliveries that are not settled.
pub(super) fn waiting(statuses: &BTreeMap<String, u64>) -> u64 {
    let is_settled = |name: &str| name.parse().is_ok_and(|status: Status| status.is_terminal());
    statuses.iter().filter(|(name, _)| !is_settled(name)).map(|(_, count)| count).sum()
}

impl Figures {
    pub(super) fn new(
        fault: DrillFault,
        promised: u64,
        accepted: &BTreeSet<String>,
        statuses: BTreeMap<String, u64>,
        arrivals: &[Arrival],
        took: Duration,
        proves_nothing: Option<String>,
    ) -> Self {
        let taken = || arrivals.iter().filter(|arrival| arrival.status == 200);
        let events: BTreeSet<&String> = taken().filter_map(|arrival| arrival.event_id.as_ref()).collect();
        let attempts: BTreeSet<_> = taken().map(|arrival| (&arrival.event_id, arrival.attempt)).collect();
        Self {
            fault,
            accepted: accepted.len() as u64,
            promised,
            statuses,
            arrived: accepted.iter().filter(|event| events.contains(event)).count() as u64,
            repeated: (taken().count() - attempts.len()) as u64,
            refused: arrivals.iter().filter(|arrival| !arrival.verified).count() as u64,
            took,
            proves_nothing,
        }
    }

    fn count(&self, status: Status) -> u64 {
        self.statuses.get(status.as_str()).copied().unwrap_or_default()
    }

    /// Accepted events that never arrived.
    fn lost(&self) -> u64 {
        self.accepted - self.arrived
    }

    /// Everything that is wrong, in words.
    pub(super) fn reds(&self) -> Vec<String> {
        let found: u64 = self.statuses.values().sum();
        let (delivered, waiting) = (self.count(Status::Delivered), waiting(&self.statuses));
        let mut reds = Vec::new();
        let mut red = |is_red: bool, text: String| {
            if is_red {
                reds.push(text);
            }
        };
        red(self.promised != self.accepted, format!("{} events promised {} deliveries", self.accepted, self.promised));
        red(found != self.promised, format!("the ledger has {found} of {} deliveries", self.promised));
        red(waiting > 0, format!("{waiting} still wait"));
        red(delivered + waiting < found, format!("{} ended undelivered", found - delivered - waiting));
        red(self.lost() > 0, format!("{} did not arrive", self.lost()));
        // A crash between the receiver's answer and its record is the one thing that explains a repeat.
        red(
            self.repeated > 0 && self.fault != DrillFault::KillWorker,
            format!("{} repeated, and nothing had crashed", self.repeated),
        );
        red(self.refused > 0, format!("{} signatures or stamps refused", self.refused));
        reds.extend(self.proves_nothing.iter().cloned());
        reds
    }

    /// For machines.
    pub(super) fn document(&self) -> Value {
        let reds = self.reds();
        json!({
            "drill": self.fault.name(),
            "green": reds.is_empty(),
            "reds": reds,
            "accepted": self.accepted,
            "promised": self.promised,
            "deliveries": self.statuses,
            "arrived": self.arrived,
            "lost": self.lost(),
            "repeated": self.repeated,
            "refused": self.refused,
            "seconds": self.took.as_secs_f64(),
        })
    }

    /// For people.
    pub(super) fn print(&self) {
        let header = ["drill", "accepted", "delivered", "waiting", "arrived", "lost", "repeated", "refused", "seconds"];
        let numbers = [
            self.accepted,
            self.count(Status::Delivered),
            waiting(&self.statuses),
            self.arrived,
            self.lost(),
            self.repeated,
            self.refused,
        ];
        let cells = std::iter::once(self.fault.name().to_owned()).chain(numbers.map(|number| number.to_string()));
        let row: Vec<String> = cells.chain([format!("{:.1}", self.took.as_secs_f64())]).collect();
        output::table(&header, &[row]);
        match self.reds() {
            reds if reds.is_empty() => output::line("Nothing was lost ✅"),
            reds => reds.iter().for_each(|red| output::line(&format!("❌ {red}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrival(event: &str, attempt: u32, status: u16) -> Arrival {
        Arrival {
            event_id: Some(event.to_owned()),
            event_type: None,
            delivery_id: None,
            attempt: Some(attempt),
            verified: status != 401,
            verified_with: None,
            status,
            received_at: "2026-11-22T00:00:00Z".parse().unwrap(),
            headers: BTreeMap::new(),
            body: String::new(),
        }
    }

    fn figures(fault: DrillFault, statuses: &[(&str, u64)], arrivals: &[Arrival]) -> Figures {
        let accepted = ["a", "b"].map(str::to_owned).into();
        let statuses = statuses.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        Figures::new(fault, 2, &accepted, statuses, arrivals, Duration::from_secs(1), None)
    }

    #[test]
    fn what_arrived_after_failures_is_green() {
        let arrivals = [arrival("a", 1, 503), arrival("a", 2, 200), arrival("b", 1, 200)];
        let figures = figures(DrillFault::Receiver5xx, &[("DELIVERED", 2)], &arrivals);
        assert_eq!(figures.reds(), Vec::<String>::new());
        assert_eq!(figures.document()["green"], true);
    }

    #[test]
    fn each_thing_that_is_wrong_is_said() {
        let both = [arrival("a", 1, 200), arrival("b", 1, 200)];
        let twice = [both[0].clone(), both[1].clone(), both[0].clone()];
        let stale = [both[0].clone(), both[1].clone(), arrival("a", 1, 401)];
        let cases = [
            (vec![("DELIVERED", 1)], &both[..], "the ledger has 1 of 2"),
            (vec![("DELIVERED", 1), ("RETRYING", 1)], &both[..], "1 still wait"),
            (vec![("DELIVERED", 1), ("DEAD", 1)], &both[..], "1 ended undelivered"),
            (vec![("DELIVERED", 2)], &both[..1], "1 did not arrive"),
            (vec![("DELIVERED", 2)], &twice[..], "1 repeated"),
            (vec![("DELIVERED", 2)], &stale[..], "1 signatures"),
        ];
        for (statuses, arrivals, text) in cases {
            let reds = figures(DrillFault::FlushRedis, &statuses, arrivals).reds();
            assert!(reds.len() == 1 && reds[0].contains(text), "{text}: {reds:?}");
        }
        assert!(figures(DrillFault::KillWorker, &[("DELIVERED", 2)], &twice).reds().is_empty());
    }
}
