//! Replays: takes the jobs that operators made and works them off, each at its rate.
//!
//! A step makes the next deliveries and notes how far the job is, in one transaction (`onering_store::replays`); the new ones are
//! due at once, and the sweep of any worker takes them. So a worker that dies loses nothing but its lease on the job,
//! which another takes when it is over. Replaying does not wait for delivery: while that is switched off, what is made is
//! held as everything is.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use onering_delivery::{HeldReason, ReplayState};
use onering_ids::ReplayId;
use onering_service_kit::{FailureLog, error_chain};
use onering_store::StoreError;
use onering_store::replays::{self, Stepped, Turn};
use onering_telemetry::field;
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::context::Context;

/// How often it is looked for jobs to take.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long a job is this worker's without a word from it; each step, several a second, begins that anew.
const LEASE: Duration = Duration::from_secs(3);
/// Steps of different jobs that may be under way at once: they may wait for each other, each with a connection of the pool.
const STEPS_AT_ONCE: usize = 2;
/// The wait after a step that failed.
const PAUSE: Duration = Duration::from_secs(1);
/// A step that Postgres refuses so often in a row will not succeed by itself. Postgres being away does not count.
const MOST_REFUSALS: u32 = 10;

/// Takes jobs and works at them until stopped.
pub(crate) async fn run(context: Arc<Context>, stop: CancellationToken) {
    let mut tick = tokio::time::interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = FailureLog::new("looking for replays");
    let mut jobs = JoinSet::new();
    let mut under_way: HashMap<ReplayId, AbortHandle> = HashMap::new();
    let steps = Arc::new(Semaphore::new(STEPS_AT_ONCE));
    loop {
        tokio::select! {
            () = context.stop.cancelled() => break,
            Some(ended) = jobs.join_next() => ended_well(ended),
            _ = tick.tick() => match take(&context).await {
                Ok(taken) => {
                    failing.worked();
                    under_way.retain(|_, job| !job.is_finished());
                    for replay_id in taken {
                        // Its lease may have run out under this worker's own hands, as while Postgres was away.
                        under_way
                            .entry(replay_id)
                            .or_insert_with(|| jobs.spawn(work_off(Arc::clone(&context), Arc::clone(&steps), replay_id)));
                    }
                }
                Err(error) => failing.failed(&error),
            },
        }
    }
    while let Some(ended) = jobs.join_next().await {
        ended_well(ended);
    }
    // The worker stops before its background tasks are told to.
    stop.cancelled().await;
}

/// A job whose worker panicked is taken again when its lease is over.
fn ended_well(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        tracing::error!({ field::ERROR } = error_chain(&error), "work at a replay ended badly");
    }
}

async fn take(context: &Context) -> Result<Vec<ReplayId>, StoreError> {
    let mut connection = context.pool.get().await?;
    replays::lease(&mut connection, &context.instance, LEASE).await
}

/// Steps until the job is over, somebody else's, or the worker stops.
async fn work_off(context: Arc<Context>, steps: Arc<Semaphore>, replay_id: ReplayId) {
    tracing::info!(%replay_id, "took a replay");
    let mut failing = FailureLog::new("replay");
    let mut refusals = 0;
    while !context.stop.is_cancelled() {
        match step(&context, &steps, replay_id).await {
            Ok(None) => return,
            Ok(Some(stepped)) => {
                failing.worked();
                refusals = 0;
                context.metrics.replayed.add(stepped.made.into());
                if stepped.job.state == ReplayState::Done {
                    tracing::info!(%replay_id, { field::COUNT } = stepped.job.replayed, "a replay is done");
                    return;
                }
                context.pause(stepped.job.pace.pause(context.database_clock.now())).await;
            }
            Err(error) => {
                failing.failed(&error);
                refusals += u32::from(!error.is_transient());
                if refusals >= MOST_REFUSALS && give_up(&context, replay_id, &error).await {
                    return;
                }
                context.pause(PAUSE).await;
            }
        }
    }
    if let Err(error) = release(&context, replay_id).await {
        tracing::warn!(%replay_id, { field::ERROR } = error_chain(&error), "a replay could not be given back; its lease runs out");
    }
}

async fn step(context: &Context, steps: &Semaphore, replay_id: ReplayId) -> Result<Option<Stepped>, StoreError> {
    // Only a closed semaphore gives none, and nobody closes this one.
    let _turn = steps.acquire().await.ok();
    let mut connection = context.pool.get().await?;
    let hold = (!context.flags.current().delivery).then_some(HeldReason::DeliveryOff);
    let turn = Turn { replay_id, worker: &context.instance, lease: LEASE, hold };
    replays::step(&mut connection, turn).await
}

/// Ends a job for good; answers whether that could be written.
async fn give_up(context: &Context, replay_id: ReplayId, error: &StoreError) -> bool {
    let failure = error_chain(error);
    tracing::error!(%replay_id, { field::ERROR } = failure, "a replay is given up");
    match context.pool.get().await {
        Ok(mut connection) => replays::fail(&mut connection, &context.instance, replay_id, &failure).await.is_ok(),
        Err(_) => false,
    }
}

async fn release(context: &Context, replay_id: ReplayId) -> Result<(), StoreError> {
    let mut connection = context.pool.get().await?;
    replays::release(&mut connection, &context.instance, replay_id).await
}
