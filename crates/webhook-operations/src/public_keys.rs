use onering_ids::SubscriptionId;
use onering_problem::{Code, Problem};
use onering_store::subscriptions::{self, LivePublicKey};
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::OperationError;
use crate::new_keys::need_key_pair;
use crate::operations::WebhookOperations;
use crate::read_subscriptions::find;
use crate::scope::Scope;
use crate::timestamp::Timestamp;

/// The keys that requests to a subscription are verified with (`standard-webhooks-v1a`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = PublicKeys)]
pub struct PublicKeysView {
    /// The current key and, while a rotation overlaps, the previous one. A request signed by either is genuine.
    pub keys: Vec<PublicKeyView>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = PublicKey)]
pub struct PublicKeyView {
    /// `whpk_` and the base64 of the ed25519 key.
    #[schema(example = "whpk_g+jB35bu9g7wvl9l+P8CklQXYMEm2YZI0xS5fe6Mi14=")]
    pub public_key: String,
    /// Whether it is the newest.
    pub current: bool,
    /// When it stops being used; null for the current key.
    pub expires_at: Option<Timestamp>,
}

impl WebhookOperations {
    /// The public keys of a subscription that is signed for with `standard-webhooks-v1a`.
    ///
    /// # Errors
    /// `NOT_FOUND`; `CONFLICT` when the subscription has not chosen that scheme; [`OperationError::Store`].
    pub async fn public_keys(
        &self,
        scope: Scope<'_>,
        webhook_id: SubscriptionId,
    ) -> Result<PublicKeysView, OperationError> {
        let mut connection = self.connection().await?;
        let subscription = find(&mut connection, scope, webhook_id).await?;
        if !need_key_pair(subscription.settings.signature_schemes) {
            return Err(has_none().into());
        }
        let keys = subscriptions::public_keys(&mut connection, webhook_id).await?;
        Ok(PublicKeysView { keys: keys.into_iter().map(PublicKeyView::from).collect() })
    }
}

fn has_none() -> Problem {
    Problem::new(Code::Conflict)
        .field("signature_schemes")
        .detail("Requests to this subscription are not signed with a public key.")
        .recovery("Add standard-webhooks-v1a to its signature_schemes; it then has a key pair.")
}

impl From<LivePublicKey> for PublicKeyView {
    fn from(key: LivePublicKey) -> Self {
        Self {
            public_key: key.public_key.to_string(),
            current: key.expires_at.is_none(),
            expires_at: key.expires_at.map(Timestamp::from),
        }
    }
}
