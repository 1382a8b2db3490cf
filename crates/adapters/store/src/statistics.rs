//! What the gateways count, per minute: answers by code and latency by bucket.
//!
//! Every gateway adds to rows of its own (`process` is part of the key), so reports never meet. The workers' twin
//! tables are written by `settlement`, in the statement that settles, and added up by `delivery_totals`. Monitoring reads all of
//! them (`monitoring_reads`).

use chrono::{DateTime, Utc};
use diesel::sql_types::{Array, BigInt, Bool, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};

use crate::statement::statement;
use crate::usage::saturating;
use crate::{Context, StoreError};

/// How often a gateway gave one kind of answer in one minute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestCount {
    /// Any instant of the minute.
    pub minute: DateTime<Utc>,
    /// `OK`, or the code of the refusal.
    pub code: String,
    /// Tier of the key; `none` when no key was recognised.
    pub tier: String,
    /// Whether it was a canary key.
    pub canary: bool,
    /// How often.
    pub count: u64,
}

/// How many requests of one minute fell into one bucket of the latency histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LatencyCount {
    /// Any instant of the minute.
    pub minute: DateTime<Utc>,
    /// Microseconds: the bucket's lowest value at two significant digits.
    pub bucket: u64,
    /// How many.
    pub count: u64,
}

statement! {
    struct Record {
        process: String => Text,
        count_minutes: Vec<DateTime<Utc>> => Array<Timestamptz>,
        codes: Vec<String> => Array<Text>,
        tiers: Vec<String> => Array<Text>,
        canaries: Vec<bool> => Array<Bool>,
        counts: Vec<i64> => Array<BigInt>,
        latency_minutes: Vec<DateTime<Utc>> => Array<Timestamptz>,
        buckets: Vec<i64> => Array<BigInt>,
        bucket_counts: Vec<i64> => Array<BigInt>,
    } -> () = "
        WITH process AS (SELECT $1 AS name), counted AS (
            INSERT INTO request_stats AS s (minute, process, code, tier, canary, count)
            SELECT date_trunc('minute', t.minute), process.name, t.code, t.tier, t.canary, sum(t.count)::bigint
            FROM process, unnest($2, $3, $4, $5, $6) AS t (minute, code, tier, canary, count)
            GROUP BY 1, 2, 3, 4, 5
            ON CONFLICT (minute, process, code, tier, canary) DO UPDATE SET count = s.count + excluded.count
        )
        INSERT INTO request_latency_stats AS s (minute, process, bucket, count)
        SELECT date_trunc('minute', t.minute), process.name, t.bucket, sum(t.count)::bigint
        FROM process, unnest($7, $8, $9) AS t (minute, bucket, count)
        GROUP BY 1, 2, 3
        ON CONFLICT (minute, process, bucket) DO UPDATE SET count = s.count + excluded.count";
}

statement! {
    struct Prune { before: DateTime<Utc> => Timestamptz, limit: i64 => BigInt } -> BigInt = "
        WITH bound AS (SELECT $1 AS minute), requests AS (
            DELETE FROM request_stats WHERE (minute, process, code, tier, canary) IN (
                SELECT s.minute, s.process, s.code, s.tier, s.canary FROM request_stats AS s, bound
                WHERE s.minute < bound.minute ORDER BY s.minute LIMIT $2) RETURNING 1
        ), request_latency AS (
            DELETE FROM request_latency_stats WHERE (minute, process, bucket) IN (
                SELECT s.minute, s.process, s.bucket FROM request_latency_stats AS s, bound
                WHERE s.minute < bound.minute ORDER BY s.minute LIMIT $2) RETURNING 1
        ), deliveries AS (
            DELETE FROM delivery_stats WHERE (minute, process, webhook_id, outcome) IN (
                SELECT s.minute, s.process, s.webhook_id, s.outcome FROM delivery_stats AS s, bound
                WHERE s.minute < bound.minute ORDER BY s.minute LIMIT $2) RETURNING 1
        ), delivery_latency AS (
            DELETE FROM delivery_latency_stats WHERE (minute, process, bucket) IN (
                SELECT s.minute, s.process, s.bucket FROM delivery_latency_stats AS s, bound
                WHERE s.minute < bound.minute ORDER BY s.minute LIMIT $2) RETURNING 1
        ), delivery_totals AS (
            DELETE FROM delivery_totals WHERE (slot, outcome) IN (
                SELECT s.slot, s.outcome FROM delivery_totals AS s, bound
                WHERE s.slot < bound.minute ORDER BY s.slot LIMIT $2) RETURNING 1
        ), delivery_latency_totals AS (
            DELETE FROM delivery_latency_totals WHERE (slot, bucket) IN (
                SELECT s.slot, s.bucket FROM delivery_latency_totals AS s, bound
                WHERE s.slot < bound.minute ORDER BY s.slot LIMIT $2) RETURNING 1
        ), usage AS (
            DELETE FROM external_api_usage WHERE (key_id, hour) IN (
                SELECT u.key_id, u.hour FROM external_api_usage AS u, bound
                WHERE u.hour < bound.minute ORDER BY u.hour LIMIT $2) RETURNING 1
        )
        SELECT (SELECT count(*) FROM requests) + (SELECT count(*) FROM request_latency)
             + (SELECT count(*) FROM deliveries) + (SELECT count(*) FROM delivery_latency)
             + (SELECT count(*) FROM delivery_totals) + (SELECT count(*) FROM delivery_latency_totals)
             + (SELECT count(*) FROM usage)";
}

/// Adds what the gateway `process` counted since its last report, in one statement.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails; nothing was added then.
pub async fn record(
    conn: &mut AsyncPgConnection,
    process: &str,
    counts: &[RequestCount],
    latencies: &[LatencyCount],
) -> Result<(), StoreError> {
    if counts.is_empty() && latencies.is_empty() {
        return Ok(());
    }
    Record {
        process: process.to_owned(),
        count_minutes: counts.iter().map(|row| row.minute).collect(),
        codes: counts.iter().map(|row| row.code.clone()).collect(),
        tiers: counts.iter().map(|row| row.tier.clone()).collect(),
        canaries: counts.iter().map(|row| row.canary).collect(),
        counts: counts.iter().map(|row| saturating(row.count)).collect(),
        latency_minutes: latencies.iter().map(|row| row.minute).collect(),
        buckets: latencies.iter().map(|row| saturating(row.bucket)).collect(),
        bucket_counts: latencies.iter().map(|row| saturating(row.count)).collect(),
    }
    .execute(conn)
    .await
    .during("record request statistics")?;
    Ok(())
}

/// Removes what began before `before` from the four per-minute tables, their totals and the hourly usage, the oldest first and at most
/// `limit` rows a table, and answers how many rows went: call again while it is not zero.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails.
pub async fn prune(conn: &mut AsyncPgConnection, before: DateTime<Utc>, limit: u32) -> Result<u64, StoreError> {
    let removed: i64 = Prune { before, limit: limit.into() }.get_result(conn).await.during("remove old statistics")?;
    Ok(removed.unsigned_abs())
}

#[cfg(test)]
mod tests;
