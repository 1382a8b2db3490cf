//! [`Blocklist`]: the blocked addresses, in memory, as they were a moment ago.

use std::net::IpAddr;
use std::time::Duration;

use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};
use onering_service_kit::error_chain;
use onering_store::blocklist::{BlockedAddresses, active_cidrs};
use onering_store::{Pool, StoreError};
use onering_telemetry::field;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// How old the list gets beneath the announcements.
const REFRESH_EVERY: Duration = Duration::from_secs(5);
/// The pause after a failed reading.
const RETRY_AFTER: Duration = Duration::from_millis(500);

/// The blocked addresses. Reading costs no lock; the list is replaced whole.
#[derive(Debug, Default)]
pub(crate) struct Blocklist {
    entries: ArcSwap<Vec<BlockedAddresses>>,
    stale: Notify,
}

impl Blocklist {
    /// Whether calls from the address are refused at `now`.
    pub(crate) fn blocks(&self, address: IpAddr, now: DateTime<Utc>) -> bool {
        let address = address.to_canonical();
        self.entries
            .load()
            .iter()
            .any(|entry| entry.addresses.contains(&address) && entry.until.is_none_or(|until| now < until))
    }

    /// Somebody changed it: read it again at once.
    pub(crate) fn is_stale(&self) {
        self.stale.notify_one();
    }

    /// Keeps it fresh until `stop`. What cannot be read leaves the list as it was.
    pub(crate) async fn keep_fresh(&self, pool: &Pool, stop: &CancellationToken) {
        loop {
            let pause = match self.read(pool).await {
                Ok(()) => REFRESH_EVERY,
                Err(error) => {
                    tracing::warn!({ field::ERROR } = error_chain(&error), "the blocklist cannot be read");
                    RETRY_AFTER
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.stale.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Reads it once.
    ///
    /// # Errors
    /// When Postgres fails.
    pub(crate) async fn read(&self, pool: &Pool) -> Result<(), StoreError> {
        let entries = active_cidrs(&mut *pool.get().await?).await?;
        self.replace(entries);
        Ok(())
    }

    fn replace(&self, entries: Vec<BlockedAddresses>) {
        self.entries.store(entries.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_blocks_its_addresses_until_its_end() {
        let blocklist = Blocklist::default();
        let now: DateTime<Utc> = "2026-11-22T00:00:00Z".parse().unwrap();
        let later = now + chrono::TimeDelta::minutes(1);
        blocklist.replace(vec![
            BlockedAddresses { addresses: "203.0.113.0/24".parse().unwrap(), until: Some(later) },
            BlockedAddresses { addresses: "2001:db8::/32".parse().unwrap(), until: None },
        ]);
        let blocks = |address: &str, at| blocklist.blocks(address.parse().unwrap(), at);
        assert!(blocks("203.0.113.9", now) && blocks("::ffff:203.0.113.9", now) && blocks("2001:db8::1", later));
        assert!(!blocks("203.0.113.9", later) && !blocks("203.0.114.1", now));
    }
}
