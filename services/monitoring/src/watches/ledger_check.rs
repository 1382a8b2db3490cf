//! The background check of the loss ledger: the last 24 hours each time, and beside them the older days there are, one a
//! round, so that a loss that shows late (in what was held for a week, say) is found as well.

use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, NaiveTime, Utc};
use onering_service_kit::error_chain;
use onering_telemetry::{Metrics, MetricsError, field};

use super::ledger_gauges::LedgerGauges;
use super::older_days::OlderDays;
use super::rest::Rest;
use crate::operations::{read_days, read_ledger, read_unbalanced};
use crate::sources::{DAY, ReadError, Sources, day_before};

/// Events named in the log when the ledger does not balance.
const NAMED: u32 = 10;

/// Counts the ledger again and again.
#[derive(Debug)]
pub(super) struct LedgerCheck {
    sources: Sources,
    gauges: LedgerGauges,
    /// The check counts every row of a day, however many there are.
    rest: Rest,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
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
        let state = State { said: Verdict { balances: true, missing: 0 }, older: OlderDays::default() };
        let gauges = LedgerGauges::declare(metrics)?;
        Ok(Self { sources, gauges, rest: Rest::default(), state: Mutex::new(state) })
    }

    /// Counts and shows, unless it rests.
    pub(super) async fn check(&self) -> Result<(), ReadError> {
        let began = self.sources.clock.monotonic();
        if !self.rest.is_over(began) {
            return Ok(());
        }
        let checked = match self.check_last_day().await {
            Ok(()) => self.check_older_day().await,
            failed => failed,
        };
        self.rest.after(began, self.sources.clock.monotonic(), &checked);
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
        let today = self.sources.now().date_naive();
        let Some(day) = self.state().older.next(&days, today) else {
            self.gauges.show_days(0, 0);
            return Ok(());
        };
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
