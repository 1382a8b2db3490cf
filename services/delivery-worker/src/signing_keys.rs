//! What signs a subscription's requests: opened once when the subscription is loaded, and judged by the clock at each
//! attempt, because an overlap may end while the subscription is remembered.

use std::str::FromStr;

use onering_delivery::DatabaseTime;
use onering_ids::SecretId;
use onering_secrets::{KeyRing, Sealed};
use onering_signing::{LiveSecrets, Scheme, Schemes, Signers, SigningKeys};
use onering_store::subscriptions::{DeliveryTarget, SealedSecret};
use onering_webhooks::SignWith;

/// The opened keys of one subscription.
#[derive(Debug)]
pub(crate) struct OpenedKeys {
    secrets: LiveSecrets,
    /// The current secret's id: what is counted about it is counted under this name.
    pub(crate) secret_id: SecretId,
    /// From then on the previous keys sign nothing.
    previous_until: Option<DatabaseTime>,
}

impl OpenedKeys {
    /// Opens what the row holds; `None` for a subscription without secrets, which is deleted.
    ///
    /// # Errors
    /// Why its requests cannot be signed, for the operator.
    pub(crate) fn open(key_ring: &KeyRing, row: &DeliveryTarget) -> Result<Option<Self>, &'static str> {
        let Some(stored) = row.secrets.first() else { return Ok(None) };
        let keys = |index: usize| -> Result<Option<SigningKeys>, &'static str> {
            let Some(secret) = row.secrets.get(index) else { return Ok(None) };
            // By age, not by place: a key pair may be younger than the last rotation.
            let pair = row.key_pairs.iter().find(|pair| pair.expires_at.is_none() == secret.expires_at.is_none());
            let key_pair = pair.map(|pair| open(key_ring, pair)).transpose()?;
            Ok(Some(SigningKeys { secret: open(key_ring, secret)?, key_pair }))
        };
        let (Some(current), previous) = (keys(0)?, keys(1)?) else { return Ok(None) };
        if wants_key_pair(row.subscription.settings.signature_schemes) && current.key_pair.is_none() {
            return Err("there is no key pair for standard-webhooks-v1a");
        }
        Ok(Some(Self {
            secrets: LiveSecrets { current, previous },
            secret_id: stored.secret.secret_id,
            previous_until: row.secrets.get(1).and_then(|secret| secret.expires_at).map(DatabaseTime::from_utc),
        }))
    }

    /// Whether a rotation overlaps.
    pub(crate) fn overlap(&self, now: DatabaseTime) -> bool {
        self.previous_until.is_some_and(|until| now < until)
    }

    /// The keys that sign a request now.
    pub(crate) fn signers(&self, sign_with: SignWith, now: DatabaseTime) -> Signers<'_> {
        if self.overlap(now) && sign_with == SignWith::Both {
            Signers::from(&self.secrets)
        } else {
            self.secrets.current_alone()
        }
    }
}

fn wants_key_pair(schemes: Schemes) -> bool {
    schemes.contains(Scheme::StandardWebhooksV1a)
}

fn open<Key: FromStr>(key_ring: &KeyRing, stored: &SealedSecret) -> Result<Key, &'static str> {
    let secret = &stored.secret;
    let bytes = key_ring
        .open(secret.secret_id, &Sealed { kid: secret.kid.clone(), bytes: secret.sealed.clone() })
        .map_err(|_| "no key of ONERING_SECRETS_KEYS opens it")?;
    let text = std::str::from_utf8(&bytes).ok();
    text.and_then(|text| text.parse().ok()).ok_or("what was sealed is not a signing secret")
}
