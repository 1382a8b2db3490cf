//! How a subscription comes from its row, and goes into one.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::Queryable;
use diesel::sql_types::{Array, Bool, Integer, Jsonb, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use onering_ids::SubscriptionId;
use onering_signing::{Scheme, Schemes};
use onering_webhooks::{
    CustomHeaders, Disablement, Filter, Subscription, SubscriptionSettings, SubscriptionState, SubscriptionStatus,
};
use serde_json::Value;
use uuid::Uuid;

use crate::StoreError;
use crate::columns::word;

const TABLE: &str = "external_webhooks";

/// The columns of a subscription in a statement that calls the table `w`.
macro_rules! subscription_columns {
    () => {
        "w.webhook_id, w.owner_id, w.url, w.events, w.description, w.headers, w.timeout_seconds, w.max_in_flight, \
         w.rate_limit_per_second, w.max_event_age_seconds, w.signature_schemes, w.retry_client_errors, w.filter, \
         w.status, w.disabled_by, w.disabled_reason, w.disabled_at, w.failing_since, w.created_at, w.updated_at, \
         w.deleted_at"
    };
}
pub(super) use subscription_columns;

/// Their types.
pub(super) type SubscriptionColumns = (
    SqlUuid,
    Text,
    Text,
    Array<Text>,
    Text,
    Jsonb,
    Integer,
    Integer,
    Nullable<Integer>,
    Nullable<Integer>,
    Array<Text>,
    Bool,
    Nullable<Jsonb>,
    Text,
    Nullable<Text>,
    Nullable<Text>,
    Nullable<Timestamptz>,
    Nullable<Timestamptz>,
    Timestamptz,
    Timestamptz,
    Nullable<Timestamptz>,
);

#[derive(Queryable)]
pub(super) struct SubscriptionRow {
    pub(super) webhook_id: Uuid,
    owner_id: String,
    url: String,
    events: Vec<String>,
    description: String,
    headers: Value,
    timeout_seconds: i32,
    max_in_flight: i32,
    rate_limit_per_second: Option<i32>,
    max_event_age_seconds: Option<i32>,
    signature_schemes: Vec<String>,
    retry_client_errors: bool,
    filter: Option<Value>,
    status: String,
    disabled_by: Option<String>,
    disabled_reason: Option<String>,
    disabled_at: Option<DateTime<Utc>>,
    failing_since: Option<DateTime<Utc>>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    deleted_at: Option<DateTime<Utc>>,
}

impl TryFrom<SubscriptionRow> for Subscription {
    type Error = StoreError;

    fn try_from(row: SubscriptionRow) -> Result<Self, StoreError> {
        let state = state(&row.status, row.disabled_by.as_deref(), row.disabled_reason, row.disabled_at)?;
        let settings = SubscriptionSettings {
            // What is wrong with an address or a header may repeat it, and both may hold a credential.
            url: row.url.parse().map_err(|_| StoreError::row(TABLE, "url", "not a target address"))?,
            events: row.events.iter().map(|pattern| word(TABLE, "events", pattern)).collect::<Result<_, _>>()?,
            description: row.description,
            headers: headers(row.headers)?,
            timeout: seconds(row.timeout_seconds),
            max_in_flight: u16::try_from(row.max_in_flight)
                .map_err(|error| StoreError::row(TABLE, "max_in_flight", error))?,
            rate_limit_per_second: row.rate_limit_per_second.map(i32::unsigned_abs),
            max_event_age: row.max_event_age_seconds.map(seconds),
            signature_schemes: schemes(&row.signature_schemes)?,
            retry_client_errors: row.retry_client_errors,
            filter: row
                .filter
                .map(|filter| Filter::parse(&filter))
                .transpose()
                .map_err(|error| StoreError::row(TABLE, "filter", error))?,
        };
        Ok(Self {
            webhook_id: SubscriptionId::from_uuid(row.webhook_id),
            owner_id: word(TABLE, "owner_id", &row.owner_id)?,
            settings,
            state,
            failing_since: row.failing_since,
            created_at: row.created_at,
            updated_at: row.updated_at,
            deleted_at: row.deleted_at,
        })
    }
}

/// The CHECKs of the table say the same: who, why and when are known exactly while it is disabled.
fn state(
    status: &str,
    by: Option<&str>,
    reason: Option<String>,
    at: Option<DateTime<Utc>>,
) -> Result<SubscriptionState, StoreError> {
    match (word(TABLE, "status", status)?, by, reason, at) {
        (SubscriptionStatus::Active, None, None, None) => Ok(SubscriptionState::Active),
        (SubscriptionStatus::Paused, None, None, None) => Ok(SubscriptionState::Paused),
        (SubscriptionStatus::Disabled, Some(by), Some(reason), Some(at)) => {
            Ok(SubscriptionState::Disabled(Disablement { by: word(TABLE, "disabled_by", by)?, reason, at }))
        }
        _ => Err(StoreError::row(TABLE, "status", "does not fit disabled_by, disabled_reason and disabled_at")),
    }
}

fn headers(stored: Value) -> Result<CustomHeaders, StoreError> {
    let wrong = || StoreError::row(TABLE, "headers", "not request headers");
    let headers: BTreeMap<String, String> = serde_json::from_value(stored).map_err(|_| wrong())?;
    CustomHeaders::parse(headers).map_err(|_| wrong())
}

fn schemes(texts: &[String]) -> Result<Schemes, StoreError> {
    let wrong = |error: &dyn std::fmt::Display| StoreError::row(TABLE, "signature_schemes", error);
    let schemes: Vec<Scheme> =
        texts.iter().map(|text| text.parse()).collect::<Result<_, _>>().map_err(|error| wrong(&error))?;
    Schemes::new(schemes).ok_or_else(|| wrong(&"none"))
}

fn seconds(stored: i32) -> Duration {
    Duration::from_secs(stored.unsigned_abs().into())
}

/// What an owner decides, as the parameters of an INSERT or UPDATE.
pub(super) struct StoredSettings {
    pub(super) url: String,
    pub(super) events: Vec<String>,
    pub(super) description: String,
    pub(super) headers: Value,
    pub(super) timeout_seconds: i32,
    pub(super) max_in_flight: i32,
    pub(super) rate_limit_per_second: Option<i32>,
    pub(super) max_event_age_seconds: Option<i32>,
    pub(super) signature_schemes: Vec<String>,
    pub(super) retry_client_errors: bool,
    pub(super) filter: Option<Value>,
}

impl From<&SubscriptionSettings> for StoredSettings {
    fn from(settings: &SubscriptionSettings) -> Self {
        let headers = settings.headers.expose().map(|(name, value)| (name.to_owned(), Value::from(value))).collect();
        Self {
            url: settings.url.as_str().to_owned(),
            events: settings.events.iter().map(|pattern| pattern.as_str().to_owned()).collect(),
            description: settings.description.clone(),
            headers: Value::Object(headers),
            timeout_seconds: whole_seconds(settings.timeout),
            max_in_flight: settings.max_in_flight.into(),
            rate_limit_per_second: settings.rate_limit_per_second.map(|rate| i32::try_from(rate).unwrap_or(i32::MAX)),
            max_event_age_seconds: settings.max_event_age.map(whole_seconds),
            signature_schemes: settings.signature_schemes.iter().map(|scheme| scheme.as_str().to_owned()).collect(),
            retry_client_errors: settings.retry_client_errors,
            filter: settings.filter.as_ref().map(Filter::to_json),
        }
    }
}

fn whole_seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)
}
