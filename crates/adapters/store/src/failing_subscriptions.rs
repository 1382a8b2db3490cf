//! Subscriptions that fail for days: which they are, and the steps that follow: warnings to their partner, and in the end
//! that the platform disables them.
//!
//! When a step is due is the policy's to say (`onering_delivery::FailurePolicy`); here it is taken, by this database's
//! clock: the change, the partner's operational event and the row of the audit log in one transaction, fenced by what was
//! read, so that of any number of workers one takes it. A receiver that answers 410 is disabled by the settlement, which
//! tells it the same way.

mod telling;

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use diesel::OptionalExtension;
use diesel::data_types::PgInterval;
use diesel::sql_types::{BigInt, Interval, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use onering_delivery::FailureStep;
use onering_ids::{OwnerId, SubscriptionId};
use uuid::Uuid;

pub(crate) use self::telling::tell_gone;
use self::telling::{Trouble, host_of, tell};
use crate::by_index::{Along, by_index};
use crate::columns::{count, interval, smallint, word};
use crate::monitoring_reads::waiting_of;
use crate::statement::{newest_of_owner, statement};
use crate::{Context, StoreError};

/// A subscription that has failed for some time without a success, and still does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailingSubscription {
    /// Which one.
    pub webhook_id: SubscriptionId,
    /// Its owner.
    pub owner_id: OwnerId,
    /// Its target's host: the rest of the URL may hold a credential of the receiver's.
    pub host: String,
    /// The first failure since the last success.
    pub failing_since: DateTime<Utc>,
    /// How long ago that is by the database's clock, in whole seconds.
    pub failing_for: Duration,
    /// Warnings given since.
    pub warnings: u16,
    /// How long ago the last of them was given, in whole seconds.
    pub since_warning: Option<Duration>,
}

statement! {
    /// One that failed long ago and had nothing to deliver since is not known to fail: there must have been a failure
    /// within a day.
    pub(super) struct Failing {
        at_least: PgInterval => Interval,
    } -> (SqlUuid, Text, Text, Timestamptz, BigInt, SmallInt, Nullable<BigInt>) =
        "SELECT w.webhook_id, w.owner_id, w.url, w.failing_since, floor(extract(epoch FROM now() - w.failing_since))::bigint,
             w.failure_warnings, floor(extract(epoch FROM now() - w.failure_warned_at))::bigint
         FROM external_webhooks AS w
         WHERE w.failing_since <= now() - $1 AND w.status = 'active' AND w.deleted_at IS NULL
             AND EXISTS (SELECT FROM delivery_stats AS s
                         WHERE s.webhook_id = w.webhook_id AND s.minute >= date_trunc('minute', now() - interval '1 day')
                             AND s.outcome IN ('RETRY', 'DEAD', 'GONE'))
         ORDER BY w.webhook_id";
}

statement! {
    /// What went wrong last, looked for among the owner's newest deliveries.
    pub(super) struct LastError<'a> {
        owner_id: &'a str => Text,
        webhook_id: Uuid => SqlUuid,
    } -> Nullable<Text> = concat!(
        "SELECT d.last_error
         FROM (SELECT $1 AS owner, '00000000-0000-0000-0000-000000000000'::uuid AS first,
                   'ffffffff-ffff-ffff-ffff-ffffffffffff'::uuid AS after OFFSET 0) AS a CROSS JOIN LATERAL (",
        newest_of_owner!(),
        " LIMIT 20000) AS d
         WHERE d.webhook_id = $2 AND d.last_error IS NOT NULL ORDER BY d.delivery_id DESC LIMIT 1"
    );
}

statement! {
    struct Take<'a> {
        warnings: i16 => SmallInt,
        reason: Option<&'a str> => Nullable<Text>,
        webhook_id: Uuid => SqlUuid,
        failing_since: DateTime<Utc> => Timestamptz,
        warnings_before: i16 => SmallInt,
    } -> () =
        "UPDATE external_webhooks SET failure_warnings = $1,
             failure_warned_at = CASE WHEN $2 IS NULL THEN now() ELSE failure_warned_at END,
             status = CASE WHEN $2 IS NULL THEN status ELSE 'disabled' END,
             disabled_by = CASE WHEN $2 IS NOT NULL THEN 'platform' END,
             disabled_reason = $2,
             disabled_at = CASE WHEN $2 IS NOT NULL THEN now() END,
             updated_at = CASE WHEN $2 IS NULL THEN updated_at ELSE now() END
         WHERE webhook_id = $3 AND failing_since = $4 AND failure_warnings = $5 AND status = 'active' AND deleted_at IS NULL";
}

type Row = (Uuid, String, String, DateTime<Utc>, i64, i16, Option<i64>);

/// The active subscriptions that have failed for `at_least` so long and failed again within the last day. Their number is
/// that of broken receivers; nothing of healthy ones is read.
///
/// # Errors
/// [`StoreError::Query`], or [`StoreError::Row`] for a row that is not understood.
pub async fn list(
    connection: &mut AsyncPgConnection,
    at_least: Duration,
) -> Result<Vec<FailingSubscription>, StoreError> {
    let query = Failing { at_least: interval(at_least) };
    let rows: Vec<Row> = query.load(connection).await.during("look for failing subscriptions")?;
    rows.into_iter()
        .map(|(webhook_id, owner_id, url, failing_since, failing_for, warnings, since_warning)| {
            Ok(FailingSubscription {
                webhook_id: SubscriptionId::from_uuid(webhook_id),
                owner_id: word("external_webhooks", "owner_id", &owner_id)?,
                host: host_of(&url),
                failing_since,
                failing_for: seconds(failing_for),
                warnings: count(warnings),
                since_warning: since_warning.map(seconds),
            })
        })
        .collect()
}

fn seconds(number: i64) -> Duration {
    Duration::from_secs(u64::try_from(number).unwrap_or(0))
}

/// Takes a step with a subscription, unless it has changed since it was read: it was delivered to, somebody else took the
/// step, its owner or an operator was there. Answers whether it was taken. The caller announces one that was disabled.
///
/// # Errors
/// [`StoreError::Query`]; then nothing has changed.
pub async fn take(
    connection: &mut AsyncPgConnection,
    subscription: &FailingSubscription,
    step: FailureStep,
) -> Result<bool, StoreError> {
    // Counted before the row is locked: results of its attempts are not to wait for this.
    let waiting = waiting_of(connection, subscription.webhook_id).await?;
    let reason = match step {
        FailureStep::Warn { .. } => None,
        FailureStep::Disable => Some(reason(connection, subscription).await?),
    };
    let warnings = match step {
        FailureStep::Warn { warnings } => warnings,
        FailureStep::Disable => subscription.warnings,
    };
    let trouble = Trouble {
        webhook_id: subscription.webhook_id,
        owner_id: &subscription.owner_id,
        host: &subscription.host,
        failing_since: subscription.failing_since,
        failing_for: subscription.failing_for,
        waiting: waiting.pending + waiting.retrying,
        status_before: "active",
        warnings: (subscription.warnings, warnings),
        disabled_because: reason.as_deref(),
    };
    let update = Take {
        warnings: smallint(warnings),
        reason: reason.as_deref(),
        webhook_id: subscription.webhook_id.uuid(),
        failing_since: subscription.failing_since,
        warnings_before: smallint(subscription.warnings),
    };
    connection
        .transaction(async |connection| {
            let taken = update.execute(connection).await.during("warn of a failing subscription")? > 0;
            if taken {
                tell(connection, &trouble).await?;
            }
            Ok(taken)
        })
        .await
}

/// Why it is disabled, for its owner: since when it fails and what went wrong last.
async fn reason(connection: &mut AsyncPgConnection, subscription: &FailingSubscription) -> Result<String, StoreError> {
    let query = LastError { owner_id: subscription.owner_id.as_str(), webhook_id: subscription.webhook_id.uuid() };
    let read = async |connection: &mut AsyncPgConnection| query.get_result(connection).await.optional();
    let found: Option<Option<String>> =
        by_index(connection, Along::ItsOrder, "read a subscription's last error", read).await?;
    let since = subscription.failing_since.to_rfc3339_opts(SecondsFormat::Secs, true);
    Ok(match found.flatten() {
        Some(error) => format!("every attempt has failed since {since}; the last one: {error}"),
        None => format!("every attempt has failed since {since}"),
    })
}

#[cfg(test)]
mod tests;
