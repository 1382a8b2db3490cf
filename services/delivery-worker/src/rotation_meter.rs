//! The meter of rotations: what answers say about which secret their receiver uses, gathered here and written a batch at a
//! time. Only attempts made during an overlap come here.
//!
//! What a worker that is killed had not written yet is lost: at most a second's counts, of a figure for people.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use onering_ids::{SecretId, SubscriptionId};
use onering_signing::KeyAge;
use onering_store::subscriptions::{RotationCount, count_rotations};
use onering_store::{Pool, StoreError};

/// How often it is written: a flood of answers is a write a second.
pub(crate) const WRITE_EVERY: Duration = Duration::from_secs(1);

type Rotation = (SubscriptionId, SecretId);

/// What was not written yet.
#[derive(Debug, Default)]
pub(crate) struct RotationMeter {
    counts: Mutex<HashMap<Rotation, RotationCount>>,
}

/// What one attempt showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shown {
    /// Whether both secrets signed it.
    pub(crate) signed_with_both: bool,
    /// Whether the answer was 2xx.
    pub(crate) accepted: bool,
    /// Which secret the answer named.
    pub(crate) verified_with: Option<KeyAge>,
}

impl Shown {
    /// The secret that the receiver knows by its own word, which is worth something only where it could choose.
    pub(crate) fn named(&self) -> Option<KeyAge> {
        self.verified_with.filter(|_| self.signed_with_both && self.accepted)
    }
}

impl RotationMeter {
    /// Counts one attempt.
    pub(crate) fn count(&self, webhook_id: SubscriptionId, secret_id: SecretId, shown: Shown) {
        let named = |age| u32::from(shown.named() == Some(age));
        self.add(RotationCount {
            webhook_id,
            secret_id,
            sent_with_both: u32::from(shown.signed_with_both),
            verified_with_current: named(KeyAge::Current),
            verified_with_previous: named(KeyAge::Previous),
            confirmed: !shown.signed_with_both && shown.accepted,
        });
    }

    fn add(&self, more: RotationCount) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts
            .entry((more.webhook_id, more.secret_id))
            .and_modify(|count| {
                count.sent_with_both = count.sent_with_both.saturating_add(more.sent_with_both);
                count.verified_with_current = count.verified_with_current.saturating_add(more.verified_with_current);
                count.verified_with_previous = count.verified_with_previous.saturating_add(more.verified_with_previous);
                count.confirmed |= more.confirmed;
            })
            .or_insert(more);
    }

    /// Writes what was counted since the last time; what cannot be written is kept.
    ///
    /// # Errors
    /// [`StoreError`] when Postgres fails.
    pub(crate) async fn write(&self, pool: &Pool) -> Result<(), StoreError> {
        let counts = std::mem::take(&mut *self.counts.lock().unwrap_or_else(PoisonError::into_inner));
        if counts.is_empty() {
            return Ok(());
        }
        let counts: Vec<RotationCount> = counts.into_values().collect();
        let written = async { count_rotations(&mut *pool.get().await?, &counts).await }.await;
        if written.is_err() {
            counts.into_iter().for_each(|count| self.add(count));
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(signed_with_both: bool, accepted: bool, verified_with: Option<KeyAge>) -> Shown {
        Shown { signed_with_both, accepted, verified_with }
    }

    #[test]
    fn only_what_an_answer_really_says_is_counted() {
        let (meter, webhook, secret) = (RotationMeter::default(), SubscriptionId::floor(0), SecretId::floor(0));
        for (attempt, expected) in [
            (shown(true, true, None), (1, 0, 0, false)),
            (shown(true, true, Some(KeyAge::Current)), (2, 1, 0, false)),
            (shown(true, true, Some(KeyAge::Previous)), (3, 1, 1, false)),
            (shown(true, false, Some(KeyAge::Previous)), (4, 1, 1, false)),
            (shown(false, false, None), (4, 1, 1, false)),
            // Signed by one secret alone, a receiver cannot tell which one it is; that it took it says enough.
            (shown(false, true, Some(KeyAge::Previous)), (4, 1, 1, true)),
        ] {
            meter.count(webhook, secret, attempt);
            let counts = meter.counts.lock().unwrap();
            let count = &counts[&(webhook, secret)];
            let found =
                (count.sent_with_both, count.verified_with_current, count.verified_with_previous, count.confirmed);
            assert_eq!(found, expected, "{attempt:?}");
        }
    }
}
