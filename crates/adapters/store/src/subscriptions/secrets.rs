//! Signing secrets, which only ever come here sealed.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::OptionalExtension;
use diesel::sql_types::{BigInt, Binary, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use onering_ids::{OwnerId, SecretId, SubscriptionId};
use onering_webhooks::Subscription;
use uuid::Uuid;

use super::read::lock;
use crate::statement::statement;
use crate::{Context, StoreError};

/// A sealed secret to store. The seal binds it to its id.
#[derive(Clone, PartialEq, Eq)]
pub struct NewSealedSecret {
    /// A fresh id: the associated data of the seal.
    pub secret_id: SecretId,
    /// Which key of the ring sealed it.
    pub kid: String,
    /// Nonce and ciphertext.
    pub sealed: Vec<u8>,
}

impl fmt::Debug for NewSealedSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { secret_id, kid, .. } = self;
        formatter
            .debug_struct("NewSealedSecret")
            .field("secret_id", secret_id)
            .field("kid", kid)
            .finish_non_exhaustive()
    }
}

/// A sealed secret as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedSecret {
    /// What was stored.
    pub secret: NewSealedSecret,
    /// End of the overlap; `None` for the current secret.
    pub expires_at: Option<DateTime<Utc>>,
}

/// A rotation that was made.
#[derive(Debug, Clone, PartialEq)]
pub struct SecretRotated {
    /// The subscription.
    pub subscription: Subscription,
    /// Until when the previous secret signs too; `None`: it does not any more.
    pub previous_expires_at: Option<DateTime<Utc>>,
}

statement! {
    struct Insert {
        secret_id: Uuid => SqlUuid,
        webhook_id: Uuid => SqlUuid,
        sealed: Vec<u8> => Binary,
        kid: String => Text,
    } -> () = "INSERT INTO external_webhook_secrets (secret_id, webhook_id, sealed, kid) VALUES ($1, $2, $3, $4)";
}

// At most two secrets sign at once: one from an earlier rotation ends with the next. Without overlap the current one
// goes as well.
statement! {
    struct EndPrevious { webhook_id: Uuid => SqlUuid, overlap_seconds: i64 => BigInt } -> () = "
        DELETE FROM external_webhook_secrets WHERE webhook_id = $1 AND (expires_at IS NOT NULL OR $2 = 0)";
}

statement! {
    struct StartOverlap { overlap_seconds: i64 => BigInt, webhook_id: Uuid => SqlUuid } -> Timestamptz = "
        UPDATE external_webhook_secrets SET expires_at = now() + make_interval(secs => $1)
        WHERE webhook_id = $2 AND expires_at IS NULL RETURNING expires_at";
}

/// Gives one of this owner's subscriptions a new secret; the old one signs beside it for `overlap` (whole seconds).
/// `None` when the owner has no such subscription.
///
/// # Errors
/// [`StoreError::Conflict`] when the id is taken, [`StoreError::Query`] when Postgres fails. Nothing has changed then.
pub async fn rotate_secret(
    conn: &mut AsyncPgConnection,
    owner_id: &OwnerId,
    webhook_id: SubscriptionId,
    secret: NewSealedSecret,
    overlap: Duration,
) -> Result<Option<SecretRotated>, StoreError> {
    rotated(conn, Some(owner_id), webhook_id, secret, overlap).await
}

/// [`rotate_secret`], whoever owns it.
///
/// # Errors
/// As [`rotate_secret`].
pub async fn rotate_secret_any_owner(
    conn: &mut AsyncPgConnection,
    webhook_id: SubscriptionId,
    secret: NewSealedSecret,
    overlap: Duration,
) -> Result<Option<SecretRotated>, StoreError> {
    rotated(conn, None, webhook_id, secret, overlap).await
}

async fn rotated(
    conn: &mut AsyncPgConnection,
    owner_id: Option<&OwnerId>,
    webhook_id: SubscriptionId,
    secret: NewSealedSecret,
    overlap: Duration,
) -> Result<Option<SecretRotated>, StoreError> {
    const ROTATE: &str = "rotate a subscription's secret";
    let overlap_seconds = i64::try_from(overlap.as_secs()).unwrap_or(i64::MAX);
    conn.transaction(async |conn| {
        let Some(subscription) = lock(conn, owner_id, webhook_id).await? else { return Ok(None) };
        let id = webhook_id.uuid();
        EndPrevious { webhook_id: id, overlap_seconds }.execute(conn).await.during(ROTATE)?;
        let previous_expires_at =
            StartOverlap { overlap_seconds, webhook_id: id }.get_result(conn).await.optional().during(ROTATE)?;
        insert_secret(conn, webhook_id, secret).await?;
        Ok(Some(SecretRotated { subscription, previous_expires_at }))
    })
    .await
}

/// Gives a subscription its current secret; it must have none.
pub(super) async fn insert_secret(
    conn: &mut AsyncPgConnection,
    webhook_id: SubscriptionId,
    secret: NewSealedSecret,
) -> Result<(), StoreError> {
    Insert {
        secret_id: secret.secret_id.uuid(),
        webhook_id: webhook_id.uuid(),
        sealed: secret.sealed,
        kid: secret.kid,
    }
    .execute(conn)
    .await
    .during("store a subscription's secret")?;
    Ok(())
}
