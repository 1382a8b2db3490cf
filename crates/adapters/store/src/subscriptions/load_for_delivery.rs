//! The worker's question: where do these deliveries go, how, and signed with what?

use chrono::{DateTime, Utc};
use diesel::Queryable;
use diesel::sql_types::{Array, Binary, Bool, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use onering_ids::{SecretId, SubscriptionId};
use onering_webhooks::Subscription;
use uuid::Uuid;

use super::row::{SubscriptionColumns, SubscriptionRow, subscription_columns};
use super::secrets::{ED25519, NewSealedSecret, SealedSecret};
use crate::statement::statement;
use crate::{Context, StoreError};

/// All that a worker needs to know of a subscription.
#[derive(Debug, Clone, PartialEq)]
pub struct DeliveryTarget {
    /// The subscription; deleted ones too, as their deliveries are to be cancelled (`standing()` tells).
    pub subscription: Subscription,
    /// Whether its owner is an active partner.
    pub partner_active: bool,
    /// Whether its owner is inside every cohort.
    pub partner_canary: bool,
    /// The secrets that sign now: the current one first. None for a deleted subscription.
    pub secrets: Vec<SealedSecret>,
    /// The key pairs that sign now, likewise.
    pub key_pairs: Vec<SealedSecret>,
}

/// A subscription that was asked for.
#[derive(Debug)]
pub struct LoadedTarget {
    /// Which.
    pub webhook_id: SubscriptionId,
    /// What is known of it, or why its row is not understood: one spoilt row must not stop the deliveries of the
    /// others.
    pub target: Result<DeliveryTarget, StoreError>,
}

statement! {
    pub(super) struct Load { webhook_ids: Vec<Uuid> => Array<SqlUuid> } -> (
        SubscriptionColumns,
        Bool,
        Bool,
        Array<SqlUuid>,
        Array<Text>,
        Array<Binary>,
        Array<Nullable<Timestamptz>>,
        Array<Text>,
    ) = concat!(
        "SELECT ", subscription_columns!(), ", p.status = 'active', p.canary, coalesce(x.ids, '{}'), ",
        "coalesce(x.kids, '{}'), coalesce(x.sealed, '{}'), coalesce(x.expires_ats, '{}'), ",
        "coalesce(x.kinds, '{}') ",
        "FROM external_webhooks AS w JOIN partners AS p ON p.owner_id = w.owner_id ",
        "CROSS JOIN LATERAL (SELECT array_agg(s.secret_id ORDER BY s.expires_at DESC, s.secret_id) AS ids, ",
        "array_agg(s.kid ORDER BY s.expires_at DESC, s.secret_id) AS kids, ",
        "array_agg(s.sealed ORDER BY s.expires_at DESC, s.secret_id) AS sealed, ",
        "array_agg(s.expires_at ORDER BY s.expires_at DESC, s.secret_id) AS expires_ats, ",
        "array_agg(s.kind ORDER BY s.expires_at DESC, s.secret_id) AS kinds ",
        "FROM external_webhook_secrets AS s ",
        "WHERE s.webhook_id = w.webhook_id AND (s.expires_at IS NULL OR s.expires_at > now())) AS x ",
        "WHERE w.webhook_id = ANY($1)"
    );
}

#[derive(Queryable)]
struct Row {
    subscription: SubscriptionRow,
    partner_active: bool,
    partner_canary: bool,
    secret_ids: Vec<Uuid>,
    kids: Vec<String>,
    sealed: Vec<Vec<u8>>,
    expires_ats: Vec<Option<DateTime<Utc>>>,
    kinds: Vec<String>,
}

impl TryFrom<Row> for DeliveryTarget {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let stored = row.secret_ids.into_iter().zip(row.kids).zip(row.sealed).zip(row.expires_ats);
        let stored = stored.map(|(((secret_id, kid), sealed), expires_at)| SealedSecret {
            secret: NewSealedSecret { secret_id: SecretId::from_uuid(secret_id), kid, sealed },
            expires_at,
        });
        let (key_pairs, secrets): (Vec<_>, Vec<_>) = stored.zip(row.kinds).partition(|(_, kind)| kind == ED25519);
        let without_kind = |stored: Vec<(SealedSecret, String)>| stored.into_iter().map(|(one, _)| one).collect();
        Ok(Self {
            subscription: row.subscription.try_into()?,
            partner_active: row.partner_active,
            partner_canary: row.partner_canary,
            secrets: without_kind(secrets),
            key_pairs: without_kind(key_pairs),
        })
    }
}

/// These subscriptions as their workers need them, in one statement; unknown ones are absent.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails.
pub async fn load_for_delivery(
    conn: &mut AsyncPgConnection,
    subscriptions: &[SubscriptionId],
) -> Result<Vec<LoadedTarget>, StoreError> {
    let webhook_ids = subscriptions.iter().map(|id| id.uuid()).collect();
    let rows: Vec<Row> = Load { webhook_ids }.load(conn).await.during("load subscriptions for delivery")?;
    Ok(rows
        .into_iter()
        .map(|row| LoadedTarget {
            webhook_id: SubscriptionId::from_uuid(row.subscription.webhook_id),
            target: row.try_into(),
        })
        .collect())
}
