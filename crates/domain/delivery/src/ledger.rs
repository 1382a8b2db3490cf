use serde::{Deserialize, Serialize};

use crate::status::Status;

/// The loss ledger of a range: what should be there against what is there, counted from rows at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ledger {
    /// Deliveries the events of the range were accepted with: what ingest promised.
    pub matched: u64,
    /// Deliveries made later to repeat another one (resend, replay). Counted from their own rows, for nothing else says how
    /// many there were to be: a repeat whose row is gone is not noticed.
    pub repeated: u64,
    /// Events that have more or fewer deliveries than they were accepted with, repeats aside. Sums alone would let one too
    /// few and one too many cancel out.
    pub unbalanced_events: u64,
    /// Waiting for a first attempt or held.
    pub pending: u64,
    /// Those of the pending that are held.
    pub held: u64,
    /// Waiting for another attempt.
    pub retrying: u64,
    /// Final: the receiver has it.
    pub delivered: u64,
    /// Final: given up.
    pub dead: u64,
    /// Final: too old.
    pub replay_expired: u64,
    /// Final: subscription gone.
    pub cancelled: u64,
}

impl Ledger {
    /// Counts rows of a status.
    pub const fn add(&mut self, status: Status, rows: u64) {
        let count = match status {
            Status::Pending => &mut self.pending,
            Status::Retrying => &mut self.retrying,
            Status::Delivered => &mut self.delivered,
            Status::Dead => &mut self.dead,
            Status::ReplayExpired => &mut self.replay_expired,
            Status::Cancelled => &mut self.cancelled,
        };
        *count = count.saturating_add(rows);
    }

    /// Rows of a status.
    #[must_use]
    pub const fn count(&self, status: Status) -> u64 {
        match status {
            Status::Pending => self.pending,
            Status::Retrying => self.retrying,
            Status::Delivered => self.delivered,
            Status::Dead => self.dead,
            Status::ReplayExpired => self.replay_expired,
            Status::Cancelled => self.cancelled,
        }
    }

    /// Deliveries that are not over.
    #[must_use]
    pub const fn waiting(&self) -> u64 {
        self.pending.saturating_add(self.retrying)
    }

    /// Deliveries that are over.
    #[must_use]
    pub fn settled(&self) -> u64 {
        let settled = Status::ALL.iter().filter(|status| status.is_terminal());
        settled.fold(0, |sum, status| sum.saturating_add(self.count(*status)))
    }

    /// Deliveries that should be there and are not; negative when there are too many.
    #[must_use]
    pub fn missing(&self) -> i128 {
        let promised = i128::from(self.matched) + i128::from(self.repeated);
        promised - Status::ALL.iter().map(|status| i128::from(self.count(*status))).sum::<i128>()
    }

    /// Whether every promised delivery is there, once.
    #[must_use]
    pub fn balances(&self) -> bool {
        self.missing() == 0 && self.unbalanced_events == 0 && self.held <= self.pending
    }
}

/// The loss ledger of one partner.
///
/// An event for all partners (`*`) is written down with how many deliveries it was accepted with, not with whose. Of those
/// events a partner's deliveries are taken as what it was promised; that proves something as long as no such event lacks a
/// delivery of anybody's, so one that does leaves the partner's ledger unbalanced too: whose it was cannot be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PartnerLedger {
    /// The counts of the partner's deliveries; `matched` includes `broadcast`.
    pub ledger: Ledger,
    /// Its deliveries of events for all partners, repeats not counted.
    pub broadcast: u64,
    /// Events for all partners that do not have the deliveries they were accepted with, whosever are missing.
    pub broadcast_unbalanced: u64,
}

impl PartnerLedger {
    /// Whether every delivery promised to the partner is known to be there, once.
    #[must_use]
    pub fn balances(&self) -> bool {
        self.ledger.balances() && self.broadcast_unbalanced == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_empty_range_balances() {
        assert!(Ledger::default().balances());
    }

    #[test]
    fn one_row_too_few_or_too_many_shows() {
        let mut ledger = Ledger { matched: 6, repeated: 1, ..Ledger::default() };
        Status::ALL.iter().for_each(|status| ledger.add(*status, 1));
        assert_eq!((ledger.missing(), ledger.balances()), (1, false));
        ledger.add(Status::Delivered, 1);
        assert!(ledger.balances());
        assert_eq!((ledger.waiting(), ledger.settled()), (2, 5));
        ledger.add(Status::Delivered, 1);
        assert_eq!((ledger.missing(), ledger.balances()), (-1, false));
    }

    #[test]
    fn one_too_few_and_one_too_many_do_not_cancel_out() {
        let ledger = Ledger { matched: 2, delivered: 2, ..Ledger::default() };
        assert!(ledger.balances());
        let swapped = Ledger { unbalanced_events: 2, ..ledger };
        assert_eq!((swapped.missing(), swapped.balances()), (0, false));
    }

    #[test]
    fn a_partner_is_told_no_more_than_is_known() {
        let ledger = Ledger { matched: 3, delivered: 3, ..Ledger::default() };
        let partner = PartnerLedger { ledger, broadcast: 1, broadcast_unbalanced: 0 };
        assert!(partner.balances());
        assert!(!PartnerLedger { broadcast_unbalanced: 1, ..partner }.balances());
        assert!(!PartnerLedger { ledger: Ledger { matched: 4, ..ledger }, ..partner }.balances());
    }

    proptest! {
        #[test]
        fn huge_counts_do_not_overflow(matched: u64, counts: [u64; 6]) {
            let mut ledger = Ledger { matched, repeated: matched, ..Ledger::default() };
            Status::ALL.iter().zip(counts).for_each(|(status, rows)| ledger.add(*status, rows));
            let rows: i128 = counts.iter().map(|rows| i128::from(*rows)).sum();
            prop_assert_eq!(ledger.missing(), 2 * i128::from(matched) - rows);
            let _ = (ledger.waiting(), ledger.settled());
        }
    }
}
