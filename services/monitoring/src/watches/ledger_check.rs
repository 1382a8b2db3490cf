//! The background check of the loss ledger: the last 24 hours each time, and beside them the older days there are, one a
//! round, so that a loss that shows late (in what was held for a week, say) is found as well.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, NaiveTime, Utc};
use onering_service_kit::error_chain;
use onering_telemetry::{Metrics, MetricsError, field};

use super::ledger_gauges::LedgerGauges;
use super::older_days::OlderDays;
use crate::operations::{read_days, read_ledger, read_unbalanced};
use crate::sources::{DAY, ReadError, Sources, day_before};

/// The check counts every row of a day. However many there are, it takes at most about a tenth of one connection's time:
/// after a long one the next rounds are left out.
const REST: u32 = 9;
/// Events named in the log when the ledger does not balance.
const NAMED: u32 = 10;

/// Counts the ledger again and again.
#[derive(Debug)]
pub(super) struct LedgerCheck {
    sources: Sources,
    gauges: LedgerGauges,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Before this the last check has not been made up for.
    rest_until: Option<Instant>,
    /// What the last check said, so that the log tells it when that changes.
    said: Verdict,
    /// What is known of the days before today.
    older: OlderDays,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Verdict {
    balances: bool,
    missing: i64,
}

impl LedgerCheck {
    pub(super) fn new(metrics: &Metrics, sources: Sources) -> Result<Self, MetricsError> {
        let state =
            State { rest_until: None, said: Verdict { balances: true, missing: 0 }, older: OlderDays::default() };
        Ok(Self { sources, gauges: LedgerGauges::declare(metrics)?, state: Mutex::new(state) })
    }

    /// Counts and shows, unless it rests.
    pub(super) async fn check(&self) -> Result<(), ReadError> {
        let began = self.sources.clock.monotonic();
        if self.state().rest_until.is_some_and(|end| began < end) {
            return Ok(());
        }
        let checked = match self.check_last_day().await {
            Ok(()) => self.check_older_day().await,
            failed => failed,
        };
        let ended = self.sources.clock.monotonic();
        // A database that is away costs nothing, and is asked again at once when it is back.
        let costly = matches!(checked, Ok(()) | Err(ReadError::TooSlow(_)));
        self.state().rest_until = costly.then(|| rest_until(began, ended));
        checked
    }

    async fn check_last_day(&self) -> Result<(), ReadError> {
        let to = self.sources.now();
        let from = day_before(to);
        let read = read_ledger(&self.sources, from, to).await;
        let report = read.inspect_err(|_| self.gauges.show_nothing())?;
        self.gauges.show(&report);
        let verdict = Verdict { balances: report.balances, missing: report.missing };
        let before = std::mem::replace(&mut self.state().said, verdict);
        match (before == verdict, verdict.balances) {
            (true, _) => {}
            (false, true) => tracing::info!("the ledger balances again"),
            (false, false) => self.log_unbalanced(from, to, report.missing).await,
        }
        Ok(())
    }

    async fn check_older_day(&self) -> Result<(), ReadError> {
        let days = read_days(&self.sources).await?;
        let Some(day) = self.state().older.next(&days, self.sources.now().date_naive()) else { return Ok(()) };
        let from = day.and_time(NaiveTime::MIN).and_utc();
        let to = from + DAY;
        let report = read_ledger(&self.sources, from, to).await?;
        let (news, counted, unbalanced) = {
            let older = &mut self.state().older;
            (older.note(day, report.balances), older.counted(), older.unbalanced())
        };
        self.gauges.show_days(counted, unbalanced);
        match (news, report.balances) {
            (false, _) => {}
            (true, true) => tracing::info!(%day, "the ledger of a day balances again"),
            (true, false) => self.log_unbalanced(from, to, report.missing).await,
        }
        Ok(())
    }

    /// The worst this platform can have to say: with the events by which to find out why.
    async fn log_unbalanced(&self, from: DateTime<Utc>, to: DateTime<Utc>, missing: i64) {
        let events = match read_unbalanced(&self.sources, from, to, NAMED).await {
            Ok(events) => events.iter().map(|event| event.event_id.to_string()).collect::<Vec<_>>().join(" "),
            Err(error) => format!("(cannot be named: {})", error_chain(&error)),
        };
        tracing::error!({ field::COUNT } = missing, %from, events, "the ledger does not balance");
    }

    /// Never held across an await.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn rest_until(began: Instant, ended: Instant) -> Instant {
    let took: Duration = ended.saturating_duration_since(began);
    ended + took * REST
}

#[cfg(test)]
mod tests {
    use onering_clock::Clock;

    use super::*;

    #[test]
    fn a_long_check_is_made_up_for() {
        let began = Clock::manual(DateTime::UNIX_EPOCH).monotonic();
        let ended = began + Duration::from_secs(7);
        assert_eq!(rest_until(began, ended) - ended, Duration::from_secs(63));
        assert_eq!(rest_until(began, began), began);
    }
}
