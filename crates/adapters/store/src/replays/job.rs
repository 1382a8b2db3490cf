use chrono::{DateTime, Utc};
use diesel::Queryable;
use diesel::sql_types::{Array, BigInt, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use onering_delivery::{DatabaseTime, ReplayPace, ReplayRate, ReplaySkips, ReplayState, ReplayStatuses, Status};
use onering_ids::{DeliveryId, OwnerId, ReplayId, SubscriptionId};
use onering_webhooks::EventType;
use uuid::Uuid;

use crate::StoreError;
use crate::columns::word;

const TABLE: &str = "replay_jobs";

/// Which originals a replay goes over; `None` for any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayScope {
    /// Made at this instant or later, to the millisecond.
    pub from: DateTime<Utc>,
    /// Made before this instant, to the millisecond.
    pub to: DateTime<Utc>,
    /// In these final statuses.
    pub statuses: ReplayStatuses,
    /// Of this subscription.
    pub webhook_id: Option<SubscriptionId>,
    /// Of this event type.
    pub event_type: Option<EventType>,
    /// Of this partner. A subscription has just one, and its deliveries are found by it.
    pub owner_id: Option<OwnerId>,
}

impl ReplayScope {
    /// Below every original of the range.
    pub(super) fn first(&self) -> DeliveryId {
        floor(self.from)
    }

    /// Above every original of the range.
    pub(super) fn after(&self) -> DeliveryId {
        floor(self.to)
    }

    /// Statuses of its own that an original of this replay can have.
    pub(super) fn own_statuses(&self) -> Vec<&'static str> {
        let wanted = self.statuses.as_slice().iter();
        let every_final = Status::ALL.iter().filter(|status| status.is_terminal());
        let own: Vec<&Status> =
            if self.statuses.own_status_decides() { wanted.collect() } else { every_final.collect() };
        own.into_iter().map(|status| status.as_str()).collect()
    }

    /// The statuses asked for.
    pub(super) fn wanted(&self) -> Vec<&'static str> {
        self.statuses.as_slice().iter().map(|status| status.as_str()).collect()
    }
}

fn floor(instant: DateTime<Utc>) -> DeliveryId {
    DeliveryId::floor(u64::try_from(instant.timestamp_millis()).unwrap_or(0))
}

/// Below every repeat of originals from this one on. Their ids are made by other clocks than those of repeats, so a repeat can
/// have the smaller one; clocks that are a day apart are not provided for.
pub(super) fn repeats_after(first: DeliveryId) -> Uuid {
    const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
    DeliveryId::floor(first.unix_ms().saturating_sub(DAY_MS)).uuid()
}

/// A job to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewReplay {
    /// A fresh id.
    pub replay_id: ReplayId,
    /// What it goes over.
    pub scope: ReplayScope,
    /// How fast.
    pub rate: ReplayRate,
    /// How many originals that are, counted in the same transaction.
    pub matched: u64,
    /// The operator who makes it.
    pub created_by: String,
}

/// A job and how far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayJob {
    /// The job.
    pub replay_id: ReplayId,
    /// Where it stands.
    pub state: ReplayState,
    /// What it goes over.
    pub scope: ReplayScope,
    /// How fast, and up to which instant that is used up.
    pub pace: ReplayPace,
    /// Originals it was to go over, counted when it was made.
    pub matched: u64,
    /// New deliveries made so far.
    pub replayed: u64,
    /// Originals it came to and did not repeat.
    pub skips: ReplaySkips,
    /// The last original it came to, or the bound of its range.
    pub cursor: DeliveryId,
    /// The process that works on it.
    pub worker: Option<String>,
    /// Why it failed.
    pub failure: Option<String>,
    /// The operator who made it.
    pub created_by: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When a worker first took it.
    pub started_at: Option<DateTime<Utc>>,
    /// When it was over.
    pub finished_at: Option<DateTime<Utc>>,
}

impl ReplayJob {
    /// Originals it has yet to come to. An estimate: what became final in the moment it was counted may be on either side.
    #[must_use]
    pub const fn left(&self) -> u64 {
        self.matched.saturating_sub(self.replayed).saturating_sub(self.skips.total())
    }
}

macro_rules! job_columns {
    () => {
        "j.replay_id, j.state, j.range_from, j.range_to, j.statuses, j.webhook_id, j.event_type, j.owner_id, \
         j.rate_per_second, j.matched, j.replayed, j.skipped_subscription_deleted, j.skipped_event_gone, \
         j.skipped_still_waiting, j.skipped_already_delivered, j.cursor_delivery_id, j.rate_used_until, j.worker, \
         j.failure, j.created_by, j.created_at, j.started_at, j.finished_at"
    };
}
pub(super) use job_columns;

pub(super) type JobColumns = (
    SqlUuid,
    Text,
    Timestamptz,
    Timestamptz,
    Array<Text>,
    Nullable<SqlUuid>,
    Nullable<Text>,
    Nullable<Text>,
    Integer,
    BigInt,
    BigInt,
    BigInt,
    BigInt,
    BigInt,
    BigInt,
    SqlUuid,
    Timestamptz,
    Nullable<Text>,
    Nullable<Text>,
    Text,
    Timestamptz,
    Nullable<Timestamptz>,
    Nullable<Timestamptz>,
);

#[derive(Queryable)]
pub(super) struct Row {
    replay_id: Uuid,
    state: String,
    range_from: DateTime<Utc>,
    range_to: DateTime<Utc>,
    statuses: Vec<String>,
    webhook_id: Option<Uuid>,
    event_type: Option<String>,
    owner_id: Option<String>,
    rate_per_second: i32,
    matched: i64,
    replayed: i64,
    skipped_subscription_deleted: i64,
    skipped_event_gone: i64,
    skipped_still_waiting: i64,
    skipped_already_delivered: i64,
    cursor_delivery_id: Uuid,
    rate_used_until: DateTime<Utc>,
    worker: Option<String>,
    failure: Option<String>,
    created_by: String,
    created_at: DateTime<Utc>,
    started_at: Option<DateTime<Utc>>,
    finished_at: Option<DateTime<Utc>>,
}

impl TryFrom<Row> for ReplayJob {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let statuses: Vec<Status> =
            row.statuses.iter().map(|status| word(TABLE, "statuses", status)).collect::<Result<_, _>>()?;
        let rate = ReplayRate::try_from(row.rate_per_second.unsigned_abs());
        let scope = ReplayScope {
            from: row.range_from,
            to: row.range_to,
            statuses: ReplayStatuses::try_from(statuses).map_err(|why| StoreError::row(TABLE, "statuses", why))?,
            webhook_id: row.webhook_id.map(SubscriptionId::from_uuid),
            event_type: row.event_type.map(|event_type| word(TABLE, "event_type", &event_type)).transpose()?,
            owner_id: row.owner_id.map(|owner| word(TABLE, "owner_id", &owner)).transpose()?,
        };
        Ok(Self {
            replay_id: ReplayId::from_uuid(row.replay_id),
            state: word(TABLE, "state", &row.state)?,
            scope,
            pace: ReplayPace {
                rate: rate.map_err(|why| StoreError::row(TABLE, "rate_per_second", why))?,
                used_until: DatabaseTime::from_utc(row.rate_used_until),
            },
            matched: row.matched.unsigned_abs(),
            replayed: row.replayed.unsigned_abs(),
            skips: ReplaySkips {
                subscription_deleted: row.skipped_subscription_deleted.unsigned_abs(),
                event_gone: row.skipped_event_gone.unsigned_abs(),
                still_waiting: row.skipped_still_waiting.unsigned_abs(),
                already_delivered: row.skipped_already_delivered.unsigned_abs(),
            },
            cursor: DeliveryId::from_uuid(row.cursor_delivery_id),
            worker: row.worker,
            failure: row.failure,
            created_by: row.created_by,
            created_at: row.created_at,
            started_at: row.started_at,
            finished_at: row.finished_at,
        })
    }
}
