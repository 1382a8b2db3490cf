//! Making due again what is held for a reason that no longer holds.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use onering_delivery::{Breaker, Circumstances, DatabaseTime, HeldReason};
use onering_ids::SubscriptionId;
use onering_rollout::Switches;
use onering_service_kit::{FailureLog, error_chain};
use onering_store::leases::{FoundHeld, HeldSubscription};
use onering_store::{StoreError, leases};
use onering_telemetry::field;

use crate::context::Context;

/// Held rows released by one statement, at most: paces what comes back after a long hold.
const RELEASED_AT_ONCE: u32 = 2_000;
/// Subscriptions whose deliveries one statement releases, at most: each costs it a look into every day there is.
const SUBSCRIPTIONS_AT_ONCE: usize = 256;
/// Reasons that few subscriptions are held for: looked at each time.
const FEW: [HeldReason; 4] = [
    HeldReason::SubscriptionPaused,
    HeldReason::SubscriptionDisabled,
    HeldReason::PartnerDisabled,
    HeldReason::BreakerOpen,
];
/// With what is outside the cohort, which may be nearly all: looked at when the switches have changed, and now and then.
const ALL: [HeldReason; 5] = [
    HeldReason::SubscriptionPaused,
    HeldReason::SubscriptionDisabled,
    HeldReason::PartnerDisabled,
    HeldReason::BreakerOpen,
    HeldReason::OutsideCohort,
];
const COHORT_EVERY: Duration = Duration::from_secs(5);

/// When to look at what.
#[derive(Debug)]
pub(crate) struct Release {
    look: bool,
    /// When those outside the cohort were looked at, and under which switches.
    cohort: Option<(Instant, String)>,
    /// Where among the subscriptions that may go out again the last round ended.
    turn: usize,
    /// Subscriptions whose rows are not understood, told of once.
    spoilt: HashSet<SubscriptionId>,
    failing: FailureLog<'static>,
}

/// What steps released together; none that fails ends another.
#[derive(Debug, Default)]
struct Released {
    deliveries: usize,
    failure: Option<StoreError>,
}

impl Released {
    fn note(&mut self, step: Result<usize, StoreError>) {
        match step {
            Ok(deliveries) => self.deliveries += deliveries,
            Err(error) => drop(self.failure.get_or_insert(error)),
        }
    }
}

impl Default for Release {
    fn default() -> Self {
        let failing = FailureLog::new("looking through held deliveries");
        Self { look: true, cohort: None, turn: 0, spoilt: HashSet::new(), failing }
    }
}

impl Release {
    /// A reason may be gone: the next round looks.
    pub(crate) const fn look_again(&mut self) {
        self.look = true;
    }

    /// One round; answers how many deliveries it made due. Costs nothing when there is no reason to look.
    ///
    /// # Errors
    /// [`StoreError`] when there is no connection. A row that is not understood fails nothing else, nor does a step that
    /// Postgres refuses: they are logged.
    pub(crate) async fn round(&mut self, context: &Context) -> Result<usize, StoreError> {
        if !std::mem::take(&mut self.look) {
            return Ok(0);
        }
        let mut released = Released::default();
        self.release_subscriptions(context, &mut released).await?;
        match &released.failure {
            Some(error) => self.failing.failed(error),
            None => self.failing.worked(),
        }
        if released.deliveries > 0 {
            tracing::info!({ field::COUNT } = released.deliveries, "released what was held");
        }
        Ok(released.deliveries)
    }

    async fn release_subscriptions(&mut self, context: &Context, released: &mut Released) -> Result<(), StoreError> {
        let applied = context.flags.applied();
        let now = context.clock.monotonic();
        let is_fresh = self.cohort.as_ref().is_some_and(|(looked, fingerprint)| {
            *fingerprint == applied.fingerprint && now.saturating_duration_since(*looked) < COHORT_EVERY
        });
        let reasons: &[HeldReason] = if is_fresh { &FEW } else { &ALL };
        let mut connection = context.pool.get().await?;
        let held = match leases::held_subscriptions(&mut connection, reasons).await {
            Ok(found) => self.understood(found),
            Err(error) => {
                released.note(Err(error));
                return Ok(());
            }
        };
        let (before, mut is_all) = (released.deliveries, true);
        let database_now = context.database_clock.now();
        for reason in reasons {
            let to_release = |wanted| {
                let way_out = |held: &HeldSubscription| {
                    way_out(held, &applied.switches, &context.breakers.seen(held.webhook_id), database_now)
                };
                let held = held.iter().filter(|held| held.reason == *reason && way_out(held) == wanted);
                held.map(|held| held.webhook_id).collect::<Vec<SubscriptionId>>()
            };
            let (mut free, probing) = (to_release(WayOut::All), to_release(WayOut::Probe));
            is_all &= free.len() <= SUBSCRIPTIONS_AT_ONCE;
            next_in_turn(&mut free, self.turn);
            released.note(leases::release_oldest(&mut connection, *reason, &probing).await);
            // What is remembered of them may be what held them.
            free.iter().for_each(|webhook_id| context.subscriptions.forget(*webhook_id));
            released.note(leases::release_subscriptions(&mut connection, *reason, &free, RELEASED_AT_ONCE).await);
        }
        self.turn = self.turn.wrapping_add(SUBSCRIPTIONS_AT_ONCE);
        // While there was something to let out there may be more of it.
        if !is_fresh && is_all && released.failure.is_none() && released.deliveries == before {
            self.cohort = Some((now, applied.fingerprint.clone()));
        }
        Ok(())
    }

    /// Those whose rows are understood. The others wait until somebody mends them.
    fn understood(&mut self, found: Vec<FoundHeld>) -> Vec<HeldSubscription> {
        let understood = |FoundHeld { webhook_id, held }| match held {
            Ok(held) => {
                self.spoilt.remove(&webhook_id);
                Some(held)
            }
            Err(error) => {
                if self.spoilt.insert(webhook_id) {
                    tracing::error!(
                        { field::SUBSCRIPTION_ID } = %webhook_id,
                        { field::ERROR } = error_chain(&error),
                        "the subscription's row is not understood; what is held of it stays held"
                    );
                }
                None
            }
        };
        found.into_iter().filter_map(understood).collect()
    }
}

/// Leaves those whose turn it is: round after round, all of them have one.
fn next_in_turn(subscriptions: &mut Vec<SubscriptionId>, turn: usize) {
    if subscriptions.len() > SUBSCRIPTIONS_AT_ONCE {
        let first = turn % subscriptions.len();
        subscriptions.rotate_left(first);
        subscriptions.truncate(SUBSCRIPTIONS_AT_ONCE);
    }
}

/// What of a subscription's held deliveries comes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WayOut {
    /// They wait on, for whatever reason.
    None,
    /// One, to probe.
    Probe,
    /// All, at their pace.
    All,
}

/// What comes out of what is held. What a deleted subscription left is let go, to be cancelled.
///
/// What was held for another reason does not wait for the breaker here: it comes out, is held for the breaker, and lists say
/// so.
fn way_out(held: &HeldSubscription, switches: &Switches, breaker: &Breaker, now: DatabaseTime) -> WayOut {
    let circumstances = Circumstances {
        subscription: held.standing,
        partner_active: held.partner_active,
        in_cohort: switches.webhook_cohort.contains(&held.owner_id, held.partner_canary),
        delivery_on: switches.delivery,
        breaker_open: held.reason == HeldReason::BreakerOpen && !breaker.is_closed(),
    };
    match circumstances.hold() {
        None => WayOut::All,
        Some(HeldReason::BreakerOpen) if breaker.wants_probe(now) => WayOut::Probe,
        Some(_) => WayOut::None,
    }
}

#[cfg(test)]
mod tests {
    use onering_delivery::Standing;

    use super::*;

    #[test]
    fn any_number_of_subscriptions_take_turns() {
        let all: Vec<SubscriptionId> = (0..1_000).map(SubscriptionId::floor).collect();
        let mut seen = HashSet::new();
        for round in 0..4 {
            let mut some = all.clone();
            next_in_turn(&mut some, round * SUBSCRIPTIONS_AT_ONCE);
            assert_eq!(some.len(), SUBSCRIPTIONS_AT_ONCE);
            seen.extend(some);
        }
        assert_eq!(seen.len(), all.len());
        let mut few = all[..3].to_vec();
        next_in_turn(&mut few, 2);
        assert_eq!(few, all[..3]);
    }

    const NOW: DatabaseTime = DatabaseTime::from_millis(1_763_769_600_000);

    fn on() -> Switches {
        Switches { delivery: true, ..Switches::default() }
    }

    fn held(reason: HeldReason, standing: Standing) -> HeldSubscription {
        HeldSubscription {
            reason,
            webhook_id: SubscriptionId::floor(1),
            owner_id: "acme".parse().unwrap(),
            standing,
            partner_active: true,
            partner_canary: true,
        }
    }

    #[test]
    fn a_breaker_lets_out_all_or_one_or_none() {
        let waiting = held(HeldReason::BreakerOpen, Standing::Active);
        let [second, minute] = [1, 60].map(Duration::from_secs);
        let open = |until| Breaker::Open { opens: 1, until };
        let half_open = |until| Breaker::HalfOpen { opens: 1, probe: onering_ids::DeliveryId::floor(1), until };
        for (breaker, expected) in [
            (Breaker::HEALTHY, WayOut::All),
            (Breaker::Closed { failures: 4 }, WayOut::All),
            (open(NOW.plus(second)), WayOut::None),
            (open(NOW), WayOut::Probe),
            (half_open(NOW.plus(minute)), WayOut::None),
            (half_open(NOW), WayOut::Probe),
        ] {
            assert_eq!(way_out(&waiting, &on(), &breaker, NOW), expected, "{breaker:?}");
        }
    }

    #[test]
    fn whatever_else_holds_it_no_probe_comes_out() {
        let open = Breaker::Open { opens: 1, until: NOW };
        for standing in [Standing::Paused, Standing::Disabled] {
            assert_eq!(way_out(&held(HeldReason::BreakerOpen, standing), &on(), &open, NOW), WayOut::None);
        }
        assert_eq!(way_out(&held(HeldReason::BreakerOpen, Standing::Deleted), &on(), &open, NOW), WayOut::All);
        let resumed = held(HeldReason::SubscriptionPaused, Standing::Active);
        assert_eq!(way_out(&resumed, &on(), &open, NOW), WayOut::All, "to be held for the breaker, as lists then say");
    }
}
