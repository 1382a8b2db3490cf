//! The published vectors, byte for byte.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use onering_signing::{Freshness, LiveSecrets, Scheme, Schemes, SigningInput, SigningSecret, Verifier, header, sign};
use serde::Deserialize;

#[derive(Deserialize)]
struct Vectors {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    secret: String,
    previous_secret: String,
    timestamp: i64,
    event_id: String,
    body_base64: String,
    x_webhook_signature: String,
    x_webhook_signature_in_overlap: String,
    webhook_signature: String,
    webhook_signature_in_overlap: String,
    timestamp_body_signature: String,
}

fn cases() -> Vec<Case> {
    let vectors: Vectors = serde_json::from_str(include_str!("vectors/signatures.json")).unwrap();
    assert!(vectors.cases.len() >= 5);
    vectors.cases
}

fn secret(text: &str) -> SigningSecret {
    text.parse().unwrap()
}

#[test]
fn signatures_are_those_of_the_vectors() {
    for case in cases() {
        let body = STANDARD.decode(&case.body_base64).unwrap();
        let input = SigningInput { event_id: &case.event_id, unix_s: case.timestamp, body: &body };
        let all = Schemes::new(Scheme::ALL).unwrap();

        let alone = sign(&LiveSecrets::from(secret(&case.secret)), all, &input);
        assert_eq!(alone.get(header::SIGNATURE), Some(case.x_webhook_signature.as_str()));
        assert_eq!(alone.get(header::STANDARD_SIGNATURE), Some(case.webhook_signature.as_str()));
        assert_eq!(alone.get(header::SIGNATURE_TIMESTAMP_BODY), Some(case.timestamp_body_signature.as_str()));
        assert_eq!(alone.get(header::TIMESTAMP), Some(case.timestamp.to_string().as_str()));
        assert_eq!(alone.get(header::STANDARD_ID), Some(case.event_id.as_str()));

        let overlap = LiveSecrets { current: secret(&case.secret), previous: Some(secret(&case.previous_secret)) };
        let both = sign(&overlap, Schemes::default(), &input);
        assert_eq!(both.get(header::SIGNATURE), Some(case.x_webhook_signature_in_overlap.as_str()));
        assert_eq!(both.get(header::STANDARD_SIGNATURE), Some(case.webhook_signature_in_overlap.as_str()));

        let bare = sign(&LiveSecrets::from(secret(&case.secret)), Scheme::TimestampBody.into(), &input);
        assert_eq!(bare.get(header::SIGNATURE), Some(case.timestamp_body_signature.as_str()));
    }
}

#[test]
fn receivers_with_the_old_or_the_new_secret_accept_the_overlap() {
    for case in cases() {
        let body = STANDARD.decode(&case.body_base64).unwrap();
        let stamp = case.timestamp.to_string();
        let find = |name| match name {
            header::SIGNATURE => Some(case.x_webhook_signature_in_overlap.as_str()),
            header::STANDARD_SIGNATURE => Some(case.webhook_signature_in_overlap.as_str()),
            header::STANDARD_ID => Some(case.event_id.as_str()),
            header::STANDARD_TIMESTAMP => Some(stamp.as_str()),
            _ => None,
        };
        for known in [&case.secret, &case.previous_secret] {
            let verifier = Verifier::new(secret(known)).fresh(Freshness::default());
            for scheme in [Scheme::XWebhook, Scheme::StandardWebhooks] {
                let verified = verifier.verify(scheme, find, &body, case.timestamp).unwrap();
                assert_eq!(verified.event_id, Some(case.event_id.as_str()));
            }
        }
    }
}
