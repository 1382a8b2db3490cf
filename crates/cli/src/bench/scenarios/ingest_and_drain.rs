//! Events accepted while nothing is sent, and then how fast what has gathered goes out.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use onering_clock::Clock;

use super::super::bed::{Bed, DRAIN_PATIENCE, Receiver};
use super::super::delivery_switch;
use super::super::goals::rows;
use super::super::report::Report;

pub(super) async fn measure(bed: &mut Bed<'_>, report: &mut Report) -> anyhow::Result<()> {
    let before = bed.received(Receiver::Nginx).await?;
    delivery_switch::turn_and_wait(bed, false).await?;
    let loaded = bed.load(&bed.to_nginx.event(""), bed.addresses.gateway, 202).await?;
    report.add(rows::INGEST, "1/s", loaded.rate());
    let early = bed.received(Receiver::Nginx).await?.saturating_sub(before);
    ensure!(early == 0, "{early} webhooks were sent while delivery was off");

    let clock = Clock::system();
    delivery_switch::turn(bed, true)?;
    let first_seen = async {
        loop {
            let received = bed.received(Receiver::Nginx).await?;
            if received > before {
                return anyhow::Ok((clock.monotonic(), received - before));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let first_seen = tokio::time::timeout(DRAIN_PATIENCE, first_seen).await;
    let (started, ahead) = first_seen.context("nothing was sent when delivery was on again")??;
    bed.wait_until_received(Receiver::Nginx, before + loaded.answered).await?;
    let took = clock.monotonic().saturating_duration_since(started);
    bed.meter.worked();
    let drained = loaded.answered.saturating_sub(ahead);
    ensure!(drained > 0, "the backlog was gone before it could be timed");
    report.add(rows::DRAIN, "1/s", drained as f64 / took.as_secs_f64());
    Ok(())
}
