//! The published vectors, byte for byte.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use onering_signing::{
    Freshness, KeyAge, KeyPair, LiveSecrets, PublicKey, ReceiverKey, Scheme, Schemes, SigningInput, SigningKeys,
    SigningSecret, Verifier, header, sign,
};
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

        let overlap =
            LiveSecrets { current: secret(&case.secret).into(), previous: Some(secret(&case.previous_secret).into()) };
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
        for (known, age) in [(&case.secret, KeyAge::Current), (&case.previous_secret, KeyAge::Previous)] {
            let verifier = Verifier::new(secret(known)).fresh(Freshness::default());
            for scheme in [Scheme::XWebhook, Scheme::StandardWebhooks] {
                let verified = verifier.verify(scheme, find, &body, case.timestamp).unwrap();
                assert_eq!((verified.event_id, verified.with), (Some(case.event_id.as_str()), age));
            }
        }
    }
}

#[derive(Deserialize)]
struct Ed25519Vectors {
    cases: Vec<Ed25519Case>,
}

#[derive(Deserialize)]
struct Ed25519Case {
    secret_key: String,
    public_key: String,
    previous_secret_key: String,
    previous_public_key: String,
    timestamp: i64,
    event_id: String,
    body_base64: String,
    webhook_signature: String,
    webhook_signature_in_overlap: String,
}

fn ed25519_cases() -> Vec<Ed25519Case> {
    let vectors: Ed25519Vectors = serde_json::from_str(include_str!("vectors/ed25519.json")).unwrap();
    assert!(vectors.cases.len() >= 5);
    vectors.cases
}

fn keys(pair: &str) -> SigningKeys {
    SigningKeys { secret: SigningSecret::from_entropy([0; 32]), key_pair: Some(pair.parse().unwrap()) }
}

#[test]
fn key_pairs_sign_what_the_vectors_say() {
    for case in ed25519_cases() {
        let pair: KeyPair = case.secret_key.parse().unwrap();
        assert_eq!((pair.expose(), pair.public_key().to_string()), (case.secret_key.as_str(), case.public_key.clone()));
        let body = STANDARD.decode(&case.body_base64).unwrap();
        let input = SigningInput { event_id: &case.event_id, unix_s: case.timestamp, body: &body };
        let alone = LiveSecrets::from(keys(&case.secret_key));
        let overlap = LiveSecrets { current: keys(&case.secret_key), previous: Some(keys(&case.previous_secret_key)) };
        for (secrets, expected) in [(alone, case.webhook_signature), (overlap, case.webhook_signature_in_overlap)] {
            let signed = sign(&secrets, Scheme::StandardWebhooksV1a.into(), &input);
            assert_eq!(signed.get(header::STANDARD_SIGNATURE), Some(expected.as_str()));
        }
    }
}

#[test]
fn the_public_keys_of_the_vectors_verify_them() {
    for case in ed25519_cases() {
        let body = STANDARD.decode(&case.body_base64).unwrap();
        let stamp = case.timestamp.to_string();
        let judge = |known: &str, signatures: &str, body: &[u8]| {
            let headers = BTreeMap::from([
                (header::STANDARD_SIGNATURE, signatures),
                (header::STANDARD_ID, case.event_id.as_str()),
                (header::STANDARD_TIMESTAMP, stamp.as_str()),
            ]);
            let key: PublicKey = known.parse().unwrap();
            let verifier = Verifier::knowing([ReceiverKey::from(key)]);
            let find = |name: &'static str| headers.get(name).copied();
            verifier.verify(Scheme::StandardWebhooksV1a, find, body, case.timestamp).ok().map(|found| found.with)
        };
        let (alone, overlap) = (case.webhook_signature.as_str(), case.webhook_signature_in_overlap.as_str());
        assert_eq!(judge(&case.public_key, alone, &body), Some(KeyAge::Current));
        assert_eq!(judge(&case.public_key, overlap, &body), Some(KeyAge::Current));
        assert_eq!(judge(&case.previous_public_key, overlap, &body), Some(KeyAge::Previous));
        assert_eq!(judge(&case.previous_public_key, alone, &body), None);
        assert_eq!(judge(&case.public_key, overlap, &[&body[..], b" "].concat()), None);
    }
}
