//! Changing a subscription, switching it off and on, deleting it.

use chrono::{DateTime, Utc};
use diesel::sql_types::{Array, Bool, Integer, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use onering_ids::{OwnerId, SubscriptionId};
use onering_webhooks::{DisabledBy, Subscription, SubscriptionChange, SubscriptionState, WantedStatus};
use serde_json::Value;
use uuid::Uuid;

use super::read::lock;
use super::row::{StoredSettings, SubscriptionColumns, SubscriptionRow, subscription_columns};
use crate::audit_log::Changed;
use crate::statement::statement;
use crate::{Context, StoreError};

statement! {
    struct Write {
        url: String => Text,
        events: Vec<String> => Array<Text>,
        description: String => Text,
        headers: Value => Jsonb,
        timeout_seconds: i32 => Integer,
        max_in_flight: i32 => Integer,
        rate_limit_per_second: Option<i32> => Nullable<Integer>,
        max_event_age_seconds: Option<i32> => Nullable<Integer>,
        signature_schemes: Vec<String> => Array<Text>,
        retry_client_errors: bool => Bool,
        filter: Option<Value> => Nullable<Jsonb>,
        status: &'static str => Text,
        disabled_by: Option<&'static str> => Nullable<Text>,
        disabled_reason: Option<String> => Nullable<Text>,
        failing_since: Option<DateTime<Utc>> => Nullable<Timestamptz>,
        webhook_id: Uuid => SqlUuid,
    } -> SubscriptionColumns = concat!(
        "UPDATE external_webhooks AS w SET url = $1, events = $2, description = $3, headers = $4, timeout_seconds ",
        "= $5, ",
        "max_in_flight = $6, rate_limit_per_second = $7, max_event_age_seconds = $8, signature_schemes = $9, ",
        "retry_client_errors = $10, filter = $11, status = $12, disabled_by = $13, disabled_reason = $14, ",
        "failing_since = $15, ",
        "disabled_at = CASE WHEN $12 = 'disabled' THEN coalesce(w.disabled_at, now()) END, updated_at = now() ",
        "WHERE w.webhook_id = $16 RETURNING ", subscription_columns!()
    );
}

// Its secrets go at once: what is not there cannot leak.
statement! {
    struct Delete { webhook_id: Uuid => SqlUuid } -> () = "
        WITH gone AS (
            UPDATE external_webhooks SET deleted_at = now(), updated_at = now() WHERE webhook_id = $1 RETURNING webhook_id
        ), unmetered AS (
            DELETE FROM external_webhook_rotations AS r USING gone WHERE r.webhook_id = gone.webhook_id
        )
        DELETE FROM external_webhook_secrets AS s USING gone WHERE s.webhook_id = gone.webhook_id";
}

/// Changes one of this owner's subscriptions; `None` when it has no such subscription.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails.
pub async fn update(
    conn: &mut AsyncPgConnection,
    owner_id: &OwnerId,
    webhook_id: SubscriptionId,
    change: SubscriptionChange,
) -> Result<Option<Changed<Subscription>>, StoreError> {
    changed(conn, Some(owner_id), webhook_id, |subscription| apply(change, subscription)).await
}

/// Changes a subscription, whoever owns it; `None` when there is no such subscription.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails.
pub async fn update_any_owner(
    conn: &mut AsyncPgConnection,
    webhook_id: SubscriptionId,
    change: SubscriptionChange,
) -> Result<Option<Changed<Subscription>>, StoreError> {
    changed(conn, None, webhook_id, |subscription| apply(change, subscription)).await
}

/// Holds an active subscription's deliveries from now on. One that is disabled stays so: `before` and `after` are then
/// the same but for `updated_at`.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails.
pub async fn pause_any_owner(
    conn: &mut AsyncPgConnection,
    webhook_id: SubscriptionId,
) -> Result<Option<Changed<Subscription>>, StoreError> {
    let pause = |subscription: &mut Subscription| {
        if subscription.state == SubscriptionState::Active {
            subscription.state = SubscriptionState::Paused;
        }
    };
    changed(conn, None, webhook_id, pause).await
}

/// Disables a subscription in an operator's name, for a reason its owner will read. One that the platform had disabled is
/// the operator's from then on.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails.
pub async fn disable_any_owner(
    conn: &mut AsyncPgConnection,
    webhook_id: SubscriptionId,
    reason: &str,
) -> Result<Option<Changed<Subscription>>, StoreError> {
    let disable = |subscription: &mut Subscription| {
        // The statement itself sets when, by the database's clock.
        let unused = subscription.updated_at;
        subscription.state.disable(DisabledBy::Operator, reason, unused);
    };
    changed(conn, None, webhook_id, disable).await
}

/// Makes a paused or disabled subscription active again: what was held for it goes out.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails.
pub async fn enable_any_owner(
    conn: &mut AsyncPgConnection,
    webhook_id: SubscriptionId,
) -> Result<Option<Changed<Subscription>>, StoreError> {
    let change = SubscriptionChange { status: Some(WantedStatus::Active), ..SubscriptionChange::default() };
    update_any_owner(conn, webhook_id, change).await
}

/// Deletes one of this owner's subscriptions with its secrets, and answers what it was. Its waiting deliveries are for
/// the caller to cancel.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails.
pub async fn delete(
    conn: &mut AsyncPgConnection,
    owner_id: &OwnerId,
    webhook_id: SubscriptionId,
) -> Result<Option<Subscription>, StoreError> {
    deleted(conn, Some(owner_id), webhook_id).await
}

/// [`delete`], whoever owns it.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails.
pub async fn delete_any_owner(
    conn: &mut AsyncPgConnection,
    webhook_id: SubscriptionId,
) -> Result<Option<Subscription>, StoreError> {
    deleted(conn, None, webhook_id).await
}

async fn deleted(
    conn: &mut AsyncPgConnection,
    owner_id: Option<&OwnerId>,
    webhook_id: SubscriptionId,
) -> Result<Option<Subscription>, StoreError> {
    conn.transaction(async |conn| {
        let Some(subscription) = lock(conn, owner_id, webhook_id).await? else { return Ok(None) };
        Delete { webhook_id: webhook_id.uuid() }.execute(conn).await.during("delete a subscription")?;
        Ok(Some(subscription))
    })
    .await
}

fn apply(change: SubscriptionChange, subscription: &mut Subscription) {
    // The statement itself sets `updated_at`, by the database's clock.
    let unused = subscription.updated_at;
    change.apply(subscription, unused);
}

/// Load, change, save, with the row locked in between: a worker that disables the subscription waits or is waited for.
async fn changed(
    conn: &mut AsyncPgConnection,
    owner_id: Option<&OwnerId>,
    webhook_id: SubscriptionId,
    change: impl FnOnce(&mut Subscription) + Send,
) -> Result<Option<Changed<Subscription>>, StoreError> {
    conn.transaction(async |conn| {
        let Some(before) = lock(conn, owner_id, webhook_id).await? else { return Ok(None) };
        let mut wanted = before.clone();
        change(&mut wanted);
        let (stored, disablement) = (StoredSettings::from(&wanted.settings), wanted.state.disablement());
        let row: SubscriptionRow = Write {
            url: stored.url,
            events: stored.events,
            description: stored.description,
            headers: stored.headers,
            timeout_seconds: stored.timeout_seconds,
            max_in_flight: stored.max_in_flight,
            rate_limit_per_second: stored.rate_limit_per_second,
            max_event_age_seconds: stored.max_event_age_seconds,
            signature_schemes: stored.signature_schemes,
            retry_client_errors: stored.retry_client_errors,
            filter: stored.filter,
            status: wanted.state.status().as_str(),
            disabled_by: disablement.map(|disablement| disablement.by.as_str()),
            disabled_reason: disablement.map(|disablement| disablement.reason.clone()),
            failing_since: wanted.failing_since,
            webhook_id: webhook_id.uuid(),
        }
        .get_result(conn)
        .await
        .during("change a subscription")?;
        Ok(Some(Changed { before, after: row.try_into()? }))
    })
    .await
}
