use std::hint::black_box;

use onering_signing::{LiveSecrets, ReceiverKey, Scheme, SigningInput, Verifier, sign};

use super::signing::{keys_with_pair, secret};
use crate::samples::{EVENT, NOW_UNIX_S, event_id};
use crate::{Prepared, routine};

pub(super) fn x_webhook() -> Prepared {
    received(Scheme::XWebhook, &secret(1).into(), secret(1).into())
}

pub(super) fn standard_webhooks() -> Prepared {
    received(Scheme::StandardWebhooks, &secret(1).into(), secret(1).into())
}

pub(super) fn public_key() -> Prepared {
    let keys = keys_with_pair();
    let public = keys.key_pair.as_ref().ok_or("there is no key pair")?.public_key();
    received(Scheme::StandardWebhooksV1a, &keys.into(), public.into())
}

/// Signed by somebody else.
pub(super) fn forged() -> Prepared {
    received(Scheme::XWebhook, &secret(2).into(), secret(1).into())
}

/// A request that is received a second after it was signed.
fn received(scheme: Scheme, secrets: &LiveSecrets, key: ReceiverKey) -> Prepared {
    let id = event_id().to_string();
    let input = SigningInput { event_id: &id, unix_s: NOW_UNIX_S, body: EVENT.as_bytes() };
    let headers = sign(secrets, scheme.into(), &input);
    let verifier = Verifier::knowing([key]);
    routine(move || {
        let find = |name| black_box(&headers).get(name);
        verifier
            .verify(black_box(scheme), find, black_box(EVENT.as_bytes()), NOW_UNIX_S + 1)
            .map(|verified| verified.with)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_genuine_are_told_from_the_forged() {
        for genuine in [x_webhook(), standard_webhooks(), public_key()] {
            assert_eq!(genuine.unwrap().show(), "Ok(Current)");
        }
        assert_eq!(forged().unwrap().show(), "Err(Signature)");
    }
}
