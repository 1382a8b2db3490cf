use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use onering_delivery::{HeldReason, ReplayPace, ReplayRate, ReplaySkips, ReplayState, ReplayStatuses, Status};
use onering_ids::{DeliveryId, ReplayId, SubscriptionId};
use onering_testkit::eventually;

use super::*;
use crate::deliveries::{self, Repeat as Resend};
use crate::testing::{LEASE, World};
use crate::{StoreError, transaction};

mod originals;
mod plans;
mod turns;

const PATIENCE: Duration = Duration::from_secs(30);

/// The last hour and the next.
fn scope(world: &World, statuses: &[Status]) -> ReplayScope {
    let (now, hour) = (world.clock.now(), TimeDelta::hours(1));
    ReplayScope {
        from: now - hour,
        to: now + hour,
        statuses: ReplayStatuses::try_from(statuses.to_vec()).unwrap(),
        webhook_id: None,
        event_type: None,
        owner_id: None,
    }
}

/// Originals in this status, each of an event of its own.
async fn finals(world: &mut World, owner: &str, event_type: &str, status: Status, count: usize) -> Vec<DeliveryId> {
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(world.publish(owner, event_type).await.remove(0).delivery_id);
    }
    settle_as(world, &ids, status).await;
    ids
}

async fn settle_as(world: &mut World, ids: &[DeliveryId], status: Status) {
    let list: Vec<String> = ids.iter().map(|id| format!("'{}'", id.uuid())).collect();
    let delivered_at = if status == Status::Delivered { "now()" } else { "NULL" };
    world
        .sql(&format!(
            "UPDATE webhook_deliveries SET status = '{status}', settled_at = now(), delivered_at = {delivered_at}, \
             queued_until = NULL, held_reason = NULL, next_attempt_at = NULL WHERE delivery_id IN ({})",
            list.join(",")
        ))
        .await;
}

/// A repeat by hand, which then stands as `status`.
async fn resent(world: &mut World, original: DeliveryId, status: Status) -> DeliveryId {
    let delivery_id = world.clock.fresh_id();
    let resend = Resend { owner: None, original, delivery_id, lease: LEASE, hold: None };
    deliveries::repeat(&mut world.connection, resend).await.unwrap();
    if status.is_terminal() {
        settle_as(world, &[delivery_id], status).await;
    }
    delivery_id
}

async fn job_at(world: &mut World, scope: &ReplayScope, per_second: u32) -> ReplayJob {
    let replay_id = world.clock.fresh_id();
    transaction(&mut world.connection, async |connection| {
        let matched = count(connection, scope).await?.iter().map(|count| count.originals).sum();
        let rate = ReplayRate::try_from(per_second).unwrap();
        let new = NewReplay { replay_id, scope: scope.clone(), rate, matched, created_by: "ada".to_owned() };
        create(connection, &new).await.map(|job| job.expect("few are running"))
    })
    .await
    .map_err(|error: StoreError| error)
    .unwrap()
}

async fn job(world: &mut World, scope: &ReplayScope) -> ReplayJob {
    job_at(world, scope, ReplayRate::MAX).await
}

fn turn(replay_id: ReplayId) -> Turn<'static> {
    Turn { replay_id, worker: "w1", lease: LEASE, hold: None }
}

/// Works the job off, and answers it.
async fn run(world: &mut World, job: &ReplayJob, hold: Option<HeldReason>) -> ReplayJob {
    assert_eq!(lease(&mut world.connection, "w1", LEASE).await.unwrap(), [job.replay_id]);
    eventually(PATIENCE, "the replay is over", async || {
        let turn = Turn { hold, ..turn(job.replay_id) };
        let stepped = step(&mut world.connection, turn).await.unwrap().expect("it is ours");
        if stepped.job.state.is_over() { Ok(stepped.job) } else { Err(format!("{stepped:?}")) }
    })
    .await
}

/// Each original with how often the jobs of this test repeated it.
async fn repeated(world: &mut World) -> Vec<(String, i64)> {
    let all = "SELECT string_agg(original_delivery_id || ' ' || n, ',' ORDER BY original_delivery_id) FROM \
               (SELECT original_delivery_id, count(*) AS n FROM webhook_deliveries \
                WHERE original_delivery_id IS NOT NULL AND settled_at IS NULL GROUP BY 1) AS r";
    let text = world.text(all).await.unwrap_or_default();
    text.split(',')
        .filter_map(|pair| pair.split_once(' '))
        .map(|(id, times)| (id.to_owned(), times.parse().unwrap()))
        .collect()
}

fn once(mut ids: Vec<DeliveryId>) -> Vec<(String, i64)> {
    ids.sort_unstable();
    ids.iter().map(|id| (id.uuid().to_string(), 1)).collect()
}
