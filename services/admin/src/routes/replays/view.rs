use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use onering_delivery::{ReplayState, ReplayStatuses};
use onering_ids::{OwnerId, ReplayId, SubscriptionId};
use onering_store::replays::{ReplayCount, ReplayJob};
use onering_webhook_operations::Timestamp;
use onering_webhooks::EventType;
use serde::Serialize;
use utoipa::ToSchema;

/// Subscriptions that a count names; the rest are in its totals.
const MOST_NAMED: usize = 200;

/// A job that sends deliveries again.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Replay)]
pub(crate) struct ReplayView {
    /// Which one.
    #[schema(value_type = String, example = "rpl_01h455vb4pex5vsknk084sn02q")]
    id: ReplayId,
    /// `RUNNING`, `DONE`, `CANCELLED` or `FAILED`.
    #[schema(value_type = String, example = "RUNNING")]
    state: ReplayState,
    /// Originals made at this instant or later.
    from: Timestamp,
    /// Originals made before this instant.
    to: Timestamp,
    /// In these final statuses.
    #[schema(value_type = Vec<String>, example = json!(["DEAD", "REPLAY_EXPIRED"]))]
    status: ReplayStatuses,
    /// Only of this subscription.
    #[schema(value_type = Option<String>)]
    webhook_id: Option<SubscriptionId>,
    /// Only of this event type.
    #[schema(value_type = Option<String>)]
    event_type: Option<EventType>,
    /// Only of this partner.
    #[schema(value_type = Option<String>)]
    owner_id: Option<OwnerId>,
    /// Deliveries a second, at most.
    rate_per_second: u32,
    /// Originals it was to go over, counted when it was made.
    matched: u64,
    /// New deliveries made so far; their `original_delivery_id` names the original.
    replayed: u64,
    /// Originals it came to and did not repeat.
    skipped: SkippedView,
    /// Originals it has yet to come to, as far as can be told.
    left: u64,
    /// How long those take at the rate; null when it is over.
    seconds_left: Option<u64>,
    /// How far it is: the time of the last original it came to.
    cursor: Timestamp,
    /// The worker that has it.
    worker: Option<String>,
    /// Why it failed.
    error: Option<String>,
    /// Who made it.
    created_by: String,
    /// When it was made. What became final later is not replayed.
    created_at: Timestamp,
    /// When a worker first took it.
    started_at: Option<Timestamp>,
    /// When it was over.
    finished_at: Option<Timestamp>,
}

/// Originals a replay did not repeat, by the reason.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReplaySkipped)]
pub(crate) struct SkippedView {
    /// Their subscription was deleted.
    subscription_deleted: u64,
    /// Their event is not stored any more.
    event_gone: u64,
    /// A repeat of them waits already.
    still_waiting: u64,
    /// A repeat of them was delivered since the replay was made.
    already_delivered: u64,
}

impl From<ReplayJob> for ReplayView {
    fn from(job: ReplayJob) -> Self {
        let left = job.left();
        let rate = job.pace.rate.per_second();
        Self {
            id: job.replay_id,
            state: job.state,
            from: job.scope.from.into(),
            to: job.scope.to.into(),
            status: job.scope.statuses,
            webhook_id: job.scope.webhook_id,
            event_type: job.scope.event_type,
            owner_id: job.scope.owner_id,
            rate_per_second: rate,
            matched: job.matched,
            replayed: job.replayed,
            skipped: SkippedView {
                subscription_deleted: job.skips.subscription_deleted,
                event_gone: job.skips.event_gone,
                still_waiting: job.skips.still_waiting,
                already_delivered: job.skips.already_delivered,
            },
            left,
            seconds_left: (!job.state.is_over()).then(|| left.div_ceil(rate.into())),
            cursor: instant(job.cursor.unix_ms()).into(),
            worker: job.worker,
            error: job.failure,
            created_by: job.created_by,
            created_at: job.created_at.into(),
            started_at: job.started_at.map(Timestamp::from),
            finished_at: job.finished_at.map(Timestamp::from),
        }
    }
}

fn instant(unix_ms: u64) -> DateTime<Utc> {
    i64::try_from(unix_ms).ok().and_then(DateTime::from_timestamp_millis).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

/// What a replay would go over.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReplayCount)]
pub(crate) struct ReplayCountView {
    /// Always `true`: nothing was written.
    dry_run: bool,
    /// Originals in all.
    matched: u64,
    /// By the status they count as.
    #[schema(value_type = Object, example = json!({"DEAD": 41, "REPLAY_EXPIRED": 1}))]
    by_status: BTreeMap<&'static str, u64>,
    /// Subscriptions that they are of.
    subscriptions: usize,
    /// By subscription, the most first; at most 200 are named.
    by_subscription: Vec<SubscriptionCountView>,
}

/// What a replay would go over of one subscription.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReplaySubscriptionCount)]
pub(crate) struct SubscriptionCountView {
    /// The subscription.
    #[schema(value_type = String)]
    webhook_id: SubscriptionId,
    /// Its originals.
    matched: u64,
}

impl ReplayCountView {
    /// Adds the counts up.
    pub(crate) fn of(counts: &[ReplayCount]) -> Self {
        let (mut by_status, mut by_subscription) = (BTreeMap::new(), BTreeMap::new());
        for count in counts {
            *by_status.entry(count.status.as_str()).or_default() += count.originals;
            *by_subscription.entry(count.webhook_id).or_default() += count.originals;
        }
        let subscriptions = by_subscription.len();
        let mut named: Vec<SubscriptionCountView> = by_subscription
            .into_iter()
            .map(|(webhook_id, matched)| SubscriptionCountView { webhook_id, matched })
            .collect();
        named.sort_by_key(|count| std::cmp::Reverse(count.matched));
        named.truncate(MOST_NAMED);
        Self { dry_run: true, matched: by_status.values().sum(), by_status, subscriptions, by_subscription: named }
    }
}
