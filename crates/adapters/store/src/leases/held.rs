use diesel::sql_types::{Array, BigInt, Bool, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use onering_delivery::{HeldReason, Standing};
use onering_ids::{OwnerId, SubscriptionId};
use uuid::Uuid;

use crate::columns::word;
use crate::statement::statement;
use crate::{Context, StoreError};

/// A subscription with held deliveries, whether or not its row is understood.
#[derive(Debug)]
pub struct FoundHeld {
    /// The subscription.
    pub webhook_id: SubscriptionId,
    /// What decides, or what is wrong with its row.
    pub held: Result<HeldSubscription, StoreError>,
}

/// A subscription with held deliveries, and all that decides whether their reason still holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldSubscription {
    /// Why they are held.
    pub reason: HeldReason,
    /// The subscription.
    pub webhook_id: SubscriptionId,
    /// Its owner.
    pub owner_id: OwnerId,
    /// How it stands now.
    pub standing: Standing,
    /// Whether its owner is active now.
    pub partner_active: bool,
    /// Whether its owner is a canary, and so inside every cohort.
    pub partner_canary: bool,
}

statement! {
    /// A loose scan: one step of the index for each reason and subscription, however many rows they hold.
    struct HeldSubscriptions {
        reasons: Vec<&'static str> => Array<Text>,
    } -> (Text, SqlUuid, Text, Text, Bool, Bool, Bool) =
        "WITH RECURSIVE held AS (
             SELECT reason, (SELECT d.webhook_id FROM webhook_deliveries AS d
                             WHERE d.held_reason = reason AND d.held_reason IS NOT NULL ORDER BY d.webhook_id LIMIT 1) AS webhook_id
             FROM unnest($1) AS reason
             UNION ALL
             SELECT h.reason, (SELECT d.webhook_id FROM webhook_deliveries AS d
                               WHERE d.held_reason = h.reason AND d.held_reason IS NOT NULL AND d.webhook_id > h.webhook_id
                               ORDER BY d.webhook_id LIMIT 1)
             FROM held AS h WHERE h.webhook_id IS NOT NULL
         )
         SELECT h.reason, h.webhook_id, w.owner_id, w.status, w.deleted_at IS NOT NULL, p.status = 'active', p.canary
         FROM held AS h JOIN external_webhooks AS w ON w.webhook_id = h.webhook_id
         JOIN partners AS p ON p.owner_id = w.owner_id";
}

statement! {
    /// Each subscription has an equal share of the limit, and where that is none, the oldest of all go first: nobody's
    /// backlog stands before another's.
    ///
    /// The subscription is a range, so that the order is that of the index of what is held: for an equality, the planner
    /// may follow the primary key, through all that was settled. And it must not know the share, or it sorts the backlog.
    pub(crate) struct ReleaseSubscriptions {
        reason: &'static str => Text,
        limit: i64 => BigInt,
        webhook_ids: Vec<Uuid> => Array<SqlUuid>,
    } -> () =
        "WITH free AS MATERIALIZED (
             SELECT h.delivery_id FROM external_webhooks AS w CROSS JOIN LATERAL (
                 SELECT q.delivery_id FROM webhook_deliveries AS q
                 WHERE q.held_reason = $1 AND q.held_reason IS NOT NULL
                     AND (q.webhook_id, q.delivery_id) >= (w.webhook_id, '00000000-0000-0000-0000-000000000000')
                     AND q.webhook_id <= w.webhook_id
                 ORDER BY q.webhook_id, q.delivery_id
                 LIMIT (SELECT greatest($2 / cardinality($3), 1)) FOR UPDATE SKIP LOCKED
             ) AS h WHERE w.webhook_id = ANY($3) ORDER BY h.delivery_id LIMIT $2
         )
         UPDATE webhook_deliveries AS d SET held_reason = NULL, queued_until = now()
         FROM free WHERE d.delivery_id = free.delivery_id";
}

statement! {
    /// What is over its age limit would not be sent and is taken last. A row that somebody else is releasing is passed over.
    /// Ranges for the reason that [`ReleaseSubscriptions`] has them.
    pub(crate) struct ReleaseOldest {
        reason: &'static str => Text,
        webhook_ids: Vec<Uuid> => Array<SqlUuid>,
    } -> () =
        "WITH oldest AS MATERIALIZED (
             SELECT coalesce(
                 (SELECT q.delivery_id FROM webhook_deliveries AS q
                  WHERE q.held_reason = $1 AND q.held_reason IS NOT NULL
                      AND (q.webhook_id, q.delivery_id) >=
                          (w.webhook_id, coalesce(onering.uuid_floor(now() - make_interval(secs => w.max_event_age_seconds)),
                                                  '00000000-0000-0000-0000-000000000000'))
                      AND q.webhook_id <= w.webhook_id
                  ORDER BY q.webhook_id, q.delivery_id LIMIT 1 FOR UPDATE SKIP LOCKED),
                 (SELECT q.delivery_id FROM webhook_deliveries AS q
                  WHERE q.held_reason = $1 AND q.held_reason IS NOT NULL
                      AND (q.webhook_id, q.delivery_id) >= (w.webhook_id, '00000000-0000-0000-0000-000000000000')
                      AND q.webhook_id <= w.webhook_id
                  ORDER BY q.webhook_id, q.delivery_id LIMIT 1 FOR UPDATE SKIP LOCKED)) AS delivery_id
             FROM external_webhooks AS w WHERE w.webhook_id = ANY($2)
         )
         UPDATE webhook_deliveries AS d SET held_reason = NULL, queued_until = now()
         FROM oldest WHERE d.delivery_id = oldest.delivery_id";
}

/// Which subscriptions have deliveries held for one of `reasons`.
///
/// Costs an index probe a subscription and reason: ask each second for reasons that few have, and for
/// [`HeldReason::OutsideCohort`] only when the cohort or a canary changed, and now and then beneath that. For
/// [`HeldReason::DeliveryOff`] do not ask; the sweep takes those itself ([`super::sweep`]).
///
/// # Errors
/// [`StoreError::Query`].
pub async fn held_subscriptions(
    connection: &mut AsyncPgConnection,
    reasons: &[HeldReason],
) -> Result<Vec<FoundHeld>, StoreError> {
    let query = HeldSubscriptions { reasons: reasons.iter().map(|reason| reason.as_str()).collect() };
    let rows: Vec<Row> = query.load(connection).await.during("look for held deliveries")?;
    let found = |row: Row| FoundHeld { webhook_id: SubscriptionId::from_uuid(row.1), held: row.try_into() };
    Ok(rows.into_iter().map(found).collect())
}

type Row = (String, Uuid, String, String, bool, bool, bool);

impl TryFrom<Row> for HeldSubscription {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let (reason, webhook_id, owner_id, status, deleted, partner_active, partner_canary) = row;
        Ok(Self {
            reason: word("webhook_deliveries", "held_reason", &reason)?,
            webhook_id: SubscriptionId::from_uuid(webhook_id),
            owner_id: word("external_webhooks", "owner_id", &owner_id)?,
            standing: standing(&status, deleted)?,
            partner_active,
            partner_canary,
        })
    }
}

fn standing(status: &str, deleted: bool) -> Result<Standing, StoreError> {
    match status {
        _ if deleted => Ok(Standing::Deleted),
        "active" => Ok(Standing::Active),
        "paused" => Ok(Standing::Paused),
        "disabled" => Ok(Standing::Disabled),
        _ => Err(StoreError::row("external_webhooks", "status", "not a known subscription status")),
    }
}

/// Makes at most `limit` deliveries of these subscriptions held for `reason` due now, of each its share and the oldest first,
/// and answers how many.
///
/// # Errors
/// [`StoreError::Query`].
pub async fn release_subscriptions(
    connection: &mut AsyncPgConnection,
    reason: HeldReason,
    subscriptions: &[SubscriptionId],
    limit: u32,
) -> Result<usize, StoreError> {
    if subscriptions.is_empty() {
        return Ok(0);
    }
    let query = ReleaseSubscriptions {
        reason: reason.as_str(),
        webhook_ids: subscriptions.iter().map(|id| id.uuid()).collect(),
        limit: i64::from(limit),
    };
    query.execute(connection).await.during("release held deliveries")
}

/// Makes one delivery of each of these subscriptions that is held for `reason` due now, the oldest that may still be sent,
/// and answers how many.
///
/// # Errors
/// [`StoreError::Query`].
pub async fn release_oldest(
    connection: &mut AsyncPgConnection,
    reason: HeldReason,
    subscriptions: &[SubscriptionId],
) -> Result<usize, StoreError> {
    if subscriptions.is_empty() {
        return Ok(0);
    }
    let webhook_ids = subscriptions.iter().map(|id| id.uuid()).collect();
    let query = ReleaseOldest { reason: reason.as_str(), webhook_ids };
    query.execute(connection).await.during("release the oldest held deliveries")
}
