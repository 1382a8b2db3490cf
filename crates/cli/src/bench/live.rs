//! Events that are sent at once, under full load: what a platform with large tables or a backlog is held against.

use anyhow::ensure;
use onering_clock::Clock;

use super::bed::{Bed, Receiver};

/// Events accepted and delivered a second, one subscription, into nginx.
pub(super) async fn end_to_end(bed: &mut Bed<'_>) -> anyhow::Result<f64> {
    let (received, delivered) = (bed.received(Receiver::Nginx).await?, bed.delivered().await?);
    let loaded = bed.load(&bed.to_nginx.event(""), bed.addresses.gateway, 202).await?;
    ensure!(loaded.answered > 0, "no event was accepted");
    bed.wait_until_received(Receiver::Nginx, received + loaded.answered).await?;
    let took = Clock::system().monotonic().saturating_duration_since(loaded.started);
    // What is left to be written down is not to weigh on what is measured next.
    bed.wait_until_delivered(delivered + loaded.answered).await?;
    bed.meter.worked();
    Ok(loaded.answered as f64 / took.as_secs_f64())
}
