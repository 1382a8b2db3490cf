//! Renewing leases, many in one statement, for items whose request could outlast theirs.

use std::collections::HashMap;
use std::time::Duration;

use onering_service_kit::error_chain;
use onering_delivery::Lease;
use onering_ids::DeliveryId;
use onering_store::StoreError;
use onering_store::leases::{self, Renewal};

use crate::context::Context;
use crate::work_item::Ready;

/// Pause before a renewal that failed is tried again.
const RETRY_PAUSE: Duration = Duration::from_millis(500);

/// What became of the leases.
#[derive(Debug, Default)]
pub struct Renewed {
    /// Renewed: these may be sent.
    pub kept: Vec<Ready>,
    /// The row had changed hands, or was settled: these are somebody else's.
    pub lost: Vec<Ready>,
}

/// Renews the leases of a batch; while Postgres is away it keeps trying until the worker stops.
pub async fn renew(context: &Context, batch: Vec<Ready>) -> Renewed {
    let mut renewed = Renewed::default();
    let held: Vec<Renewal> = batch
        .iter()
        .map(|ready| Renewal {
            delivery_id: ready.item.work.delivery_id,
            lease: ready.item.work.lease,
            length: Lease::renewal(context.lease, ready.target.timeout()),
        })
        .collect();
    let fresh = loop {
        match try_renew(context, &held).await {
            Ok(fresh) => break fresh,
            Err(error) => {
                tracing::warn!(error = %error_chain(&error), leases = held.len(), "leases could not be renewed; trying again");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(RETRY_PAUSE) => {}
            // Unrenewed, they are nobody's to send; the sweep of another worker finds them.
            () = context.stop.cancelled() => return Renewed { kept: Vec::new(), lost: batch },
        }
    };
    for mut ready in batch {
        match fresh.get(&ready.item.work.delivery_id) {
            Some(lease) => {
                ready.item.work.lease = *lease;
                renewed.kept.push(ready);
            }
            None => renewed.lost.push(ready),
        }
    }
    renewed
}

async fn try_renew(context: &Context, held: &[Renewal]) -> Result<HashMap<DeliveryId, Lease>, StoreError> {
    let mut connection = context.pool.get().await?;
    Ok(leases::renew(&mut connection, held).await?.into_iter().collect())
}
