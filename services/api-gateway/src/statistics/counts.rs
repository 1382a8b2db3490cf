//! [`Counts`]: sums by minute and by hour.

use std::collections::HashMap;
use std::hash::Hash;

use chrono::{DateTime, Utc};
use onering_ids::KeyId;
use onering_metrics_model::Precision;
use onering_store::statistics::{LatencyCount, RequestCount};
use onering_store::usage::UsageDelta;

use super::tally::Answer;

const MINUTE_S: i64 = 60;
const HOUR_S: i64 = 3_600;
/// The word for answers that refuse nothing.
const OK: &str = "OK";
/// The tier of answers to callers who were not recognised.
const NO_TIER: &str = "none";
/// Counts of minutes this far in the past are given up: after a day without Postgres, memory matters more.
const KEPT_S: i64 = 24 * HOUR_S;

/// What was counted since the last report.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    answers: HashMap<AnswerKind, u64>,
    latencies: HashMap<(i64, u64), u64>,
    usage: HashMap<(KeyId, i64), Usage>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct AnswerKind {
    minute: i64,
    code: &'static str,
    tier: &'static str,
    canary: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Usage {
    admitted: u64,
    refused: u64,
    last_used_at: Option<DateTime<Utc>>,
}

impl Counts {
    /// Counts one answer.
    pub(crate) fn count(&mut self, answer: &Answer<'_>) {
        let minute = answer.at.timestamp().div_euclid(MINUTE_S);
        let kind = AnswerKind {
            minute,
            code: answer.code.map_or(OK, onering_problem::Code::as_str),
            tier: answer.key.map_or(NO_TIER, |key| key.tier.as_str()),
            canary: answer.key.is_some_and(|key| key.canary),
        };
        *self.answers.entry(kind).or_default() += 1;
        let took_us = u64::try_from(answer.took.as_micros()).unwrap_or(u64::MAX);
        *self.latencies.entry((minute, Precision::TWO_DIGITS.bucket_of(took_us))).or_default() += 1;
        self.count_usage(answer);
    }

    /// Calls that only looked at their quota, having been refused before the limit, are no usage.
    fn count_usage(&mut self, answer: &Answer<'_>) {
        let (Some(key), Some(decision), Some(cost)) = (answer.key, answer.decision, answer.cost) else { return };
        // The hour of the window that was taken from, which is Redis' to say.
        let reset_s = i64::try_from(decision.outcome.quota().reset_unix_s).unwrap_or(i64::MAX);
        let usage = self.usage.entry((key.key_id, reset_s.saturating_sub(HOUR_S))).or_default();
        if decision.outcome.is_admitted() {
            usage.admitted += cost.units();
            usage.last_used_at = usage.last_used_at.max(Some(answer.at));
        } else {
            usage.refused += 1;
        }
    }

    /// Adds another's counts.
    pub(crate) fn add(&mut self, other: Self) {
        add_all(&mut self.answers, other.answers);
        add_all(&mut self.latencies, other.latencies);
        for (of, more) in other.usage {
            let usage = self.usage.entry(of).or_default();
            usage.admitted += more.admitted;
            usage.refused += more.refused;
            usage.last_used_at = usage.last_used_at.max(more.last_used_at);
        }
    }

    /// Gives up what is too old to keep in memory.
    pub(crate) fn forget_before(&mut self, now: DateTime<Utc>) {
        let oldest = (now.timestamp() - KEPT_S).div_euclid(MINUTE_S);
        self.answers.retain(|kind, _| kind.minute >= oldest);
        self.latencies.retain(|(minute, _), _| *minute >= oldest);
    }

    /// Whether there are no answers to report.
    pub(crate) fn has_answers(&self) -> bool {
        !self.answers.is_empty()
    }

    /// Whether there is no usage to report.
    pub(crate) fn has_usage(&self) -> bool {
        !self.usage.is_empty()
    }

    /// The answers as rows.
    pub(crate) fn answer_rows(&self) -> Vec<RequestCount> {
        let row = |(kind, count): (&AnswerKind, &u64)| RequestCount {
            minute: instant(kind.minute * MINUTE_S),
            code: kind.code.to_owned(),
            tier: kind.tier.to_owned(),
            canary: kind.canary,
            count: *count,
        };
        self.answers.iter().map(row).collect()
    }

    /// The latencies as rows.
    pub(crate) fn latency_rows(&self) -> Vec<LatencyCount> {
        let row = |(&(minute, bucket), &count): (&(i64, u64), &u64)| LatencyCount {
            minute: instant(minute * MINUTE_S),
            bucket,
            count,
        };
        self.latencies.iter().map(row).collect()
    }

    /// The usage as rows.
    pub(crate) fn usage_rows(&self) -> Vec<UsageDelta> {
        let row = |(&(key_id, hour), usage): (&(KeyId, i64), &Usage)| UsageDelta {
            key_id,
            hour: instant(hour),
            admitted: usage.admitted,
            refused: usage.refused,
            last_used_at: usage.last_used_at,
        };
        self.usage.iter().map(row).collect()
    }

    /// The answers and latencies are written down.
    pub(crate) fn answers_are_written(&mut self) {
        self.answers.clear();
        self.latencies.clear();
    }

    /// The usage is written down.
    pub(crate) fn usage_is_written(&mut self) {
        self.usage.clear();
    }
}

fn add_all<K: Eq + Hash>(to: &mut HashMap<K, u64>, from: HashMap<K, u64>) {
    for (of, more) in from {
        *to.entry(of).or_default() += more;
    }
}

fn instant(unix_s: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(unix_s, 0).unwrap_or(DateTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use onering_keys::{KeyRecord, ScopeSet, Tier};
    use onering_problem::Code;
    use onering_queue::Decision;
    use onering_rate_limit::{Cost, Outcome, Quota, RefusedBy};

    use super::*;

    fn key(canary: bool) -> KeyRecord {
        KeyRecord {
            key_id: KeyId::floor(1),
            owner_id: "acme".parse().unwrap(),
            name: String::new(),
            scopes: ScopeSet::default(),
            tier: Tier::Pro,
            canary,
            is_active: true,
            blocked: false,
            revoked: false,
            expires_at: None,
            secret_expires_at: None,
            ip_allowlist: Vec::new(),
            rate_limit_override: None,
            burst_per_second: None,
            partner_active: true,
            partner_canary: false,
        }
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn answer(key: Option<&KeyRecord>, code: Option<Code>, admitted: Option<bool>, cost: u32) -> Answer<'_> {
        let quota = Quota { limit: 100, remaining: 1, reset_unix_s: 3_600 * 10 };
        let decision = admitted.map(|admitted| Decision {
            outcome: if admitted {
                Outcome::Admitted(quota)
            } else {
                Outcome::Refused { quota, retry_after_s: 1, window: RefusedBy::Hour }
            },
            now_unix_s: 3_600 * 9,
            degraded: false,
        });
        let cost = admitted.map(|_| Cost(cost));
        Answer { at: at("1970-01-01T09:00:59Z"), code, key, decision, cost, took: Duration::from_micros(1_500) }
    }

    #[test]
    fn answers_are_told_apart_and_usage_counts_units() {
        let (plain, canary) = (key(false), key(true));
        let mut counts = Counts::default();
        counts.count(&answer(Some(&plain), None, Some(true), 5));
        counts.count(&answer(Some(&plain), None, Some(true), 1));
        counts.count(&answer(Some(&plain), Some(Code::RateLimited), Some(false), 7));
        counts.count(&answer(Some(&canary), Some(Code::MissingScope), None, 0));
        counts.count(&answer(None, Some(Code::InvalidApiKey), None, 0));
        let mut rows: Vec<_> =
            counts.answer_rows().into_iter().map(|row| (row.code, row.tier, row.canary, row.count)).collect();
        rows.sort();
        let row = |code: &str, tier: &str, canary, count| (code.to_owned(), tier.to_owned(), canary, count);
        let expected = [
            row("INVALID_API_KEY", "none", false, 1),
            row("MISSING_SCOPE", "pro", true, 1),
            row("OK", "pro", false, 2),
            row("RATE_LIMITED", "pro", false, 1),
        ];
        assert_eq!(rows, expected);
        assert_eq!(counts.answer_rows()[0].minute, at("1970-01-01T09:00:00Z"));
        let usage = counts.usage_rows();
        assert_eq!(usage.len(), 1, "a look is no usage");
        assert_eq!((usage[0].admitted, usage[0].refused), (6, 1));
        assert_eq!(
            (usage[0].hour, usage[0].last_used_at),
            (at("1970-01-01T09:00:00Z"), Some(at("1970-01-01T09:00:59Z")))
        );
        assert_eq!(counts.latency_rows()[0].count, 5);
    }

    #[test]
    fn sums_add_up_and_are_cleared_when_written() {
        let plain = key(false);
        let mut counts = Counts::default();
        let mut more = Counts::default();
        counts.count(&answer(Some(&plain), None, Some(true), 1));
        more.count(&answer(Some(&plain), None, Some(true), 2));
        counts.add(more);
        assert_eq!((counts.answer_rows()[0].count, counts.usage_rows()[0].admitted), (2, 3));
        counts.answers_are_written();
        assert!(!counts.has_answers() && counts.latency_rows().is_empty() && counts.has_usage());
        counts.usage_is_written();
        assert!(!counts.has_usage());
    }

    #[test]
    fn a_day_without_postgres_is_forgotten() {
        let mut counts = Counts::default();
        counts.count(&answer(None, None, None, 0));
        counts.forget_before(at("1970-01-02T08:00:00Z"));
        assert!(counts.has_answers());
        counts.forget_before(at("1970-01-02T10:00:00Z"));
        assert!(!counts.has_answers() && counts.latency_rows().is_empty());
    }
}
