use std::borrow::Cow;

use chrono::{DateTime, Utc};
use diesel::sql_types::{Array, BigInt, Integer, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid};
use onering_delivery::{AttemptLog, HeldReason, Settlement, StatsOutcome, Transition};
use onering_metrics_model::Precision;
use uuid::Uuid;

use super::next_status;
use crate::columns::{integer, smallint, storable};
use crate::statement::statement;

/// What `external_delivery_logs` keeps of an answer, in bytes; a CHECK holds the same bound.
const RESPONSE_BODY_BYTES: usize = 2048;

statement! {
    /// The arrays are parallel, one element a delivery. Statistics are written in the order of their keys and subscriptions
    /// are locked in the order of their ids, so that concurrent batches never deadlock. The last column is the status of a
    /// subscription before this statement disabled it.
    pub(crate) struct Settle<'a> {
        ids: Vec<Uuid> => Array<SqlUuid>,
        attempts_before: Vec<i16> => Array<SmallInt>,
        untils: Vec<DateTime<Utc>> => Array<Timestamptz>,
        attempts_after: Vec<i16> => Array<SmallInt>,
        statuses: Vec<Option<&'static str>> => Array<Nullable<Text>>,
        queued_untils: Vec<Option<DateTime<Utc>>> => Array<Nullable<Timestamptz>>,
        held_reasons: Vec<Option<&'static str>> => Array<Nullable<Text>>,
        settled_ats: Vec<Option<DateTime<Utc>>> => Array<Nullable<Timestamptz>>,
        latencies_ms: Vec<Option<i32>> => Array<Nullable<Integer>>,
        buckets: Vec<Option<i64>> => Array<Nullable<BigInt>>,
        outcomes: Vec<Option<&'static str>> => Array<Nullable<Text>>,
        log_outcomes: Vec<Option<&'static str>> => Array<Nullable<Text>>,
        status_codes: Vec<Option<i16>> => Array<Nullable<SmallInt>>,
        errors: Vec<Option<Cow<'a, str>>> => Array<Nullable<Text>>,
        response_bodies: Vec<Option<Cow<'a, str>>> => Array<Nullable<Text>>,
        started_ats: Vec<Option<DateTime<Utc>>> => Array<Nullable<Timestamptz>>,
        durations_ms: Vec<Option<i32>> => Array<Nullable<Integer>>,
        first: Uuid => SqlUuid,
        last: Uuid => SqlUuid,
        process: &'a str => Text,
    } -> (SqlUuid, SqlUuid, Nullable<Text>) = "SELECT s.delivery_id, s.webhook_id, s.disabled FROM onering.settle_deliveries(
             $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20) AS s";
}

impl<'a> Settle<'a> {
    /// The statement for a batch of different deliveries; `None` for an empty one.
    pub(crate) fn of(process: &'a str, batch: &[&'a Settlement]) -> Option<Self> {
        let ids: Vec<Uuid> = batch.iter().map(|result| result.delivery_id.uuid()).collect();
        let (&first, &last) = (ids.iter().min()?, ids.iter().max()?);
        let results = || batch.iter().copied();
        let logs = || batch.iter().map(|result| result.attempt.as_ref());
        let latencies = || results().map(|result| latency_ms(&result.transition));
        Some(Self {
            ids,
            attempts_before: results().map(|result| smallint(result.lease.attempts_made)).collect(),
            untils: results().map(|result| result.lease.until.to_utc()).collect(),
            attempts_after: results().map(|result| smallint(result.attempts_made())).collect(),
            statuses: results().map(|result| next_status(&result.transition)).collect(),
            queued_untils: results().map(|result| result.transition.queued_until().map(|at| at.to_utc())).collect(),
            held_reasons: results().map(|result| held_reason(&result.transition).map(HeldReason::as_str)).collect(),
            settled_ats: results().map(|result| result.transition.settled_at().map(|at| at.to_utc())).collect(),
            latencies_ms: latencies().map(|latency| latency.map(integer)).collect(),
            buckets: latencies().map(|latency| latency.map(bucket)).collect(),
            outcomes: results().map(|result| result.transition.stats_outcome().map(StatsOutcome::as_str)).collect(),
            log_outcomes: logs().map(|log| log.map(|log| log.outcome.as_str())).collect(),
            status_codes: logs().map(|log| log.and_then(|log| log.status_code).map(smallint)).collect(),
            errors: logs().map(|log| log.and_then(|log| log.error.as_deref()).map(storable)).collect(),
            response_bodies: logs().map(|log| log.and_then(response_body)).collect(),
            started_ats: logs().map(|log| log.map(|log| log.started_at)).collect(),
            durations_ms: logs().map(|log| log.map(|log| integer(log.duration_ms))).collect(),
            first,
            last,
            process,
        })
    }
}

const fn latency_ms(transition: &Transition) -> Option<u32> {
    match transition {
        Transition::Delivered { latency_ms, .. } => Some(*latency_ms),
        _ => None,
    }
}

/// `delivery_latency_stats` keeps milliseconds at two significant digits.
fn bucket(latency_ms: u32) -> i64 {
    i64::try_from(Precision::TWO_DIGITS.bucket_of(latency_ms.into())).unwrap_or(i64::MAX)
}

const fn held_reason(transition: &Transition) -> Option<HeldReason> {
    match transition {
        Transition::Hold { reason } => Some(*reason),
        _ => None,
    }
}

fn response_body(log: &AttemptLog) -> Option<Cow<'_, str>> {
    let body = log.response_body.as_deref()?;
    // The replacement of a NUL is longer than the NUL, so the cut comes last.
    match storable(body) {
        Cow::Borrowed(body) => Some(Cow::Borrowed(&body[..body.floor_char_boundary(RESPONSE_BODY_BYTES)])),
        Cow::Owned(mut body) => {
            body.truncate(body.floor_char_boundary(RESPONSE_BODY_BYTES));
            Some(Cow::Owned(body))
        }
    }
}
