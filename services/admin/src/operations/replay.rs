//! Starting, counting and cancelling replays.

use onering_delivery::ReplayRate;
use onering_ids::ReplayId;
use onering_problem::Problem;
use onering_store::replays::{self, MOST_RUNNING, NewReplay, ReplayCount, ReplayJob, ReplayScope};
use onering_store::{AsyncPgConnection, partners, subscriptions};
use onering_webhook_operations::{AuditStamp, AuditedChange, OperationError};
use serde_json::{Value, to_value};

use crate::routes::replays::ReplayView;
use crate::state::AdminState;

/// Counts what a replay made now would go over.
pub(crate) async fn count_replay(state: &AdminState, scope: ReplayScope) -> Result<Vec<ReplayCount>, OperationError> {
    let mut connection = state.connection().await?;
    let scope = known(&mut connection, scope).await?;
    Ok(replays::count(&mut connection, &scope).await?)
}

/// Makes a replay, for a worker to take.
pub(crate) async fn start_replay(
    state: &AdminState,
    stamp: &AuditStamp,
    scope: ReplayScope,
    rate: ReplayRate,
) -> Result<ReplayJob, OperationError> {
    let replay_id: ReplayId = state.clock.fresh_id();
    state
        .change(stamp, async |connection| {
            let scope = known(connection, scope).await?;
            let matched = replays::count(connection, &scope).await?.iter().map(|count| count.originals).sum();
            let new = NewReplay { replay_id, scope, rate, matched, created_by: stamp.actor.clone() };
            let job = replays::create(connection, &new).await?.ok_or_else(too_many)?;
            let after = to_value(ReplayView::from(job.clone()))?;
            Ok((job, audited("replay.create", replay_id, None, after)))
        })
        .await
}

/// Stops a running replay.
pub(crate) async fn cancel_replay(
    state: &AdminState,
    stamp: &AuditStamp,
    replay_id: ReplayId,
) -> Result<ReplayJob, OperationError> {
    state
        .change(stamp, async |connection| {
            let changed = replays::cancel(connection, replay_id).await?;
            let changed = changed.ok_or_else(|| OperationError::not_found("replay"))?;
            if changed.before.state.is_over() {
                return Err(OperationError::conflict(format!("The replay is {} already.", changed.before.state)));
            }
            let before = to_value(ReplayView::from(changed.before))?;
            let after = to_value(ReplayView::from(changed.after.clone()))?;
            Ok((changed.after, audited("replay.cancel", replay_id, Some(before), after)))
        })
        .await
}

/// The scope, when what it names exists; a subscription's owner is filled in, since its deliveries are found by it.
async fn known(connection: &mut AsyncPgConnection, mut scope: ReplayScope) -> Result<ReplayScope, OperationError> {
    if let Some(owner_id) = &scope.owner_id
        && partners::get(connection, owner_id).await?.is_none()
    {
        return Err(Problem::invalid("owner_id", "There is no such partner.").into());
    }
    if let Some(webhook_id) = scope.webhook_id {
        let subscription = subscriptions::get_any_owner(connection, webhook_id).await?;
        let subscription =
            subscription.ok_or_else(|| Problem::invalid("webhook_id", "There is no such subscription."))?;
        let owner_id = scope.owner_id.get_or_insert_with(|| subscription.owner_id.clone());
        if *owner_id != subscription.owner_id {
            return Err(Problem::invalid("owner_id", "The subscription is another partner's.").into());
        }
    }
    Ok(scope)
}

fn too_many() -> OperationError {
    OperationError::conflict(format!("{MOST_RUNNING} replays are running; wait for one of them or cancel it."))
}

fn audited(action: &'static str, replay_id: ReplayId, before: Option<Value>, after: Value) -> AuditedChange {
    AuditedChange { action, target_type: "replay", target_id: replay_id.to_string(), before, after: Some(after) }
}
