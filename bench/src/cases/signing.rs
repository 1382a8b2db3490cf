use std::hint::black_box;

use onering_signing::{KeyPair, LiveSecrets, Scheme, Schemes, SigningInput, SigningKeys, SigningSecret, sign};

use crate::samples::{EVENT, NOW_UNIX_S, event_id};
use crate::{Prepared, routine};

pub(super) fn x_webhook() -> Prepared {
    signed(Scheme::XWebhook.into(), secret(1).into())
}

pub(super) fn standard_webhooks() -> Prepared {
    signed(Scheme::StandardWebhooks.into(), secret(1).into())
}

/// What a subscription has unless it chooses.
pub(super) fn both_schemes() -> Prepared {
    signed(Schemes::default(), secret(1).into())
}

/// The same while a rotation overlaps.
pub(super) fn both_schemes_two_secrets() -> Prepared {
    signed(Schemes::default(), LiveSecrets { current: secret(1).into(), previous: Some(secret(2).into()) })
}

pub(super) fn public_key() -> Prepared {
    signed(Scheme::StandardWebhooksV1a.into(), keys_with_pair().into())
}

pub(super) fn secret(seed: u8) -> SigningSecret {
    SigningSecret::from_entropy([seed; 32])
}

pub(super) fn keys_with_pair() -> SigningKeys {
    SigningKeys { secret: secret(1), key_pair: Some(KeyPair::from_entropy([1; 32])) }
}

fn signed(schemes: Schemes, secrets: LiveSecrets) -> Prepared {
    let id = event_id().to_string();
    routine(move || {
        let input = SigningInput { event_id: &id, unix_s: NOW_UNIX_S, body: EVENT.as_bytes() };
        sign(black_box(&secrets), black_box(schemes), black_box(&input))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shows(prepared: Prepared, parts: &[(&str, usize)]) {
        let shown = prepared.unwrap().show();
        for (part, times) in parts {
            assert_eq!(shown.matches(part).count(), *times, "{part} in {shown}");
        }
    }

    #[test]
    fn each_makes_its_signatures() {
        shows(x_webhook(), &[(",v1=", 1), (",v1p=", 0), ("v1,", 0)]);
        shows(standard_webhooks(), &[(",v1=", 0), ("v1,", 1)]);
        shows(both_schemes(), &[(",v1=", 1), (",v1p=", 0), ("v1,", 1)]);
        shows(both_schemes_two_secrets(), &[(",v1=", 1), (",v1p=", 1), ("v1,", 2)]);
        shows(public_key(), &[("v1a,", 1), ("v1,", 0)]);
    }
}
