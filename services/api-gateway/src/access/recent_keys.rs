//! [`RecentKeys`]: the keys that one HTTP worker has just seen, so that most calls ask no memory that is shared.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use onering_clock::Clock;
use onering_keys::{KeyRecord, TokenDigest};

use super::key_directory::{Found, KeyDirectory, LookUpError, LookedUp, REMEMBERED_FOR};

/// From when on a key in use is looked up again, before its answer is too old and a call has to wait.
const REFRESHED_AFTER: Duration = Duration::from_secs(3);
/// The most keys of one worker.
const MOST: usize = 4_096;

/// One worker's memory before the process's. Whatever is announced empties it.
pub(super) struct RecentKeys {
    directory: KeyDirectory,
    clock: Clock,
    recent: RefCell<Recent>,
}

/// What is remembered, and as of how many announced changes. Pure: time and changes are arguments.
#[derive(Debug, Default)]
struct Recent {
    keys: HashMap<TokenDigest, RecentKey>,
    changes: u64,
}

#[derive(Debug)]
struct RecentKey {
    key: Arc<KeyRecord>,
    asked_at: Instant,
    is_refreshed: bool,
}

/// A key that is remembered.
#[derive(Debug, PartialEq, Eq)]
struct Recalled {
    key: Arc<KeyRecord>,
    /// It is to be looked up again. Said once.
    wants_refresh: bool,
}

impl RecentKeys {
    /// A memory before this directory.
    pub(super) fn new(directory: KeyDirectory, clock: Clock) -> Self {
        Self { directory, clock, recent: RefCell::default() }
    }

    /// The key this token opens.
    ///
    /// # Errors
    /// When it is not in memory and Postgres does not answer.
    pub(super) async fn find(&self, digest: TokenDigest) -> Result<Found, LookUpError> {
        // Before the directory is asked: its answer may be older than a change that is announced meanwhile.
        let changes = self.directory.changes();
        let recalled = self.recent.borrow_mut().recall(&digest, changes, self.clock.monotonic());
        if let Some(Recalled { key, wants_refresh }) = recalled {
            if wants_refresh {
                self.directory.refresh(digest);
            }
            return Ok(Some(key));
        }
        let LookedUp { found, asked_at } = self.directory.find(digest).await?;
        if let Some(key) = &found {
            self.recent.borrow_mut().remember(digest, key, changes, asked_at);
        }
        Ok(found)
    }
}

impl Recent {
    fn recall(&mut self, digest: &TokenDigest, changes: u64, now: Instant) -> Option<Recalled> {
        if self.changes != changes {
            self.keys.clear();
            self.changes = changes;
        }
        let recent = self.keys.get_mut(digest)?;
        let age = now.saturating_duration_since(recent.asked_at);
        let wants_refresh = age >= REFRESHED_AFTER && !recent.is_refreshed;
        recent.is_refreshed |= wants_refresh;
        (age < REMEMBERED_FOR).then(|| Recalled { key: Arc::clone(&recent.key), wants_refresh })
    }

    /// Remembers a key that was found after so many changes, unless there were more.
    fn remember(&mut self, digest: TokenDigest, key: &Arc<KeyRecord>, changes: u64, asked_at: Instant) {
        if self.changes != changes {
            return;
        }
        if self.keys.len() >= MOST {
            self.keys.clear();
        }
        self.keys.insert(digest, RecentKey { key: Arc::clone(key), asked_at, is_refreshed: false });
    }
}

#[cfg(test)]
mod tests {
    use onering_ids::KeyId;
    use onering_keys::{ScopeSet, Tier};

    use super::*;

    fn key(number: u128) -> Arc<KeyRecord> {
        Arc::new(KeyRecord {
            key_id: KeyId::from_uuid(uuid::Uuid::from_u128(number)),
            owner_id: "acme".parse().unwrap(),
            name: String::new(),
            scopes: ScopeSet::default(),
            tier: Tier::Pro,
            canary: false,
            is_active: true,
            blocked: false,
            revoked: false,
            expires_at: None,
            secret_expires_at: None,
            ip_allowlist: Vec::new(),
            rate_limit_override: None,
            burst_per_second: None,
            partner_active: true,
            partner_canary: false,
        })
    }

    fn digest(number: u16) -> TokenDigest {
        let mut bytes = [0; 32];
        bytes[..2].copy_from_slice(&number.to_be_bytes());
        TokenDigest::from_bytes(bytes)
    }

    fn recalled(number: u128, wants_refresh: bool) -> Option<Recalled> {
        Some(Recalled { key: key(number), wants_refresh })
    }

    #[test]
    fn a_key_is_remembered_for_its_time_and_looked_up_again_once_before_its_end() {
        let (mut recent, start) = (Recent::default(), Clock::system().monotonic());
        let moment = Duration::from_nanos(1);
        assert_eq!(recent.recall(&digest(1), 0, start), None);
        recent.remember(digest(1), &key(1), 0, start);
        assert_eq!(recent.recall(&digest(2), 0, start), None);
        assert_eq!(recent.recall(&digest(1), 0, start + REFRESHED_AFTER - moment), recalled(1, false));
        assert_eq!(recent.recall(&digest(1), 0, start + REFRESHED_AFTER), recalled(1, true));
        assert_eq!(recent.recall(&digest(1), 0, start + REMEMBERED_FOR - moment), recalled(1, false));
        assert_eq!(recent.recall(&digest(1), 0, start + REMEMBERED_FOR), None);
        recent.remember(digest(1), &key(2), 0, start + REFRESHED_AFTER);
        assert_eq!(recent.recall(&digest(1), 0, start + REMEMBERED_FOR), recalled(2, false));
    }

    #[test]
    fn a_change_empties_it_and_keeps_out_what_was_asked_for_before() {
        let (mut recent, start) = (Recent::default(), Clock::system().monotonic());
        recent.remember(digest(1), &key(1), 0, start);
        assert_eq!(recent.recall(&digest(1), 1, start), None);
        recent.remember(digest(1), &key(1), 0, start);
        assert_eq!(recent.recall(&digest(1), 1, start), None, "it was read before the change");
        recent.remember(digest(1), &key(1), 1, start);
        assert_eq!(recent.recall(&digest(1), 1, start), recalled(1, false));
    }

    #[test]
    fn it_is_bounded() {
        let (mut recent, start) = (Recent::default(), Clock::system().monotonic());
        for number in 0..=u16::try_from(MOST).unwrap() {
            recent.remember(digest(number), &key(1), 0, start);
        }
        assert_eq!(recent.keys.len(), 1);
    }
}
