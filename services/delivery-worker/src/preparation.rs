//! What an item needs before it is sent: its subscription as it stands now, a lease that covers the request, and leave of
//! its subscription's breaker where that is not closed. All for many items at once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use onering_delivery::{Lease, Outlook, Permission};
use onering_ids::{DeliveryId, SubscriptionId};
use onering_service_kit::FailureLog;
use onering_store::StoreError;
use onering_store::leases::{self, Renewal};

use crate::breakers::Asking;
use crate::context::Context;
use crate::settling::statements;
use crate::subscription_cache::Target;
use crate::work_item::Ready;

/// Pause before something that failed is tried again.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// What became of a batch.
#[derive(Debug, Default)]
pub(crate) struct Prepared {
    /// These may be sent.
    pub(crate) ready: Vec<Ready>,
    /// The row had changed hands, or was settled: these are somebody else's.
    pub(crate) lost: Vec<Ready>,
    /// Their subscription's row is not understood, or not there.
    pub(crate) spoilt: Vec<Ready>,
    /// Their subscription's breaker has them wait.
    pub(crate) broken: Vec<Ready>,
    /// The worker stopped before Postgres answered: still this worker's, and not to be sent.
    pub(crate) unprepared: Vec<Ready>,
}

/// Prepares a batch; while Postgres is away it keeps trying until the worker stops.
pub(crate) async fn prepare(context: &Context, batch: Vec<Ready>) -> Prepared {
    let subscriptions: Vec<SubscriptionId> = batch.iter().map(|ready| ready.item.work.webhook_id).collect();
    let mut failing = FailureLog::new("reading subscriptions");
    let targets = loop {
        match context.subscriptions.of(subscriptions.iter().copied()).await {
            Ok(targets) => break targets,
            Err(error) => failing.failed(&error),
        }
        if !may_try_again(context).await {
            return Prepared { unprepared: batch, ..Prepared::default() };
        }
    };
    failing.worked();
    let (batch, spoilt) = retarget(batch, &targets);
    let now = context.database_clock.now();
    let (covered, uncovered): (Vec<_>, Vec<_>) = batch.into_iter().partition(|ready| ready.is_covered(now));
    let mut prepared = Prepared { ready: covered, spoilt, ..Prepared::default() };
    // A delivery can be here twice (its entry was handed out again, or its row was swept while the entry waited), and a
    // statement that renews the one must not answer for the other: it has lost by then.
    for statement in statements(uncovered, |ready| Some(ready.item.work.delivery_id)) {
        let Prepared { ready, lost, unprepared, .. } = renew(context, statement).await;
        prepared.ready.extend(ready);
        prepared.lost.extend(lost);
        prepared.unprepared.extend(unprepared);
    }
    (prepared.ready, prepared.broken) = ask(context, std::mem::take(&mut prepared.ready)).await;
    prepared
}

/// Asks the breakers for those that have to; answers who may be sent, and who has to wait.
async fn ask(context: &Context, batch: Vec<Ready>) -> (Vec<Ready>, Vec<Ready>) {
    let now = context.database_clock.now();
    let (asking, mut clear): (Vec<_>, Vec<_>) =
        batch.into_iter().partition(|ready| context.outlook(&ready.item.work, now) != Outlook::Clear);
    let asks: Vec<Asking> = asking
        .iter()
        .map(|ready| Asking {
            webhook_id: ready.item.work.webhook_id,
            delivery_id: ready.item.work.delivery_id,
            timeout: ready.target.timeout(),
        })
        .collect();
    let mut waiting = Vec::new();
    for (ready, permission) in asking.into_iter().zip(context.breakers.ask(context, &asks).await) {
        match permission {
            Permission::Pass | Permission::Probe => clear.push(ready),
            Permission::Wait(_) => waiting.push(ready),
        }
    }
    (clear, waiting)
}

fn retarget(batch: Vec<Ready>, targets: &HashMap<SubscriptionId, Arc<Target>>) -> (Vec<Ready>, Vec<Ready>) {
    let (mut known, mut spoilt) = (Vec::with_capacity(batch.len()), Vec::new());
    for mut ready in batch {
        match targets.get(&ready.item.work.webhook_id) {
            Some(target) => {
                ready.target = Arc::clone(target);
                known.push(ready);
            }
            None => spoilt.push(ready),
        }
    }
    (known, spoilt)
}

async fn renew(context: &Context, batch: Vec<Ready>) -> Prepared {
    if batch.is_empty() {
        return Prepared::default();
    }
    let held: Vec<Renewal> = batch
        .iter()
        .map(|ready| Renewal {
            delivery_id: ready.item.work.delivery_id,
            lease: ready.item.work.lease,
            length: Lease::renewal(context.lease, ready.target.timeout()),
        })
        .collect();
    let mut failing = FailureLog::new("renewing leases");
    let fresh = loop {
        match try_renew(context, &held).await {
            Ok(Some(fresh)) => break fresh,
            Ok(None) => {}
            Err(error) => failing.failed(&error),
        }
        if !may_try_again(context).await {
            return Prepared { unprepared: batch, ..Prepared::default() };
        }
    };
    failing.worked();
    let mut prepared = Prepared::default();
    for mut ready in batch {
        match fresh.get(&ready.item.work.delivery_id) {
            Some(lease) => {
                ready.item.renewed(*lease);
                prepared.ready.push(ready);
            }
            None => prepared.lost.push(ready),
        }
    }
    prepared
}

/// Nothing while leases that are over may not be taken up again.
async fn try_renew(context: &Context, held: &[Renewal]) -> Result<Option<HashMap<DeliveryId, Lease>>, StoreError> {
    let now = context.database_clock.now();
    if held.iter().any(|renewal| renewal.lease.until <= now) && !context.may_take_over() {
        return Ok(None);
    }
    let mut connection = context.pool.get().await?;
    Ok(Some(leases::renew(&mut connection, held, Some(now.plus(Lease::MARGIN))).await?.into_iter().collect()))
}

/// Waits before something is tried again; false when the worker stops.
async fn may_try_again(context: &Context) -> bool {
    context.pause(RETRY_PAUSE).await;
    !context.stop.is_cancelled()
}
