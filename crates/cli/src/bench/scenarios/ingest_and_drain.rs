//! Events accepted while nothing is sent, and then how fast what has gathered goes out.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use onering_clock::Clock;
use serde_json::Value;

use super::super::bed::{Bed, DRAIN_PATIENCE, Receiver};
use super::super::goals::rows;
use super::super::meter::{GATEWAY, WORKER};
use super::super::report::Report;

const SWITCH: &str = "ONERING_WEBHOOKS_DELIVERY_ENABLED";
/// Every process is told within a second.
const SWITCH_PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

pub(super) async fn measure(bed: &mut Bed<'_>, report: &mut Report) -> anyhow::Result<()> {
    let before = bed.received(Receiver::Nginx).await?;
    switch(bed, false).await?;
    let loaded = bed.load(&bed.to_nginx.event(""), bed.addresses.gateway, 202).await?;
    report.add(rows::INGEST, "1/s", loaded.rate());
    let early = bed.received(Receiver::Nginx).await?.saturating_sub(before);
    ensure!(early == 0, "{early} webhooks were sent while delivery was off");

    let clock = Clock::system();
    turn(bed, true)?;
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

/// Turns delivery on or off, as a ConfigMap would.
fn turn(bed: &Bed<'_>, on: bool) -> anyhow::Result<()> {
    let path = bed.stack.folder().flags().join(SWITCH);
    // Put in its place whole: a process may look at any moment.
    let new = path.with_extension("new");
    std::fs::write(&new, if on { "1" } else { "0" })
        .and_then(|()| std::fs::rename(&new, &path))
        .with_context(|| format!("{} cannot be written", path.display()))
}

/// The same, and waits until gateway and worker say that they follow.
async fn switch(bed: &Bed<'_>, on: bool) -> anyhow::Result<()> {
    turn(bed, on)?;
    let operator = bed.operator()?;
    let followed = async {
        loop {
            let flags = operator.get("/v1/admin/flags").await?;
            if all_follow(&flags, on) {
                return anyhow::Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
    };
    let followed = tokio::time::timeout(SWITCH_PATIENCE, followed).await;
    followed.with_context(|| format!("{SWITCH} was not followed in time"))?
}

fn all_follow(flags: &Value, on: bool) -> bool {
    let processes = flags["processes"].as_array().map_or(&[][..], Vec::as_slice);
    let follows =
        |name: &str| processes.iter().any(|process| process["process"] == name && process["switches"][SWITCH] == on);
    follows(GATEWAY) && follows(WORKER)
}
