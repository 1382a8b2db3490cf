//! The vectors that other implementations share: our crates, our command line and the guide's samples all agree on them.
//! The files lie beside the crates they are about; this is the one place that names them all.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test says what is wrong by failing")]

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use onering_keys::{ApiToken, TokenError};
use onering_rollout::bucket;
use onering_testkit::scratch_dir;
use onering_tests::{SignedRequest, Verifier, outside};
use serde_json::Value;

const SIGNATURES: &str = include_str!("../../crates/domain/signing/tests/vectors/signatures.json");
const ED25519: &str = include_str!("../../crates/domain/signing/tests/vectors/ed25519.json");
const TOKENS: &str = include_str!("../../crates/domain/keys/tests/vectors/tokens.json");
const COHORTS: &str = include_str!("../../crates/domain/rollout/tests/vectors/cohorts.json");

fn cases(text: &str) -> Vec<Value> {
    let file: Value = serde_json::from_str(text).unwrap();
    let cases = file["cases"].as_array().unwrap().clone();
    assert!(cases.len() >= 5, "only {} cases", cases.len());
    cases
}

fn text<'a>(case: &'a Value, field: &str) -> &'a str {
    case[field].as_str().unwrap_or_else(|| panic!("no {field} in {case}"))
}

#[test]
fn there_are_no_other_vectors() {
    let domain = outside::repository().join("crates/domain");
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(domain).unwrap() {
        if let Ok(vectors) = std::fs::read_dir(entry.unwrap().path().join("tests/vectors")) {
            found.extend(vectors.map(|file| file.unwrap().file_name().into_string().unwrap()));
        }
    }
    assert_eq!(found, ["cohorts.json", "ed25519.json", "signatures.json", "tokens.json"].map(str::to_owned).into());
}

#[test]
fn tokens() {
    for case in cases(TOKENS) {
        let (token, garbled) = (text(&case, "token"), text(&case, "garbled"));
        assert_eq!(ApiToken::parse(token).unwrap().digest().to_string(), text(&case, "sha256"));
        assert_eq!(ApiToken::digest_of(garbled), Err(TokenError::Checksum), "{garbled}");
    }
}

#[test]
fn cohorts() {
    for case in cases(COHORTS) {
        let (salt, owner) = (text(&case, "salt"), text(&case, "owner_id"));
        assert_eq!(Some(u64::from(bucket(salt, owner))), case["bucket"].as_u64(), "{salt}:{owner}");
    }
}

/// A receiver that knows one secret and gets this case's request.
fn request(case: &Value, signature: &str, secret: &str) -> SignedRequest {
    SignedRequest {
        what: format!("{signature} of {} with {secret}", text(case, "event_id")),
        secret: text(case, secret).to_owned(),
        headers: BTreeMap::from([("x-webhook-signature".to_owned(), text(case, signature).to_owned())]),
        body_base64: text(case, "body_base64").to_owned(),
        event_id: text(case, "event_id").to_owned(),
        now: case["timestamp"].as_i64().unwrap(),
    }
}

#[tokio::test]
async fn the_samples_of_the_guide_take_every_signature() {
    let mut requests = Vec::new();
    for case in cases(SIGNATURES) {
        requests.push((request(&case, "x_webhook_signature", "secret"), true));
        requests.push((request(&case, "x_webhook_signature", "previous_secret"), false));
        requests.push((request(&case, "x_webhook_signature_in_overlap", "secret"), true));
        requests.push((request(&case, "x_webhook_signature_in_overlap", "previous_secret"), true));
    }
    for sample in Verifier::samples() {
        sample.assert_verdicts(&requests).await;
    }
}

#[tokio::test]
async fn the_command_line_signs_and_verifies_every_case() {
    let onering = outside::onering_binary();
    let scratch = scratch_dir("vectors");
    for case in cases(SIGNATURES) {
        let body = STANDARD.decode(text(&case, "body_base64")).unwrap();
        let stamp = case["timestamp"].to_string();
        let sign =
            ["sign", "--secret", text(&case, "secret"), "--event-id", text(&case, "event_id"), "--timestamp", &stamp];
        let signed = outside::run(&onering, sign, scratch.path(), &body).await;
        assert_eq!(signed.code, 0, "{}", signed.text);
        for (name, field) in [
            ("X-Webhook-Signature", "x_webhook_signature"),
            ("webhook-signature", "webhook_signature"),
            ("X-Webhook-Signature", "timestamp_body_signature"),
        ] {
            let line = format!("{name}: {}", text(&case, field));
            assert!(signed.text.lines().any(|found| found == line), "no line {line:?} in\n{}", signed.text);
        }

        let header = format!("X-Webhook-Signature: {}", text(&case, "x_webhook_signature"));
        let verify = ["verify", "--secret", text(&case, "secret"), "--header", &header, "--replay-window", "0"];
        let genuine = outside::run(&onering, verify, scratch.path(), &body).await;
        assert!(genuine.code == 0 && genuine.text.starts_with("genuine"), "{}", genuine.text);
        let tampered = outside::run(&onering, verify, scratch.path(), &[&body[..], b" "].concat()).await;
        assert!(tampered.code == 1 && tampered.text.starts_with("refused"), "{}", tampered.text);
        let stale = outside::run(&onering, &verify[..5], scratch.path(), &body).await;
        assert!(stale.code == 1 && stale.text.starts_with("refused"), "{}", stale.text);
    }
}

/// A receiver that knows one public key and gets this case's request.
fn v1a_request(case: &Value, signature: &str, key: &str) -> SignedRequest {
    let header = |name: &str, value: String| (name.to_owned(), value);
    SignedRequest {
        what: format!("{signature} of {} with {key}", text(case, "event_id")),
        secret: text(case, key).to_owned(),
        headers: BTreeMap::from([
            header("webhook-id", text(case, "event_id").to_owned()),
            header("webhook-timestamp", case["timestamp"].to_string()),
            header("webhook-signature", text(case, signature).to_owned()),
        ]),
        body_base64: text(case, "body_base64").to_owned(),
        event_id: text(case, "event_id").to_owned(),
        now: case["timestamp"].as_i64().unwrap(),
    }
}

#[tokio::test]
async fn the_guides_sample_for_public_keys_takes_every_signature() {
    let mut requests = Vec::new();
    for case in cases(ED25519) {
        requests.push((v1a_request(&case, "webhook_signature", "public_key"), true));
        requests.push((v1a_request(&case, "webhook_signature", "previous_public_key"), false));
        requests.push((v1a_request(&case, "webhook_signature_in_overlap", "public_key"), true));
        requests.push((v1a_request(&case, "webhook_signature_in_overlap", "previous_public_key"), true));
    }
    Verifier::GuideNodeV1a.assert_verdicts(&requests).await;
}

#[tokio::test]
async fn the_command_line_signs_and_verifies_with_key_pairs() {
    let onering = outside::onering_binary();
    let scratch = scratch_dir("vectors");
    for case in cases(ED25519) {
        let body = STANDARD.decode(text(&case, "body_base64")).unwrap();
        let (id, stamp) = (text(&case, "event_id"), case["timestamp"].to_string());
        let sign = ["sign", "--secret", text(&case, "secret_key"), "--event-id", id, "--timestamp", &stamp];
        let signed = outside::run(&onering, sign, scratch.path(), &body).await;
        let line = format!("webhook-signature: {}", text(&case, "webhook_signature"));
        assert!(signed.code == 0 && signed.text.lines().any(|found| found == line), "{}", signed.text);

        let headers = [
            format!("webhook-id: {id}"),
            format!("webhook-timestamp: {stamp}"),
            format!("webhook-signature: {}", text(&case, "webhook_signature_in_overlap")),
        ];
        for (key, with) in [("public_key", "current"), ("previous_public_key", "previous")] {
            let mut verify = vec!["verify", "--secret", text(&case, key), "--replay-window", "0"];
            verify.extend(headers.iter().flat_map(|header| ["--header", header.as_str()]));
            let genuine = outside::run(&onering, &verify, scratch.path(), &body).await;
            assert!(genuine.code == 0 && genuine.text.contains(with), "{}", genuine.text);
            let tampered = outside::run(&onering, &verify, scratch.path(), &[&body[..], b" "].concat()).await;
            assert!(tampered.code == 1 && tampered.text.starts_with("refused"), "{}", tampered.text);
        }
    }
}
