//! Telling of a step: the partner by an operational event, operators by a row of the audit log.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use diesel::sql_types::{Array, BigInt, Jsonb, SmallInt, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use onering_ids::{OwnerId, SubscriptionId};
use onering_webhooks::TargetUrl;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::columns::{count, word};
use crate::monitoring_reads::waiting_of_within;
use crate::statement::statement;
use crate::{Context, StoreError};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A step that was taken.
#[derive(Debug)]
pub(super) struct Trouble<'a> {
    pub(super) webhook_id: SubscriptionId,
    pub(super) owner_id: &'a OwnerId,
    pub(super) host: &'a str,
    pub(super) failing_since: DateTime<Utc>,
    pub(super) failing_for: Duration,
    /// Deliveries that wait for it, held ones included.
    pub(super) waiting: u64,
    pub(super) status_before: &'a str,
    /// Given before and after.
    pub(super) warnings: (u16, u16),
    /// Set when it was disabled.
    pub(super) disabled_because: Option<&'a str>,
}

impl Trouble<'_> {
    const fn event_type(&self) -> &'static str {
        if self.disabled_because.is_some() { "webhook.disabled" } else { "webhook.failing" }
    }

    const fn action(&self) -> &'static str {
        if self.disabled_because.is_some() { "subscription.disable" } else { "subscription.warn" }
    }

    fn event(&self) -> Value {
        let mut data = json!({
            "webhook_id": self.webhook_id,
            "host": self.host,
            "failing_since": instant(self.failing_since),
            "days": self.failing_for.as_secs() / DAY.as_secs(),
            "waiting": self.waiting,
        });
        if let Some(reason) = self.disabled_because {
            data["reason"] = reason.into();
        }
        data
    }

    fn before(&self) -> Value {
        json!({
            "status": self.status_before, "failing_since": instant(self.failing_since),
            "failure_warnings": self.warnings.0,
        })
    }

    fn after(&self) -> Value {
        let mut after = self.before();
        after["failure_warnings"] = self.warnings.1.into();
        if let Some(reason) = self.disabled_because {
            after["status"] = "disabled".into();
            after["disabled_by"] = "platform".into();
            after["disabled_reason"] = reason.into();
        }
        after
    }
}

statement! {
    struct Publish<'a> {
        owner: &'a str => Text,
        event_type: &'static str => Text,
        data: Value => Jsonb,
    } -> SqlUuid = "SELECT onering.publish_event($1, $2, $3)";
}

statement! {
    struct Audit {
        action: &'static str => Text,
        target_id: String => Text,
        before: Value => Jsonb,
        after: Value => Jsonb,
    } -> () =
        "INSERT INTO admin_audit_log (audit_id, actor, role, action, target_type, target_id, before, after)
         VALUES (onering.uuid_v7(), 'platform', 'platform', $1, 'subscription', $2, $3, $4)";
}

statement! {
    struct Gone {
        webhook_ids: Vec<Uuid> => Array<SqlUuid>,
    } -> (SqlUuid, Text, Text, Text, Timestamptz, BigInt, SmallInt) =
        "SELECT w.webhook_id, w.owner_id, w.url, w.disabled_reason, f.since,
             floor(greatest(extract(epoch FROM now() - f.since), 0))::bigint, w.failure_warnings
         FROM external_webhooks AS w, coalesce(w.failing_since, w.disabled_at) AS f (since)
         WHERE w.webhook_id = ANY($1) AND w.disabled_reason IS NOT NULL ORDER BY w.webhook_id";
}

/// Publishes the event and appends the row. Call it in the transaction of the step.
pub(super) async fn tell(connection: &mut AsyncPgConnection, trouble: &Trouble<'_>) -> Result<(), StoreError> {
    let publish = Publish { owner: trouble.owner_id.as_str(), event_type: trouble.event_type(), data: trouble.event() };
    let _event: Uuid = publish.get_result(connection).await.during("publish an operational event")?;
    let audit = Audit {
        action: trouble.action(),
        target_id: trouble.webhook_id.to_string(),
        before: trouble.before(),
        after: trouble.after(),
    };
    audit.execute(connection).await.during("append to the audit log")?;
    Ok(())
}

/// Tells of subscriptions that the settlement disabled in this transaction because their receiver answered 410; with each,
/// the status it had.
pub(crate) async fn tell_gone(
    connection: &mut AsyncPgConnection,
    disabled: &[(SubscriptionId, String)],
) -> Result<(), StoreError> {
    type Row = (Uuid, String, String, String, DateTime<Utc>, i64, i16);
    let query = Gone { webhook_ids: disabled.iter().map(|(webhook_id, _)| webhook_id.uuid()).collect() };
    let rows: Vec<Row> = query.load(connection).await.during("read disabled subscriptions")?;
    for (webhook_id, owner_id, url, reason, failing_since, seconds, warnings) in rows {
        let webhook_id = SubscriptionId::from_uuid(webhook_id);
        let status_before = disabled.iter().find(|(id, _)| *id == webhook_id).map_or("", |(_, status)| status.as_str());
        let waiting = waiting_of_within(connection, webhook_id).await?;
        let owner_id: OwnerId = word("external_webhooks", "owner_id", &owner_id)?;
        let trouble = Trouble {
            webhook_id,
            owner_id: &owner_id,
            host: &host_of(&url),
            failing_since,
            failing_for: Duration::from_secs(u64::try_from(seconds).unwrap_or(0)),
            waiting: waiting.pending + waiting.retrying,
            status_before,
            warnings: (count(warnings), count(warnings)),
            disabled_because: Some(&reason),
        };
        tell(connection, &trouble).await?;
    }
    Ok(())
}

/// The host alone; empty for a target that is not understood.
pub(super) fn host_of(url: &str) -> String {
    let target: Option<TargetUrl> = url.parse().ok();
    target.and_then(|target| target.url().host_str().map(str::to_owned)).unwrap_or_default()
}

fn instant(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}
