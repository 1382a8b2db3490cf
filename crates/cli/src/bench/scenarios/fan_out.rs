//! One event to ten subscriptions of one owner.

use std::time::Duration;

use onering_clock::Clock;

use super::super::bed::{Bed, Receiver};
use super::super::closed_loop::{self, Load};
use super::super::goals::rows;
use super::super::report::Report;

/// Subscriptions that each event goes to.
pub(in super::super) const SUBSCRIPTIONS: u64 = 10;

/// Events come for a quarter of the time only: ten times as much has to go out.
const SHARE: u32 = 4;

pub(super) async fn measure(bed: &mut Bed<'_>, report: &mut Report) -> anyhow::Result<()> {
    let before = bed.received(Receiver::Nginx).await?;
    let duration = (bed.duration / SHARE).max(Duration::from_millis(250));
    let event = bed.fanned_out.event("");
    let load = Load::same(bed.addresses.gateway, &event, bed.connections, duration, 202);
    let loaded = closed_loop::send(load).await?;
    let deliveries = loaded.answered * SUBSCRIPTIONS;
    bed.wait_until_received(Receiver::Nginx, before + deliveries).await?;
    let took = Clock::system().monotonic().saturating_duration_since(loaded.started);
    bed.meter.worked();
    report.add(rows::FAN_OUT, "1/s", deliveries as f64 / took.as_secs_f64());
    Ok(())
}
