//! The runtime overrides of the switches: read before anything is open, and followed from then on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use onering_flags::FlagsHandle;
use onering_queue::Announcement;
use onering_store::flags::{Overrides, overrides};
use onering_store::{Pool, StoreError};
use onering_telemetry::field;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::announcements::AnnouncementBus;
use crate::error::{KitError, error_chain};
use crate::periodic::FailureLog;
use crate::tasks::Tasks;

/// The wait before Postgres is asked again at the start: short at first, bounded.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Whether the overrides can be read at the moment.
pub(crate) type Readable = Arc<AtomicBool>;

/// Reads the overrides for the first time, and so finds out whether Postgres is there. One that is away is waited for:
/// a crash of this process would not bring it back, and would bury this log line under restarts.
pub(crate) async fn wait_for_overrides(pool: &Pool, stop: &CancellationToken) -> Result<Overrides, KitError> {
    let mut pause = FIRST_PAUSE;
    loop {
        let Some(read) = stop.run_until_cancelled(read(pool)).await else { return Err(KitError::Stopped) };
        match read {
            Ok(overrides) => return Ok(overrides),
            Err(error) => tracing::warn!(
                { field::ERROR } = error_chain(&error),
                retry_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
                "Postgres does not answer; waiting for it. Is it up, and migrated with `onering migrate`?"
            ),
        }
        if stop.run_until_cancelled(sleep(pause)).await.is_none() {
            return Err(KitError::Stopped);
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Hands the overrides to the switches whenever they change: at once when a change is announced, and by reading them every
/// `poll`.
pub(crate) fn follow(
    tasks: &Tasks,
    pool: Pool,
    flags: FlagsHandle,
    bus: &AnnouncementBus,
    readable: Readable,
    poll: Duration,
) {
    let bus = bus.clone();
    tasks.spawn("flag overrides", move |stop| {
        let (pool, flags, readable) = (pool.clone(), flags.clone(), Arc::clone(&readable));
        let mut announcements = bus.subscribe();
        let mut log = FailureLog::new("flag overrides");
        async move {
            loop {
                let Some(outcome) = stop.run_until_cancelled(read(&pool)).await else { return };
                readable.store(outcome.is_ok(), Ordering::Relaxed);
                log.note(&outcome);
                if let Ok(Overrides { values, changed_at }) = outcome {
                    flags.set_overrides(values, changed_at);
                }
                let next = after(poll);
                loop {
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = sleep_until(next) => break,
                        announcement = announcements.next() => {
                            if matches!(announcement, Announcement::Flags | Announcement::Reconnected) {
                                break;
                            }
                        }
                    }
                }
            }
        }
    });
}

async fn read(pool: &Pool) -> Result<Overrides, StoreError> {
    let mut connection = pool.get().await?;
    Ok(Overrides::of(&overrides(&mut connection).await?))
}

#[expect(clippy::disallowed_methods, reason = "a deadline for the runtime's own timer, not a time of day")]
fn after(wait: Duration) -> Instant {
    Instant::now() + wait
}
