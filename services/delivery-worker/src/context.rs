//! What every part of the worker shares.

use std::fmt;
use std::time::Duration;

use onering_clock::Clock;
use onering_delivery::{DatabaseTime, Outlook, RetrySchedule, Work};
use onering_flags::FlagsHandle;
use onering_ids::SubscriptionId;
use onering_queue::{Announcement, Announcer, DeliveryStream};
use onering_service_kit::error_chain;
use onering_store::Pool;
use onering_telemetry::field;
use onering_webhook_client::WebhookClient;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::breakers::Breakers;
use crate::database_clock::DatabaseClock;
use crate::metrics::WorkerMetrics;
use crate::places::Room;
use crate::planted::Planted;
use crate::recovery::Recovery;
use crate::rotation_meter::RotationMeter;
use crate::settling::Settling;
use crate::subscription_cache::SubscriptionCache;
use crate::tally::Tally;

/// The worker's shared parts and settings.
pub(crate) struct Context {
    /// This worker's name, in attempt logs and statistics.
    pub(crate) instance: String,
    /// The worker's own clock.
    pub(crate) clock: Clock,
    /// The database's clock, which alone judges leases.
    pub(crate) database_clock: DatabaseClock,
    /// The switches.
    pub(crate) flags: FlagsHandle,
    /// Connections to Postgres.
    pub(crate) pool: Pool,
    /// The stream, for acknowledging.
    pub(crate) stream: DeliveryStream,
    /// Tells other processes of changes.
    pub(crate) announcer: Announcer,
    /// Subscriptions by id.
    pub(crate) subscriptions: SubscriptionCache,
    /// What rotations show.
    pub(crate) rotations: RotationMeter,
    /// Whose receivers are left alone for now.
    pub(crate) breakers: Breakers,
    /// Sends requests.
    pub(crate) client: WebhookClient,
    /// When to try again.
    pub(crate) schedule: RetrySchedule,
    /// How long a lease lasts.
    pub(crate) lease: Duration,
    /// Attempts under way at once.
    pub(crate) max_in_flight: usize,
    /// Bytes of bodies held at once.
    pub(crate) body_bytes: usize,
    /// Places for items from the stream, from arrival to acknowledgement.
    pub(crate) stream_room: Room,
    /// Places for items from the sweep.
    pub(crate) sweep_room: Room,
    /// Items taken up and done with.
    pub(crate) tally: Tally,
    /// Where results go.
    pub(crate) settling: Settling,
    /// Whether leases may have run out unnoticed.
    pub(crate) recovery: Recovery,
    /// Wakes the sweep: something may be due.
    pub(crate) wake_sweep: Notify,
    /// Wakes the sweep: a reason for holding may be gone.
    pub(crate) wake_release: Notify,
    /// Bugs planted for the fault suite; none in a release build.
    pub(crate) planted: Planted,
    /// Counters and gauges.
    pub(crate) metrics: WorkerMetrics,
    /// Told to stop: takes nothing new.
    pub(crate) stop: CancellationToken,
    /// Out of time: gives up what cannot be written.
    pub(crate) abandon: CancellationToken,
}

impl fmt::Debug for Context {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Context").field("instance", &self.instance).finish_non_exhaustive()
    }
}

impl Context {
    /// Whether deliveries whose lease is over may be taken: not before results that wait for Postgres, here and
    /// elsewhere, had their turn.
    #[must_use]
    pub(crate) fn may_take_over(&self) -> bool {
        !self.settling.is_behind() && self.recovery.is_over(self.clock.monotonic())
    }

    /// Forgets what is remembered of a subscription that has changed, here and in the other processes.
    pub(crate) async fn forget(&self, webhook_id: SubscriptionId) {
        self.subscriptions.forget(webhook_id);
        if let Err(error) = self.announcer.announce(&Announcement::Subscription(webhook_id)).await {
            tracing::warn!(
                { field::ERROR } = error_chain(&error),
                "the change could not be announced; caches expire by themselves"
            );
        }
    }

    /// What a delivery's breaker means for it.
    #[must_use]
    pub(crate) fn outlook(&self, work: &Work, now: DatabaseTime) -> Outlook {
        self.breakers.outlook(work.webhook_id, work.delivery_id, now)
    }

    /// Waits, unless the worker stops first.
    pub(crate) async fn pause(&self, pause: Duration) {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.stop.cancelled() => {}
        }
    }
}
