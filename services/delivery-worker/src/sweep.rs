//! The sweep: finds in Postgres what is due (retries, rows whose lease ran out, events published inside the product's own
//! transaction) and leases it to this worker directly. It also releases what is held for reasons that are gone.
//!
//! This is what makes Redis a hint: everything the stream forgot is found here. Any number of workers sweep at once; rows
//! locked by one are skipped by the others.

use std::sync::Arc;
use std::time::Duration;

use onering_service_kit::error_chain;
use onering_delivery::{Circumstances, HeldReason};
use onering_ids::SubscriptionId;
use onering_rollout::Switches;
use onering_store::{StoreError, leases};
use tokio::sync::OwnedSemaphorePermit;

use crate::context::Context;
use crate::dispatcher::DispatcherHandle;
use crate::intake;
use crate::work_item::Item;

/// How often the sweep looks without being woken.
const EVERY: Duration = Duration::from_secs(1);
/// Rows leased by one statement, at most.
const BATCH: usize = 500;
/// Held rows released by one statement, at most: paces what comes back after a long hold.
const RELEASED_AT_ONCE: u32 = 2_000;
/// Reasons that belong to a subscription or its owner.
const RELEASABLE: [HeldReason; 4] = [
    HeldReason::SubscriptionPaused,
    HeldReason::SubscriptionDisabled,
    HeldReason::PartnerDisabled,
    HeldReason::OutsideCohort,
];

/// Sweeps until stopped.
pub async fn run(context: Arc<Context>, dispatcher: DispatcherHandle) {
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            () = context.wake_sweep.notified() => {}
            () = context.stop.cancelled() => return,
        }
        if let Err(error) = sweep(&context, &dispatcher).await {
            context.metrics.sweep_failures.inc();
            tracing::warn!(error = %error_chain(&error), "the sweep failed; it is tried again");
        }
    }
}

/// Releases, then leases batch after batch until nothing is due. Answers how many deliveries it took on.
///
/// # Errors
/// [`StoreError`] when Postgres fails; what was leased until then is under way.
pub async fn sweep(context: &Arc<Context>, dispatcher: &DispatcherHandle) -> Result<usize, StoreError> {
    let mut taken = 0;
    if context.flags.current().delivery {
        release(context).await?;
    }
    while context.flags.current().delivery && !context.stop.is_cancelled() {
        // Half of the places at most: live traffic from the stream always finds room beside a backlog.
        let room = (context.places.available_permits() / 2).min(BATCH);
        let Ok(wanted) = u32::try_from(room.max(1)) else { break };
        let Ok(mut places) = Arc::clone(&context.places).try_acquire_many_owned(wanted) else { break };
        let swept = {
            let mut connection = context.pool.get().await?;
            leases::sweep(&mut connection, &context.instance, context.lease, wanted).await?
        };
        let count = swept.len();
        context.metrics.swept.add(count as u64);
        if count > 0 {
            intake::arrive(context, dispatcher, items(context, swept, &mut places)).await;
        }
        taken += count;
        if count < wanted as usize {
            break;
        }
    }
    Ok(taken)
}

fn items(context: &Arc<Context>, swept: Vec<leases::Swept>, places: &mut OwnedSemaphorePermit) -> Vec<Item> {
    swept
        .into_iter()
        .filter_map(|row| Some(Item::new(context, row.work, row.body, None, places.split(1)?)))
        .collect()
}

/// Makes due again what is held for a reason that no longer holds.
async fn release(context: &Context) -> Result<(), StoreError> {
    let switches = context.flags.current();
    let mut connection = context.pool.get().await?;
    let mut released = leases::release(&mut connection, HeldReason::DeliveryOff, RELEASED_AT_ONCE).await?;
    let held = leases::held_subscriptions(&mut connection, &RELEASABLE).await?;
    for reason in RELEASABLE {
        let free: Vec<SubscriptionId> = held
            .iter()
            .filter(|held| held.reason == reason && !still_holds(held, &switches))
            .map(|held| held.webhook_id)
            .collect();
        released += leases::release_subscriptions(&mut connection, reason, &free, RELEASED_AT_ONCE).await?;
    }
    if released > 0 {
        tracing::info!(deliveries = released, "released what was held");
    }
    Ok(())
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
