//! The sweep: finds in Postgres what is due (retries, rows whose lease ran out, events published inside the product's own
//! transaction) and leases it to this worker directly. What is held for reasons that are gone it makes due first
//! ([`crate::release`]).
//!
//! This is what makes Redis a hint: everything the stream forgot is found here. Any number of workers sweep at once; rows
//! locked by one are skipped by the others.

use std::sync::Arc;
use std::time::Duration;

use onering_service_kit::FailureLog;
use onering_store::{StoreError, leases};
use tokio::sync::OwnedSemaphorePermit;

use crate::arrival::arrive;
use crate::context::Context;
use crate::events::DispatcherHandle;
use crate::release::Release;
use crate::work_item::{Item, Source};

/// How often the sweep looks without being woken.
const EVERY: Duration = Duration::from_secs(1);
/// Rows leased by one statement, at most.
const BATCH: usize = 500;

/// What came of one round.
#[derive(Debug, Default)]
struct Round {
    /// Something was due, or it was not looked.
    found: bool,
    /// More may be due than there were places for.
    out_of_room: bool,
}

/// Sweeps until stopped.
pub(crate) async fn run(context: Arc<Context>, dispatcher: DispatcherHandle) {
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut failing = FailureLog::new("sweep");
    let mut release = Release::default();
    let mut last = Round::default();
    loop {
        tokio::select! {
            () = room(&context), if last.out_of_room => {}
            _ = tick.tick() => release.look_again(),
            () = context.wake_release.notified() => release.look_again(),
            () = context.wake_sweep.notified() => {}
            () = context.stop.cancelled() => return,
        }
        if !context.flags.current().delivery {
            // Nothing is asked of Postgres, so nothing says that it was away.
            context.recovery.seen(context.clock.monotonic());
            context.tally.swept_nothing();
            continue;
        }
        last = match sweep(&context, &dispatcher, &mut release).await {
            Ok(round) => {
                failing.worked();
                if !round.found {
                    context.tally.swept_nothing();
                }
                round
            }
            Err(error) => {
                context.metrics.sweep_failures.inc();
                failing.failed(&error);
                Round::default()
            }
        };
    }
}

/// Waits until a good part of the places is free again, so that a backlog is taken in batches.
async fn room(context: &Context) {
    let wanted = u32::try_from(context.max_in_flight.min(BATCH)).unwrap_or(1);
    // An error means that the places were closed, which nobody does; the permit only says that they are there.
    drop(context.sweep_places.acquire_many(wanted).await);
}

/// Releases, then leases batch after batch until nothing is due.
///
/// # Errors
/// [`StoreError`] when Postgres fails; what was leased until then is under way.
async fn sweep(
    context: &Arc<Context>,
    dispatcher: &DispatcherHandle,
    release: &mut Release,
) -> Result<Round, StoreError> {
    let mut found = release.round(context).await? > 0;
    loop {
        context.recovery.seen(context.clock.monotonic());
        if !context.flags.current().delivery || context.stop.is_cancelled() || !context.may_take_over() {
            return Ok(Round { found: true, out_of_room: false });
        }
        let wanted = u32::try_from(context.sweep_places.available_permits().min(BATCH)).unwrap_or(1).max(1);
        let Ok(mut places) = Arc::clone(&context.sweep_places).try_acquire_many_owned(wanted) else {
            return Ok(Round { found: true, out_of_room: true });
        };
        let swept = {
            let mut connection = context.pool.get().await?;
            leases::sweep(&mut connection, &context.instance, context.lease, wanted).await?
        };
        let count = swept.len();
        context.metrics.swept.add(count as u64);
        found |= count > 0;
        arrive(context, dispatcher, items(context, swept, &mut places)).await;
        if count < wanted as usize {
            return Ok(Round { found, out_of_room: false });
        }
    }
}

fn items(context: &Arc<Context>, swept: Vec<leases::Swept>, places: &mut OwnedSemaphorePermit) -> Vec<Item> {
    swept
        .into_iter()
        .filter_map(|row| Some(Item::new(context, row.work, row.body, Source::Sweep, places.split(1)?)))
        .collect()
}
