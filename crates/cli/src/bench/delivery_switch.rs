//! The switch of a benchmark's stack that turns delivery off and on.

use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;

use super::bed::Bed;
use super::meter::{GATEWAY, WORKER};

const SWITCH: &str = "ONERING_WEBHOOKS_DELIVERY_ENABLED";
/// Every process is told within a second.
const SWITCH_PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

/// Turns delivery on or off, as a ConfigMap would.
pub(super) fn turn(bed: &Bed<'_>, on: bool) -> anyhow::Result<()> {
    let path = bed.stack.folder().flags().join(SWITCH);
    // Put in its place whole: a process may look at any moment.
    let new = path.with_extension("new");
    std::fs::write(&new, if on { "1" } else { "0" })
        .and_then(|()| std::fs::rename(&new, &path))
        .with_context(|| format!("{} cannot be written", path.display()))
}

/// The same, and waits until gateway and worker say that they follow.
pub(super) async fn turn_and_wait(bed: &Bed<'_>, on: bool) -> anyhow::Result<()> {
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
