//! Which of the older days of the ledger is counted next, and what was found of each. Pure.

use std::collections::BTreeMap;

use chrono::NaiveDate;

/// The whole days before today, as they were last counted.
#[derive(Debug, Default)]
pub(super) struct OlderDays {
    balances: BTreeMap<NaiveDate, bool>,
    last: Option<NaiveDate>,
}

impl OlderDays {
    /// The day to count next, in turns; `None` when there is none. `days` are those there are, in order.
    pub(super) fn next(&mut self, days: &[NaiveDate], today: NaiveDate) -> Option<NaiveDate> {
        // Days that retention has dropped are nobody's concern any more.
        self.balances.retain(|day, _| days.contains(day));
        let older = || days.iter().copied().filter(|day| *day < today);
        self.last = older().find(|day| self.last.is_none_or(|last| *day > last)).or_else(|| older().next());
        self.last
    }

    /// Notes a count; answers whether it says something else than the one before it.
    pub(super) fn note(&mut self, day: NaiveDate, balances: bool) -> bool {
        self.balances.insert(day, balances).unwrap_or(true) != balances
    }

    /// Days counted.
    pub(super) fn counted(&self) -> usize {
        self.balances.len()
    }

    /// Those that did not balance.
    pub(super) fn unbalanced(&self) -> usize {
        self.balances.values().filter(|balances| !**balances).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(number: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 11, number).unwrap()
    }

    #[test]
    fn every_day_before_today_has_its_turn() {
        let (mut older, days) = (OlderDays::default(), [day(1), day(2), day(4), day(5), day(6)]);
        let turns: Vec<_> = (0..5).map(|_| older.next(&days, day(5)).unwrap()).collect();
        assert_eq!(turns, [day(1), day(2), day(4), day(1), day(2)]);
        assert_eq!(older.next(&days, day(7)), Some(day(4)), "midnight passes");
        assert_eq!(older.next(&days, day(7)), Some(day(5)));
        assert_eq!(older.next(&days[3..], day(5)), None, "no day before today");
    }

    #[test]
    fn a_day_that_does_not_balance_is_remembered_until_it_does_or_goes() {
        let (mut older, days) = (OlderDays::default(), [day(1), day(2), day(3)]);
        assert!(!older.note(day(1), true));
        assert!(older.note(day(2), false) && !older.note(day(2), false));
        assert_eq!((older.counted(), older.unbalanced()), (2, 1));
        assert!(older.note(day(1), false) && older.note(day(1), true));
        assert_eq!(older.unbalanced(), 1);
        assert_eq!(older.next(&days[2..], day(4)), Some(day(3)));
        assert_eq!((older.counted(), older.unbalanced()), (0, 0));
    }
}
