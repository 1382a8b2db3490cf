use onering_ids::SecretId;
use onering_signing::{KeyPair, Scheme, Schemes, SigningSecret};
use onering_store::subscriptions::{NewSealedKeyPair, NewSealedKeys, NewSealedSecret};

use crate::error::OperationError;
use crate::operations::WebhookOperations;

impl WebhookOperations {
    /// A secret to show once, and what goes into the rows: its sealed form, and a key pair's if asked for.
    pub(crate) fn new_keys(&self, with_pair: bool) -> Result<(SigningSecret, NewSealedKeys), OperationError> {
        let secret = SigningSecret::from_entropy(self.clock().entropy32());
        let key_pair = if with_pair { Some(self.new_key_pair()?) } else { None };
        let keys = NewSealedKeys { secret: self.sealed(secret.expose())?, key_pair };
        Ok((secret, keys))
    }

    /// A key pair, sealed. Nobody is ever shown its secret half.
    pub(crate) fn new_key_pair(&self) -> Result<NewSealedKeyPair, OperationError> {
        let pair = KeyPair::from_entropy(self.clock().entropy32());
        Ok(NewSealedKeyPair { sealed: self.sealed(pair.expose())?, public_key: pair.public_key() })
    }

    fn sealed(&self, text: &str) -> Result<NewSealedSecret, OperationError> {
        let secret_id: SecretId = self.clock().fresh_id();
        let sealed = self.parts().key_ring.seal(secret_id, text.as_bytes())?;
        Ok(NewSealedSecret { secret_id, kid: sealed.kid, sealed: sealed.bytes })
    }
}

/// Whether requests in these schemes need a key pair.
pub(crate) fn need_key_pair(schemes: Schemes) -> bool {
    schemes.contains(Scheme::StandardWebhooksV1a)
}
