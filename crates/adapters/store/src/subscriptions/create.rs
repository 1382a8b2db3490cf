//! Making a subscription.

use diesel::sql_types::{Array, Bool, Integer, Jsonb, Nullable, Text, Uuid as SqlUuid};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use onering_ids::{OwnerId, SubscriptionId};
use onering_webhooks::{NewSubscription, Subscription};
use serde_json::Value;
use uuid::Uuid;

use super::row::{StoredSettings, SubscriptionColumns, SubscriptionRow, subscription_columns};
use super::secrets::{NewSealedKeys, insert_keys};
use crate::statement::statement;
use crate::{Context, StoreError, partners};

statement! {
    struct Insert {
        webhook_id: Uuid => SqlUuid,
        owner_id: String => Text,
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
    } -> SubscriptionColumns = concat!(
        "INSERT INTO external_webhooks AS w (webhook_id, owner_id, url, events, description, headers, ",
        "timeout_seconds, ",
        "max_in_flight, rate_limit_per_second, max_event_age_seconds, signature_schemes, retry_client_errors, filter) ",
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) RETURNING ", subscription_columns!()
    );
}

/// Makes a subscription with its sealed secret and, if it has chosen that scheme, key pair; and its partner if that is new.
///
/// # Errors
/// [`StoreError::Conflict`] when an id is taken, [`StoreError::Query`] when Postgres fails. Nothing is left behind
/// then.
pub async fn create(
    conn: &mut AsyncPgConnection,
    owner_id: &OwnerId,
    webhook_id: SubscriptionId,
    new: &NewSubscription,
    keys: impl Into<NewSealedKeys>,
) -> Result<Subscription, StoreError> {
    let keys = keys.into();
    let stored = StoredSettings::from(&new.settings);
    let insert = Insert {
        webhook_id: webhook_id.uuid(),
        owner_id: owner_id.to_string(),
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
    };
    conn.transaction(async |conn| {
        partners::ensure(conn, owner_id).await?;
        let row: SubscriptionRow = insert.get_result(conn).await.during("create a subscription")?;
        insert_keys(conn, webhook_id, keys).await?;
        row.try_into()
    })
    .await
}
