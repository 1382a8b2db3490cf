//! Making due again what is held for a reason that no longer holds.

use std::time::{Duration, Instant};

use onering_delivery::{Circumstances, HeldReason};
use onering_ids::SubscriptionId;
use onering_rollout::Switches;
use onering_service_kit::FailureLog;
use onering_store::{StoreError, leases};
use onering_telemetry::field;

use crate::context::Context;

/// Held rows released by one statement, at most: paces what comes back after a long hold.
const RELEASED_AT_ONCE: u32 = 2_000;
/// Reasons that few subscriptions are held for: looked at each time.
const FEW: [HeldReason; 3] =
    [HeldReason::SubscriptionPaused, HeldReason::SubscriptionDisabled, HeldReason::PartnerDisabled];
/// With what is outside the cohort, which may be nearly all: looked at when the switches have changed, and now and then.
const ALL: [HeldReason; 4] = [
    HeldReason::SubscriptionPaused,
    HeldReason::SubscriptionDisabled,
    HeldReason::PartnerDisabled,
    HeldReason::OutsideCohort,
];
const COHORT_EVERY: Duration = Duration::from_secs(5);

/// When to look at what.
#[derive(Debug)]
pub(crate) struct Release {
    look: bool,
    /// When those outside the cohort were looked at, and under which switches.
    cohort: Option<(Instant, String)>,
    failing: FailureLog<'static>,
}

impl Default for Release {
    fn default() -> Self {
        Self { look: true, cohort: None, failing: FailureLog::new("looking through held deliveries") }
    }
}

impl Release {
    /// A reason may be gone: the next round looks.
    pub(crate) const fn look_again(&mut self) {
        self.look = true;
    }

    /// One round; answers how many deliveries it made due. Costs one statement when there is no reason to look.
    ///
    /// # Errors
    /// [`StoreError`] when Postgres fails. A row that is not understood fails nothing else: it is logged.
    pub(crate) async fn round(&mut self, context: &Context) -> Result<usize, StoreError> {
        let mut connection = context.pool.get().await?;
        // The switch may have changed while a connection was waited for, and what the lanes held since is not to come back.
        if !context.flags.current().delivery {
            return Ok(0);
        }
        let mut released = leases::release(&mut connection, HeldReason::DeliveryOff, RELEASED_AT_ONCE).await?;
        drop(connection);
        if std::mem::take(&mut self.look) {
            match self.release_subscriptions(context).await {
                Ok(more) => {
                    self.failing.worked();
                    released += more;
                }
                Err(error) => self.failing.failed(&error),
            }
        }
        if released > 0 {
            tracing::info!({ field::COUNT } = released, "released what was held");
        }
        Ok(released)
    }

    async fn release_subscriptions(&mut self, context: &Context) -> Result<usize, StoreError> {
        let applied = context.flags.applied();
        let now = context.clock.monotonic();
        let is_fresh = self.cohort.as_ref().is_some_and(|(looked, fingerprint)| {
            *fingerprint == applied.fingerprint && now.saturating_duration_since(*looked) < COHORT_EVERY
        });
        let reasons: &[HeldReason] = if is_fresh { &FEW } else { &ALL };
        let mut connection = context.pool.get().await?;
        let held = leases::held_subscriptions(&mut connection, reasons).await?;
        let mut released = 0;
        for reason in reasons {
            let free: Vec<SubscriptionId> = held
                .iter()
                .filter(|held| held.reason == *reason && !still_holds(held, &applied.switches))
                .map(|held| held.webhook_id)
                .collect();
            // What is remembered of them may be what held them.
            free.iter().for_each(|webhook_id| context.subscriptions.forget(*webhook_id));
            released += leases::release_subscriptions(&mut connection, *reason, &free, RELEASED_AT_ONCE).await?;
        }
        // While there was something to let out there may be more of it.
        if !is_fresh && released == 0 {
            self.cohort = Some((now, applied.fingerprint.clone()));
        }
        Ok(released)
    }
}

/// Whether what is held for a subscription must wait on, for whatever reason. What a deleted subscription left is let go,
/// to be cancelled.
fn still_holds(held: &leases::HeldSubscription, switches: &Switches) -> bool {
    let circumstances = Circumstances {
        subscription: held.standing,
        partner_active: held.partner_active,
        in_cohort: switches.webhook_cohort.contains(&held.owner_id, held.partner_canary),
        delivery_on: switches.delivery,
    };
    circumstances.hold().is_some()
}
