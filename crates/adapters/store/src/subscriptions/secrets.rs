//! Signing secrets and key pairs, which only ever come here sealed.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::sql_types::{Array, BigInt, Binary, Bool, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use onering_ids::{OwnerId, SecretId, SubscriptionId};
use onering_signing::PublicKey;
use onering_webhooks::Subscription;
use uuid::Uuid;

use super::read::lock;
use super::rotation::{forget_rotation, start_rotation};
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

/// A sealed key pair to store, with the half that need not be sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSealedKeyPair {
    /// The key pair's text, sealed.
    pub sealed: NewSealedSecret,
    /// Its public half.
    pub public_key: PublicKey,
}

/// What a subscription signs with from now on, sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSealedKeys {
    /// Its secret.
    pub secret: NewSealedSecret,
    /// Its key pair. A rotation uses it only where there is one to rotate.
    pub key_pair: Option<NewSealedKeyPair>,
}

impl From<NewSealedSecret> for NewSealedKeys {
    fn from(secret: NewSealedSecret) -> Self {
        Self { secret, key_pair: None }
    }
}

/// A public key whose pair signs now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LivePublicKey {
    /// The key.
    pub public_key: PublicKey,
    /// End of the overlap; `None` for the current key.
    pub expires_at: Option<DateTime<Utc>>,
}

/// A sealed secret or key pair as stored.
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
    /// The new public key, where there was a key pair to rotate.
    pub public_key: Option<PublicKey>,
}

/// The word in `kind` of a secret.
pub(super) const HMAC: &str = "hmac";
/// The word in `kind` of a key pair.
pub(super) const ED25519: &str = "ed25519";

statement! {
    struct Insert {
        secret_id: Uuid => SqlUuid,
        webhook_id: Uuid => SqlUuid,
        sealed: Vec<u8> => Binary,
        kid: String => Text,
        kind: &'static str => Text,
        public_key: Option<Vec<u8>> => Nullable<Binary>,
    } -> () = "
        INSERT INTO external_webhook_secrets (secret_id, webhook_id, sealed, kid, kind, public_key)
        VALUES ($1, $2, $3, $4, $5, $6)";
}

statement! {
    struct HasKeyPair { webhook_id: Uuid => SqlUuid } -> Bool = "
        SELECT EXISTS (SELECT FROM external_webhook_secrets
                       WHERE webhook_id = $1 AND kind = 'ed25519' AND expires_at IS NULL)";
}

// At most two of a kind sign at once: one from an earlier rotation ends with the next. Without overlap the current one
// goes as well.
statement! {
    struct EndPrevious {
        webhook_id: Uuid => SqlUuid,
        overlap_seconds: i64 => BigInt,
        kinds: Vec<&'static str> => Array<Text>,
    } -> () = "
        DELETE FROM external_webhook_secrets
        WHERE webhook_id = $1 AND (expires_at IS NOT NULL OR $2 = 0 AND kind = ANY($3))";
}

// The clock of one transaction stands still: all of them end at the same moment.
statement! {
    struct StartOverlap {
        overlap_seconds: i64 => BigInt,
        webhook_id: Uuid => SqlUuid,
        kinds: Vec<&'static str> => Array<Text>,
    } -> Timestamptz = "
        UPDATE external_webhook_secrets SET expires_at = now() + make_interval(secs => $1)
        WHERE webhook_id = $2 AND expires_at IS NULL AND kind = ANY($3) RETURNING expires_at";
}

statement! {
    struct PublicKeys { webhook_id: Uuid => SqlUuid } -> (Binary, Nullable<Timestamptz>) = "
        SELECT public_key, expires_at FROM external_webhook_secrets
        WHERE webhook_id = $1 AND kind = 'ed25519' AND (expires_at IS NULL OR expires_at > now())
        ORDER BY expires_at DESC";
}

/// Gives one of this owner's subscriptions a new secret, and a new key pair if it has one; the old ones sign beside them
/// for `overlap` (whole seconds). `None` when the owner has no such subscription.
///
/// # Errors
/// [`StoreError::Conflict`] when the id is taken, [`StoreError::Query`] when Postgres fails. Nothing has changed then.
pub async fn rotate_secret(
    conn: &mut AsyncPgConnection,
    owner_id: &OwnerId,
    webhook_id: SubscriptionId,
    keys: impl Into<NewSealedKeys>,
    overlap: Duration,
) -> Result<Option<SecretRotated>, StoreError> {
    rotated(conn, Some(owner_id), webhook_id, keys.into(), overlap).await
}

/// [`rotate_secret`], whoever owns it.
///
/// # Errors
/// As [`rotate_secret`].
pub async fn rotate_secret_any_owner(
    conn: &mut AsyncPgConnection,
    webhook_id: SubscriptionId,
    keys: impl Into<NewSealedKeys>,
    overlap: Duration,
) -> Result<Option<SecretRotated>, StoreError> {
    rotated(conn, None, webhook_id, keys.into(), overlap).await
}

async fn rotated(
    conn: &mut AsyncPgConnection,
    owner_id: Option<&OwnerId>,
    webhook_id: SubscriptionId,
    keys: NewSealedKeys,
    overlap: Duration,
) -> Result<Option<SecretRotated>, StoreError> {
    const ROTATE: &str = "rotate a subscription's secret";
    let overlap_seconds = i64::try_from(overlap.as_secs()).unwrap_or(i64::MAX);
    conn.transaction(async |conn| {
        let Some(subscription) = lock(conn, owner_id, webhook_id).await? else { return Ok(None) };
        let id = webhook_id.uuid();
        let has_pair: bool = HasKeyPair { webhook_id: id }.get_result(conn).await.during(ROTATE)?;
        let key_pair = keys.key_pair.filter(|_| has_pair);
        let kinds: Vec<&str> = std::iter::once(HMAC).chain(key_pair.as_ref().map(|_| ED25519)).collect();
        EndPrevious { webhook_id: id, overlap_seconds, kinds: kinds.clone() }.execute(conn).await.during(ROTATE)?;
        let ends: Vec<DateTime<Utc>> =
            StartOverlap { overlap_seconds, webhook_id: id, kinds }.load(conn).await.during(ROTATE)?;
        let previous_expires_at = ends.into_iter().next();
        match previous_expires_at {
            Some(ends) => start_rotation(conn, webhook_id, keys.secret.secret_id, ends).await?,
            None => forget_rotation(conn, webhook_id).await?,
        }
        let public_key = key_pair.as_ref().map(|pair| pair.public_key);
        insert_keys(conn, webhook_id, NewSealedKeys { key_pair, ..keys }).await?;
        Ok(Some(SecretRotated { subscription, previous_expires_at, public_key }))
    })
    .await
}

/// Gives a subscription its current secret, and key pair if there is one; it must have none of either.
pub(super) async fn insert_keys(
    conn: &mut AsyncPgConnection,
    webhook_id: SubscriptionId,
    keys: NewSealedKeys,
) -> Result<(), StoreError> {
    insert(conn, webhook_id, keys.secret, None).await?;
    match keys.key_pair {
        Some(pair) => insert(conn, webhook_id, pair.sealed, Some(pair.public_key)).await,
        None => Ok(()),
    }
}

/// Gives a subscription this key pair, unless it has one. Call it in the transaction that holds the subscription's row, as
/// [`super::update`] does.
///
/// # Errors
/// [`StoreError::Conflict`] when the id is taken, [`StoreError::Query`] when Postgres fails.
pub async fn give_key_pair(
    conn: &mut AsyncPgConnection,
    webhook_id: SubscriptionId,
    pair: NewSealedKeyPair,
) -> Result<(), StoreError> {
    let has = HasKeyPair { webhook_id: webhook_id.uuid() }.get_result(conn).await.during("look for a key pair")?;
    if has { Ok(()) } else { insert(conn, webhook_id, pair.sealed, Some(pair.public_key)).await }
}

/// The public keys whose pairs sign for a subscription now, the current one first. Whose it is, is for the caller to know.
///
/// # Errors
/// [`StoreError::Query`] when Postgres fails, [`StoreError::Row`] when a stored key is none.
pub async fn public_keys(
    conn: &mut AsyncPgConnection,
    webhook_id: SubscriptionId,
) -> Result<Vec<LivePublicKey>, StoreError> {
    let rows: Vec<(Vec<u8>, Option<DateTime<Utc>>)> =
        PublicKeys { webhook_id: webhook_id.uuid() }.load(conn).await.during("read public keys")?;
    let key = |bytes: Vec<u8>| {
        PublicKey::from_bytes(&bytes).map_err(|error| StoreError::row("external_webhook_secrets", "public_key", error))
    };
    rows.into_iter().map(|(bytes, expires_at)| Ok(LivePublicKey { public_key: key(bytes)?, expires_at })).collect()
}

async fn insert(
    conn: &mut AsyncPgConnection,
    webhook_id: SubscriptionId,
    secret: NewSealedSecret,
    public_key: Option<PublicKey>,
) -> Result<(), StoreError> {
    Insert {
        secret_id: secret.secret_id.uuid(),
        webhook_id: webhook_id.uuid(),
        sealed: secret.sealed,
        kid: secret.kid,
        kind: if public_key.is_some() { ED25519 } else { HMAC },
        public_key: public_key.map(|key| key.as_bytes().to_vec()),
    }
    .execute(conn)
    .await
    .during("store a subscription's secret")?;
    Ok(())
}
