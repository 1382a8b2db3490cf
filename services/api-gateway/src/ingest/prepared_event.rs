//! [`PreparedEvent`]: an event that is valid, addressed and numbered, ready to be written.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use onering_ids::{EventId, KeyId, OwnerId, Recipient};
use onering_store::ingest::{IdempotencyClaim, IncomingEvent};
use onering_webhooks::{ContentDigest, EventType, IdempotencyKey};

/// An event to write.
#[derive(Debug, Clone)]
pub(crate) struct PreparedEvent {
    /// Its id.
    pub(crate) event_id: EventId,
    /// Whom it is for.
    pub(crate) recipient: Recipient,
    /// What happened.
    pub(crate) event_type: EventType,
    /// The bytes that its deliveries send.
    pub(crate) body: Bytes,
    /// When it happened.
    pub(crate) occurred_at: DateTime<Utc>,
    /// Whose key published it.
    pub(crate) publisher: KeyId,
    /// The idempotency key it came with.
    pub(crate) claim: Option<Claim>,
}

/// An idempotency key and what it came with.
#[derive(Debug, Clone)]
pub(crate) struct Claim {
    /// The publishing partner.
    pub(crate) owner: OwnerId,
    /// The key.
    pub(crate) key: IdempotencyKey,
    /// The digest of what was asked for.
    pub(crate) digest: ContentDigest,
}

impl PreparedEvent {
    /// Its idempotency key, if it has one, with whose that is.
    pub(super) fn claimed_key(&self) -> Option<(OwnerId, IdempotencyKey)> {
        self.claim.as_ref().map(|claim| (claim.owner.clone(), claim.key.clone()))
    }

    /// The event as the store takes it.
    pub(super) fn incoming(&self) -> IncomingEvent<'_> {
        IncomingEvent {
            event_id: self.event_id,
            recipient: &self.recipient,
            event_type: self.event_type.as_str(),
            body: &self.body,
            occurred_at: self.occurred_at,
            publisher: Some(self.publisher),
            idempotency: self.claim.as_ref().map(|claim| IdempotencyClaim {
                owner: &claim.owner,
                key: claim.key.as_str(),
                digest: claim.digest.as_bytes(),
            }),
        }
    }

    /// The memory it takes, roughly.
    pub(super) fn weight(&self) -> usize {
        const BESIDE_THE_BODY: usize = 512;
        self.body.len() + BESIDE_THE_BODY
    }
}

#[cfg(test)]
impl PreparedEvent {
    /// An event with a body of so many bytes and one of a few idempotency keys.
    pub(super) fn sample(publisher: u64, number: u64, bytes: usize, key: Option<u8>) -> Self {
        let owner = OwnerId::default_partner();
        Self {
            event_id: EventId::floor(number),
            recipient: owner.clone().into(),
            event_type: "ring.forged".parse().unwrap(),
            body: Bytes::from(vec![b' '; bytes]),
            occurred_at: DateTime::UNIX_EPOCH,
            publisher: KeyId::floor(publisher),
            claim: key.map(|key| Claim { owner, key: format!("k{key}").parse().unwrap(), digest: [0; 32].into() }),
        }
    }
}
