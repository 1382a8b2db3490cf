//! Where deliveries go: subscriptions with their opened secrets, remembered for seconds.
//!
//! Changes are announced and drop the entry at once; without an announcement it expires after five seconds. What is asked
//! for together is loaded together, in one statement.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use moka::sync::Cache;
use onering_delivery::Standing;
use onering_ids::{OwnerId, SubscriptionId};
use onering_secrets::KeyRing;
use onering_service_kit::error_chain;
use onering_signing::Schemes;
use onering_store::subscriptions::{DeliveryTarget, load_for_delivery};
use onering_store::{Pool, StoreError};
use onering_telemetry::field;
use onering_webhook_client::{Endpoint, WebhookClient};

use crate::lanes::Pace;
use crate::signing_keys::OpenedKeys;

/// How long a subscription is remembered without hearing of a change.
const EXPIRY: Duration = Duration::from_secs(5);
/// Subscriptions remembered at once, at most.
const CAPACITY: u64 = 50_000;

/// One subscription, as an attempt needs it.
#[derive(Debug)]
pub(crate) struct Target {
    /// The partner it belongs to.
    pub(crate) owner_id: OwnerId,
    /// Whether that partner is active.
    pub(crate) partner_active: bool,
    /// Whether that partner is inside every cohort.
    pub(crate) partner_canary: bool,
    /// How the subscription stands.
    pub(crate) standing: Standing,
    /// Where to POST, with the subscription's own headers.
    pub(crate) endpoint: Endpoint,
    /// How requests are signed.
    pub(crate) schemes: Schemes,
    /// What signs them; none when no key of the ring opens them, or the subscription was deleted.
    pub(crate) keys: Option<OpenedKeys>,
    /// Older events are not sent.
    pub(crate) max_event_age: Option<Duration>,
    /// Whether 4xx answers are tried again.
    pub(crate) retry_client_errors: bool,
    timeout: Duration,
    pace: Pace,
}

impl Target {
    /// How long one attempt may take.
    #[must_use]
    pub(crate) const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// How fast it may be sent to.
    #[must_use]
    pub(crate) const fn pace(&self) -> Pace {
        self.pace
    }
}

/// The cache.
#[derive(Debug)]
pub(crate) struct SubscriptionCache {
    known: Cache<SubscriptionId, Arc<Target>>,
    /// How often something was forgotten.
    forgotten: AtomicU64,
    pool: Pool,
    key_ring: KeyRing,
    client: WebhookClient,
}

impl SubscriptionCache {
    /// An empty cache.
    #[must_use]
    pub(crate) fn new(pool: Pool, key_ring: KeyRing, client: WebhookClient) -> Self {
        let known = Cache::builder().max_capacity(CAPACITY).time_to_live(EXPIRY).build();
        Self { known, forgotten: AtomicU64::new(0), pool, key_ring, client }
    }

    /// One subscription, if it is known without asking.
    #[must_use]
    pub(crate) fn known(&self, id: SubscriptionId) -> Option<Arc<Target>> {
        self.known.get(&id)
    }

    /// The subscriptions of these ids. One that is not there or not understood is left out.
    ///
    /// # Errors
    /// [`StoreError`] when Postgres fails.
    pub(crate) async fn of(
        &self,
        ids: impl Iterator<Item = SubscriptionId>,
    ) -> Result<HashMap<SubscriptionId, Arc<Target>>, StoreError> {
        let mut found = HashMap::new();
        let mut missing = HashSet::new();
        for id in ids.collect::<HashSet<_>>() {
            match self.known(id) {
                Some(target) => drop(found.insert(id, target)),
                None => drop(missing.insert(id)),
            }
        }
        if missing.is_empty() {
            return Ok(found);
        }
        let asked: Vec<SubscriptionId> = missing.iter().copied().collect();
        let forgotten = self.forgotten.load(Ordering::Acquire);
        let mut connection = self.pool.get().await?;
        for loaded in load_for_delivery(&mut connection, &asked).await? {
            missing.remove(&loaded.webhook_id);
            match loaded.target {
                Ok(row) => drop(found.insert(loaded.webhook_id, self.remember(loaded.webhook_id, row, forgotten))),
                Err(error) => tracing::error!(
                    { field::SUBSCRIPTION_ID } = %loaded.webhook_id,
                    { field::ERROR } = error_chain(&error),
                    "the subscription's row is not understood; its deliveries wait"
                ),
            }
        }
        for id in missing {
            tracing::error!({ field::SUBSCRIPTION_ID } = %id, "the subscription's row is not there; its deliveries wait");
        }
        Ok(found)
    }

    /// What was read before a change was heard of may be older than the change: it is used this once and not kept.
    fn remember(&self, id: SubscriptionId, row: DeliveryTarget, forgotten: u64) -> Arc<Target> {
        let target = Arc::new(self.target(row));
        if self.forgotten.load(Ordering::Acquire) == forgotten {
            self.known.insert(id, Arc::clone(&target));
        }
        target
    }

    /// Forgets one subscription.
    pub(crate) fn forget(&self, id: SubscriptionId) {
        self.forgotten.fetch_add(1, Ordering::AcqRel);
        self.known.invalidate(&id);
    }

    /// Forgets all of them.
    pub(crate) fn forget_all(&self) {
        self.forgotten.fetch_add(1, Ordering::AcqRel);
        self.known.invalidate_all();
    }

    fn target(&self, row: DeliveryTarget) -> Target {
        let keys = OpenedKeys::open(&self.key_ring, &row).unwrap_or_else(|reason| {
            let webhook_id = row.subscription.webhook_id;
            tracing::error!({ field::SUBSCRIPTION_ID } = %webhook_id, reason, "the signing secret cannot be opened; deliveries wait");
            None
        });
        let subscription = row.subscription;
        let standing = subscription.standing();
        let settings = subscription.settings;
        Target {
            owner_id: subscription.owner_id,
            partner_active: row.partner_active,
            partner_canary: row.partner_canary,
            standing,
            endpoint: self.client.endpoint(settings.url.url(), settings.headers.expose()),
            schemes: settings.signature_schemes,
            keys,
            max_event_age: settings.max_event_age,
            retry_client_errors: settings.retry_client_errors,
            timeout: settings.timeout,
            pace: Pace {
                max_in_flight: NonZeroU32::new(settings.max_in_flight.into()).unwrap_or(NonZeroU32::MIN),
                per_second: settings.rate_limit_per_second.and_then(NonZeroU32::new),
            },
        }
    }
}
