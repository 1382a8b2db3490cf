//! What this process has applied, written down for operators to see.

use std::time::Duration;

use onering_flags::{Applied, FlagsHandle};
use onering_settings::Process;
use onering_store::flags::{Receipt, report_receipt};
use onering_store::{Pool, StoreError};
use tokio::time::timeout;

use crate::periodic::FailureLog;
use crate::tasks::Tasks;

/// How often a receipt is written where nothing changes: the sign of life behind it.
const SIGN_OF_LIFE: Duration = Duration::from_secs(10);
/// The wait after a receipt could not be written.
const RETRY: Duration = Duration::from_secs(1);

/// Writes a receipt at every change of the switches, and every ten seconds.
pub(crate) fn write(tasks: &Tasks, pool: Pool, flags: FlagsHandle, process: Process) {
    tasks.spawn("flag receipts", move |stop| {
        let (pool, process) = (pool.clone(), process.clone());
        let mut changes = flags.subscribe();
        let mut log = FailureLog::new("flag receipts");
        async move {
            loop {
                let applied = changes.borrow_and_update().clone();
                let Some(outcome) = stop.run_until_cancelled(report(&pool, &process, &applied)).await else { return };
                log.note(&outcome);
                let wait = if outcome.is_ok() { SIGN_OF_LIFE } else { RETRY };
                let change = timeout(wait, changes.changed());
                if stop.run_until_cancelled(change).await.is_none() {
                    return;
                }
            }
        }
    });
}

async fn report(pool: &Pool, process: &Process, applied: &Applied) -> Result<(), StoreError> {
    let receipt = Receipt {
        process: process.instance.clone(),
        service: process.service.name().to_owned(),
        generation: applied.generation,
        fingerprint: applied.fingerprint.clone(),
        // Switches are booleans, numbers and a text: they always serialise.
        switches: serde_json::to_value(&*applied.switches).unwrap_or_default(),
        changed_at: applied.changed_at,
        applied_at: applied.applied_at,
    };
    report_receipt(&mut *pool.get().await?, receipt).await
}
