//! Reading subscriptions, for their owners and for operators. Deleted ones are not there.

use diesel::OptionalExtension;
use diesel::sql_types::{BigInt, Nullable, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use onering_ids::{OwnerId, SubscriptionId};
use onering_webhooks::{Subscription, SubscriptionStatus};
use uuid::Uuid;

use super::row::{SubscriptionColumns, SubscriptionRow, subscription_columns};
use crate::statement::statement;
use crate::{Context, StoreError};

/// Which subscriptions an operator lists; `None` means any.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SubscriptionFilter {
    /// Of this partner.
    pub owner_id: Option<OwnerId>,
    /// In this state.
    pub status: Option<SubscriptionStatus>,
}

statement! {
    struct Get { webhook_id: Uuid => SqlUuid } -> SubscriptionColumns = concat!(
        "SELECT ", subscription_columns!(), " FROM external_webhooks AS w WHERE w.webhook_id = $1 AND ",
        "w.deleted_at IS NULL"
    );
}

statement! {
    struct Lock { webhook_id: Uuid => SqlUuid } -> SubscriptionColumns = concat!(
        "SELECT ", subscription_columns!(),
        " FROM external_webhooks AS w WHERE w.webhook_id = $1 AND w.deleted_at IS NULL FOR UPDATE OF w"
    );
}

statement! {
    struct ListOfOwner {
        owner_id: String => Text,
        status: Option<&'static str> => Nullable<Text>,
        before: Option<Uuid> => Nullable<SqlUuid>,
        limit: i64 => BigInt,
    } -> SubscriptionColumns = concat!(
        "SELECT ", subscription_columns!(), " FROM external_webhooks AS w ",
        "WHERE w.owner_id = $1 AND w.deleted_at IS NULL AND ($2 IS NULL OR w.status = $2) ",
        "AND w.webhook_id < coalesce($3, 'ffffffff-ffff-ffff-ffff-ffffffffffff') ORDER BY w.webhook_id DESC LIMIT $4"
    );
}

statement! {
    struct ListOfAll {
        status: Option<&'static str> => Nullable<Text>,
        before: Option<Uuid> => Nullable<SqlUuid>,
        limit: i64 => BigInt,
    } -> SubscriptionColumns = concat!(
        "SELECT ", subscription_columns!(), " FROM external_webhooks AS w ",
        "WHERE w.deleted_at IS NULL AND ($1 IS NULL OR w.status = $1) ",
        "AND w.webhook_id < coalesce($2, 'ffffffff-ffff-ffff-ffff-ffffffffffff') ORDER BY w.webhook_id DESC LIMIT $3"
    );
}

/// One of this owner's subscriptions.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails.
pub async fn get(
    conn: &mut AsyncPgConnection,
    owner_id: &OwnerId,
    webhook_id: SubscriptionId,
) -> Result<Option<Subscription>, StoreError> {
    Ok(get_any_owner(conn, webhook_id).await?.filter(|subscription| subscription.owner_id == *owner_id))
}

/// One subscription, whoever owns it.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails.
pub async fn get_any_owner(
    conn: &mut AsyncPgConnection,
    webhook_id: SubscriptionId,
) -> Result<Option<Subscription>, StoreError> {
    let row: Option<SubscriptionRow> =
        Get { webhook_id: webhook_id.uuid() }.get_result(conn).await.optional().during("read a subscription")?;
    row.map(Subscription::try_from).transpose()
}

/// This owner's subscriptions, newest first, from the one before `before`.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails.
pub async fn list(
    conn: &mut AsyncPgConnection,
    owner_id: &OwnerId,
    status: Option<SubscriptionStatus>,
    before: Option<SubscriptionId>,
    limit: u32,
) -> Result<Vec<Subscription>, StoreError> {
    let filter = SubscriptionFilter { owner_id: Some(owner_id.clone()), status };
    list_any_owner(conn, &filter, before, limit).await
}

/// Subscriptions of all owners, newest first, from the one before `before`.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails.
pub async fn list_any_owner(
    conn: &mut AsyncPgConnection,
    filter: &SubscriptionFilter,
    before: Option<SubscriptionId>,
    limit: u32,
) -> Result<Vec<Subscription>, StoreError> {
    let status = filter.status.map(SubscriptionStatus::as_str);
    let (before, limit) = (before.map(SubscriptionId::uuid), limit.into());
    let rows: Result<Vec<SubscriptionRow>, _> = match &filter.owner_id {
        Some(owner) => ListOfOwner { owner_id: owner.to_string(), status, before, limit }.load(conn).await,
        None => ListOfAll { status, before, limit }.load(conn).await,
    };
    rows.during("list subscriptions")?.into_iter().map(Subscription::try_from).collect()
}

/// A subscription locked until the end of the transaction; only of this owner, if one is given.
pub(super) async fn lock(
    conn: &mut AsyncPgConnection,
    owner_id: Option<&OwnerId>,
    webhook_id: SubscriptionId,
) -> Result<Option<Subscription>, StoreError> {
    let row: Option<SubscriptionRow> =
        Lock { webhook_id: webhook_id.uuid() }.get_result(conn).await.optional().during("lock a subscription")?;
    let subscription = row.map(Subscription::try_from).transpose()?;
    Ok(subscription.filter(|subscription| owner_id.is_none_or(|owner| subscription.owner_id == *owner)))
}
