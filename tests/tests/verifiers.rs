//! Others verify what the real worker sends: the published Standard Webhooks packages, and the samples of the partner
//! guide as partners copy them. And they refuse what was changed, is stale, or is signed by somebody else.
#![allow(clippy::panic, clippy::unwrap_used, clippy::print_stdout, reason = "a test says what is wrong by failing")]

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use onering_clock::Clock;
use onering_signing::{LiveSecrets, Scheme, Schemes, SigningInput, SigningSecret, header, sign};
use onering_testkit::{Received, Receiver};
use onering_tests::{Partner, SignedRequest, Stack, StackOptions, Verifier, guide_block};
use serde_json::json;

/// The Rust sample of the guide, compiled.
#[path = "guide/verify.rs"]
#[allow(unreachable_pub, reason = "written for the reader's own crate")]
mod guide;

/// Receivers refuse what is older, in seconds.
const WINDOW: i64 = 300;

fn now() -> i64 {
    Clock::system().now().timestamp()
}

/// What the worker has sent, for a receiver that knows `secret`.
fn captured(what: &str, received: &Received, secret: &str) -> SignedRequest {
    let headers = received.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect();
    SignedRequest {
        what: what.to_owned(),
        secret: secret.to_owned(),
        headers,
        body_base64: STANDARD.encode(&received.body),
        event_id: received.header("webhook-id").unwrap().to_owned(),
        now: now(),
    }
}

/// The same request signed `age` seconds ago, by the code the worker signs with.
fn signed_ago(what: &str, request: &SignedRequest, age: i64) -> SignedRequest {
    let secret: SigningSecret = request.secret.parse().unwrap();
    let body = STANDARD.decode(&request.body_base64).unwrap();
    let stamp = now() - age;
    let input = SigningInput { event_id: &request.event_id, unix_s: stamp, body: &body };
    let schemes = Schemes::new([Scheme::XWebhook, Scheme::StandardWebhooks]).unwrap();
    let signed = sign(&LiveSecrets::from(secret), schemes, &input);
    let headers = signed.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
    SignedRequest { what: what.to_owned(), headers, now: now(), ..request.clone() }
}

fn with_body(what: &str, request: &SignedRequest, body: &[u8]) -> SignedRequest {
    SignedRequest { what: what.to_owned(), body_base64: STANDARD.encode(body), ..request.clone() }
}

/// What anybody must refuse of a genuine request.
fn forgeries(genuine: &SignedRequest) -> Vec<(SignedRequest, bool)> {
    let body = STANDARD.decode(&genuine.body_base64).unwrap();
    let tampered = String::from_utf8(body.clone()).unwrap().replace("one", "two");
    assert_ne!(tampered.as_bytes(), body);
    let stranger = SigningSecret::from_entropy(Clock::system().entropy32());
    let other = SignedRequest {
        what: "a secret of somebody else".to_owned(),
        secret: stranger.expose().to_owned(),
        ..genuine.clone()
    };
    let forgeries = [
        with_body("a tampered body", genuine, tampered.as_bytes()),
        with_body("a cut body", genuine, &body[..body.len() - 1]),
        with_body("an empty body", genuine, b""),
        other,
        signed_ago("a stale stamp", genuine, WINDOW + 2),
    ];
    forgeries.into_iter().map(|forgery| (forgery, false)).collect()
}

/// Signature headers that are none.
fn garbled(genuine: &SignedRequest) -> Vec<(SignedRequest, bool)> {
    let stamp = now().to_string();
    let texts = [
        String::new(),
        "garbage".to_owned(),
        "t=,e=,v1=".to_owned(),
        format!("t={stamp},e={}", genuine.event_id),
        format!("t={stamp},e={},v1=no hex", genuine.event_id),
        format!("t={stamp},v1={}", "0".repeat(64)),
        "v1=é".to_owned(),
    ];
    let mut requests: Vec<(SignedRequest, bool)> = texts
        .into_iter()
        .map(|text| {
            let what = format!("the signature {text:?}");
            let headers = BTreeMap::from([("x-webhook-signature".to_owned(), text)]);
            (SignedRequest { what, headers, ..genuine.clone() }, false)
        })
        .collect();
    let headers = BTreeMap::new();
    requests.push((SignedRequest { what: "no signature".to_owned(), headers, ..genuine.clone() }, false));
    requests
}

/// Holds the guide's Rust sample, which needs no other process, against the same expectations.
fn judge_in_rust(requests: &[(SignedRequest, bool)]) {
    for (request, expected) in requests {
        let signature = request.headers.get("x-webhook-signature").map_or("", String::as_str);
        let body = STANDARD.decode(&request.body_base64).unwrap();
        let verdict = guide::verify(&request.secret, signature, &body, request.now);
        assert_eq!(verdict.is_ok(), *expected, "{}: {verdict:?}", request.what);
        if let Ok(event_id) = verdict {
            assert_eq!(event_id, request.event_id);
        }
    }
    println!("GuideRust: {} requests judged as they should be", requests.len());
}

#[test]
fn the_rust_sample_that_is_compiled_here_is_the_one_in_the_guide() {
    assert_eq!(guide_block("rust verify"), include_str!("guide/verify.rs"));
}

#[tokio::test(flavor = "multi_thread")]
async fn outside_verifiers_take_what_the_worker_sends_and_refuse_forgeries() {
    let stack = Stack::start(StackOptions::default()).await;
    let receiver = Receiver::start().await;
    let partner = Partner::create(&stack, "acme", json!({})).await;
    let webhook = partner.subscribe(&receiver.url("/hook"), json!({})).await;
    partner.publish("ring.forged", json!({ "ring_id": "one", "text": "café ☃", "number": 1.50 })).await;
    let alone = receiver.wait_for(1).await.remove(0);

    let rotate = format!("/v1/external/webhooks/{}/rotate-secret", webhook.id);
    let rotated = partner.api.post(&rotate, &json!({ "overlap_seconds": 3600 })).await.expect(200);
    let fresh = rotated["secret"].as_str().unwrap();
    partner.publish("ring.forged", json!({ "ring_id": "one" })).await;
    let overlap = receiver.wait_for(2).await.remove(1);
    assert!(overlap.header(header::SIGNATURE).unwrap().contains(",v1p="), "{:?}", overlap.headers);

    let genuine = captured("a delivery", &alone, &webhook.secret);
    let mut requests = vec![
        (genuine.clone(), true),
        (captured("an overlap, known by the old secret", &overlap, &webhook.secret), true),
        (captured("an overlap, known by the new secret", &overlap, fresh), true),
        (captured("a delivery from before the new secret", &alone, fresh), false),
        (signed_ago("one within the window", &genuine, WINDOW / 2), true),
    ];
    requests.extend(forgeries(&genuine));
    for package in Verifier::PACKAGES {
        package.assert_verdicts(&requests).await;
    }

    // The samples are also told the time, and follow our rule for stamps of the future.
    let ahead = SignedRequest { what: "a stamp of the future".to_owned(), now: genuine.now - 60, ..genuine.clone() };
    let late =
        SignedRequest { what: "a delivery replayed later".to_owned(), now: now() + WINDOW + 2, ..genuine.clone() };
    requests.extend([(ahead, false), (late, false)]);
    requests.extend(garbled(&genuine));
    for sample in Verifier::samples() {
        sample.assert_verdicts(&requests).await;
    }
    judge_in_rust(&requests);
}

/// A request without any headers but these.
fn with_headers(what: &str, request: &SignedRequest, headers: &[(&str, &str)]) -> SignedRequest {
    let mut changed = SignedRequest { what: what.to_owned(), ..request.clone() };
    for (name, value) in headers {
        changed.headers.insert((*name).to_owned(), (*value).to_owned());
    }
    changed
}

#[tokio::test(flavor = "multi_thread")]
async fn public_keys_verify_what_the_worker_signs_and_libraries_that_know_none_still_verify_the_rest() {
    let stack = Stack::start(StackOptions::default()).await;
    let receiver = Receiver::start().await;
    let partner = Partner::create(&stack, "acme", json!({})).await;
    let schemes = json!({ "signature_schemes": ["standard-webhooks", "standard-webhooks-v1a"] });
    let webhook = partner.subscribe(&receiver.url("/hook"), schemes).await;
    let public_key = format!("/v1/external/webhooks/{}/public-key", webhook.id);
    let keys = partner.api.get(&public_key).await.expect(200);
    let first = keys["keys"][0]["public_key"].as_str().unwrap().to_owned();
    partner.publish("ring.forged", json!({ "ring_id": "one", "text": "café ☃" })).await;
    let alone = receiver.wait_for(1).await.remove(0);

    let rotate = format!("/v1/external/webhooks/{}/rotate-secret", webhook.id);
    let rotated = partner.api.post(&rotate, &json!({ "overlap_seconds": 3600 })).await.expect(200);
    let second = rotated["public_key"].as_str().unwrap();
    let listed = partner.api.get(&public_key).await.expect(200);
    let listed: Vec<&str> =
        listed["keys"].as_array().unwrap().iter().filter_map(|key| key["public_key"].as_str()).collect();
    assert_eq!(listed, [second, first.as_str()]);
    partner.publish("ring.forged", json!({ "ring_id": "one" })).await;
    let overlap = receiver.wait_for(2).await.remove(1);
    let signatures: Vec<&str> = overlap.header("webhook-signature").unwrap().split(' ').collect();
    assert_eq!(signatures.len(), 4, "both secrets and both key pairs: {signatures:?}");

    let genuine = captured("a delivery", &alone, &first);
    let body = STANDARD.decode(&genuine.body_base64).unwrap();
    let stranger = onering_signing::KeyPair::from_entropy(Clock::system().entropy32()).public_key().to_string();
    let stale = (now() - WINDOW - 2).to_string();
    let requests = vec![
        (genuine.clone(), true),
        (captured("an overlap, known by the old key", &overlap, &first), true),
        (captured("an overlap, known by the new key", &overlap, second), true),
        (captured("a delivery from before the new key", &alone, second), false),
        (captured("somebody else's key", &alone, &stranger), false),
        (with_body("a cut body", &genuine, &body[..body.len() - 1]), false),
        (with_headers("another stamp", &genuine, &[("webhook-timestamp", &stale)]), false),
        (with_headers("another event", &genuine, &[("webhook-id", "evt_1")]), false),
        (with_headers("no signature", &genuine, &[("webhook-signature", "")]), false),
        (with_headers("garbage", &genuine, &[("webhook-signature", "v1a,é v1a, v2,AA== v1a")]), false),
        (SignedRequest { what: "replayed later".to_owned(), now: now() + WINDOW + 2, ..genuine.clone() }, false),
    ];
    Verifier::GuideNodeV1a.assert_verdicts(&requests).await;

    // The packages know `v1` alone, and pass over what they do not know.
    let requests = [
        (captured("a delivery", &alone, &webhook.secret), true),
        (captured("an overlap", &overlap, &webhook.secret), true),
        (captured("an overlap", &overlap, rotated["secret"].as_str().unwrap()), true),
    ];
    for package in Verifier::PACKAGES {
        package.assert_verdicts(&requests).await;
    }
}
