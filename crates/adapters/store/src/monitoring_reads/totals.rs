//! Totals over the per-minute tables (those of the workers mostly as `delivery_totals` has them), and the keys there are.

use chrono::{DateTime, Utc};
use diesel::Queryable;
use diesel::sql_types::{BigInt, Bool, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use onering_delivery::StatsOutcome;

use crate::columns::word;
use crate::delivery_totals::{Covered, covered};
use crate::statement::statement;
use crate::{Context, StoreError};

/// How many keys of one kind could be used now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyCount {
    /// `free`, `pro` or `enterprise`.
    pub tier: String,
    /// Whether they are canary keys.
    pub canary: bool,
    /// Keys neither disabled, revoked nor expired.
    pub active: u64,
}

/// How often the gateways gave one kind of answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestTotal {
    /// `OK`, or the code of the refusal.
    pub code: String,
    /// Tier of the key; `none` when no key was recognised.
    pub tier: String,
    /// Whether it was a canary key.
    pub canary: bool,
    /// How often.
    pub count: u64,
}

/// How often attempts led to one outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutcomeTotal {
    /// Which.
    pub outcome: StatsOutcome,
    /// How often.
    pub count: u64,
    /// Sum of the attempt numbers of those results.
    pub attempts: u64,
}

/// One bucket of a histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BucketCount {
    /// Lowest value of the bucket, in the histogram's unit.
    pub bucket: u64,
    /// How many fell into it.
    pub count: u64,
}

statement! {
    struct KeyCounts {} -> (Text, Bool, BigInt) = "
        SELECT rate_limit_tier, canary_enabled, count(*) FROM external_api_keys
        WHERE is_active AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
        GROUP BY 1, 2 ORDER BY 1, 2";
}

statement! {
    pub(super) struct RequestTotals { since: DateTime<Utc> => Timestamptz } -> (Text, Text, Bool, BigInt) = "
        SELECT code, tier, canary, sum(count)::bigint FROM request_stats WHERE minute >= $1
        GROUP BY 1, 2, 3 ORDER BY 1, 2, 3";
}

statement! {
    pub(super) struct RequestLatency { since: DateTime<Utc> => Timestamptz } -> (BigInt, BigInt) = "
        SELECT bucket, sum(count)::bigint FROM request_latency_stats WHERE minute >= $1 GROUP BY 1 ORDER BY 1";
}

statement! {
    /// Totals for the slots that have them; the minutes before and behind them from their rows.
    pub(super) struct DeliveryOutcomes {
        since: DateTime<Utc> => Timestamptz,
        from: DateTime<Utc> => Timestamptz,
        to: DateTime<Utc> => Timestamptz,
    } -> (Text, BigInt, BigInt) = "
        SELECT outcome, sum(count)::bigint, sum(attempts)::bigint FROM (
            SELECT outcome, count, attempts FROM delivery_stats WHERE minute >= $1 AND minute < $2
            UNION ALL
            SELECT outcome, count, attempts FROM delivery_totals WHERE slot >= $2 AND slot < $3
            UNION ALL
            SELECT outcome, count, attempts FROM delivery_stats WHERE minute >= $3
        ) AS s GROUP BY 1 ORDER BY 1";
}

statement! {
    /// As [`DeliveryOutcomes`].
    pub(super) struct DeliveryLatency {
        since: DateTime<Utc> => Timestamptz,
        from: DateTime<Utc> => Timestamptz,
        to: DateTime<Utc> => Timestamptz,
    } -> (BigInt, BigInt) = "
        SELECT bucket, sum(count)::bigint FROM (
            SELECT bucket, count FROM delivery_latency_stats WHERE minute >= $1 AND minute < $2
            UNION ALL
            SELECT bucket, count FROM delivery_latency_totals WHERE slot >= $2 AND slot < $3
            UNION ALL
            SELECT bucket, count FROM delivery_latency_stats WHERE minute >= $3
        ) AS s GROUP BY 1 ORDER BY 1";
}

#[derive(Queryable)]
struct KeyCountRow {
    tier: String,
    canary: bool,
    active: i64,
}

#[derive(Queryable)]
struct RequestRow {
    code: String,
    tier: String,
    canary: bool,
    count: i64,
}

#[derive(Queryable)]
pub(super) struct OutcomeRow {
    outcome: String,
    count: i64,
    attempts: i64,
}

impl TryFrom<OutcomeRow> for OutcomeTotal {
    type Error = StoreError;

    fn try_from(row: OutcomeRow) -> Result<Self, StoreError> {
        Ok(Self {
            outcome: word("delivery_stats", "outcome", &row.outcome)?,
            count: row.count.unsigned_abs(),
            attempts: row.attempts.unsigned_abs(),
        })
    }
}

/// Keys that could be used now, by tier and canary flag. A kind without keys is absent.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails.
pub async fn key_counts(conn: &mut AsyncPgConnection) -> Result<Vec<KeyCount>, StoreError> {
    let rows: Vec<KeyCountRow> = KeyCounts {}.load(conn).await.during("count keys")?;
    Ok(rows
        .into_iter()
        .map(|row| KeyCount { tier: row.tier, canary: row.canary, active: row.active.unsigned_abs() })
        .collect())
}

/// The gateways' answers in the minutes from `since` on.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails.
pub async fn request_totals(
    conn: &mut AsyncPgConnection,
    since: DateTime<Utc>,
) -> Result<Vec<RequestTotal>, StoreError> {
    let rows: Vec<RequestRow> = RequestTotals { since }.load(conn).await.during("add up requests")?;
    Ok(rows
        .into_iter()
        .map(|row| RequestTotal { code: row.code, tier: row.tier, canary: row.canary, count: row.count.unsigned_abs() })
        .collect())
}

/// The gateways' latency histogram in the minutes from `since` on, in microseconds, lowest bucket first.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails.
pub async fn request_latency(
    conn: &mut AsyncPgConnection,
    since: DateTime<Utc>,
) -> Result<Vec<BucketCount>, StoreError> {
    let rows = RequestLatency { since }.load(conn).await.during("read request latency")?;
    Ok(buckets(rows))
}

/// Outcomes of attempts in the minutes from `since` on.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails.
pub async fn delivery_outcomes(
    conn: &mut AsyncPgConnection,
    since: DateTime<Utc>,
) -> Result<Vec<OutcomeTotal>, StoreError> {
    let Covered { from, to } = covered(conn, since).await?;
    let rows: Vec<OutcomeRow> = DeliveryOutcomes { since, from, to }.load(conn).await.during("add up deliveries")?;
    rows.into_iter().map(OutcomeTotal::try_from).collect()
}

/// The histogram of the time from acceptance to the 2xx answer, in milliseconds, lowest bucket first.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails.
pub async fn delivery_latency(
    conn: &mut AsyncPgConnection,
    since: DateTime<Utc>,
) -> Result<Vec<BucketCount>, StoreError> {
    let Covered { from, to } = covered(conn, since).await?;
    let rows = DeliveryLatency { since, from, to }.load(conn).await.during("read delivery latency")?;
    Ok(buckets(rows))
}

fn buckets(rows: Vec<(i64, i64)>) -> Vec<BucketCount> {
    rows.into_iter()
        .map(|(bucket, count)| BucketCount { bucket: bucket.unsigned_abs(), count: count.unsigned_abs() })
        .collect()
}
