//! How long each service takes from its start until it is ready, and what it holds then: a second replica of each, started
//! beside the stack's.

use std::time::Duration;

use anyhow::Context as _;

use super::super::bed::Bed;
use super::super::report::Report;
use super::super::resources::resident_mb;
use crate::stack::SpareService;

const SERVICES: [&str; 4] = ["api-gateway", "delivery-worker", "admin", "monitoring"];
/// How often it is asked whether it is ready: a fraction of what is measured.
const POLL: Duration = Duration::from_millis(2);
/// What has to be done once after the start is done by then.
const REST: Duration = Duration::from_secs(2);

pub(super) async fn measure(bed: &mut Bed<'_>, report: &mut Report) -> anyhow::Result<()> {
    for service in SERVICES {
        let name = format!("{service}-spare");
        let mut spare = SpareService::spawn(bed.stack.folder(), &format!("{service}-1"), &name, &[])?;
        let ready = spare.wait_until_ready(POLL).await?;
        report.add(format!("start to ready: {service}"), "ms", ready.as_secs_f64() * 1e3);
        tokio::time::sleep(REST).await;
        let resident = spare.pid().and_then(resident_mb).context("its memory cannot be read")?;
        report.add(format!("resident memory idle: {service}"), "MB", resident);
        spare.stop().await?;
    }
    bed.meter.worked();
    Ok(())
}
