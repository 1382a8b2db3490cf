//! Signing and verifying against each other and against a library of others.
#![allow(clippy::disallowed_methods, reason = "the outside library compares with the machine's clock")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use onering_signing::{
    Freshness, KeyAge, KeyPair, LiveSecrets, ReceiverKey, Scheme, Schemes, SignatureHeaders, SigningInput, SigningKeys,
    SigningSecret, Verifier, VerifyError, header, sign,
};
use proptest::prelude::*;

const NOW: i64 = 1_763_769_600;
const EVENT_ID: &str = "evt_01jd8x3v0eftk9q6p3n7s5w2ab";

fn secret(seed: u8) -> SigningSecret {
    SigningSecret::from_entropy([seed; 32])
}

fn keys(seed: u8) -> SigningKeys {
    SigningKeys { secret: secret(seed), key_pair: Some(KeyPair::from_entropy([seed; 32])) }
}

fn signed(secrets: &LiveSecrets, scheme: Scheme, event_id: &str, unix_s: i64, body: &[u8]) -> SignatureHeaders {
    sign(secrets, scheme.into(), &SigningInput { event_id, unix_s, body })
}

fn check(seed: u8, scheme: Scheme, headers: &[(&str, String)], body: &[u8], now: i64) -> Result<(), VerifyError> {
    with(seed, scheme, headers, body, now).map(|_| ())
}

/// Which of the sender's keys a receiver that knows those of `seed` verifies with.
fn with(seed: u8, scheme: Scheme, headers: &[(&str, String)], body: &[u8], now: i64) -> Result<KeyAge, VerifyError> {
    let find = |name: &'static str| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
    let public = KeyPair::from_entropy([seed; 32]).public_key();
    let verifier = Verifier::knowing([ReceiverKey::from(secret(seed)), ReceiverKey::from(public)]);
    verifier.verify(scheme, find, body, now).map(|verified| verified.with)
}

fn schemes() -> impl Strategy<Value = Scheme> {
    prop::sample::select(&Scheme::ALL[..])
}

proptest! {
    #[test]
    fn what_is_signed_verifies(
        scheme in schemes(),
        seed: u8,
        event_id in "[A-Za-z0-9_-]{1,128}",
        unix_s in 0..i64::MAX,
        body in prop::collection::vec(any::<u8>(), 0..300),
        overlap: bool,
    ) {
        let previous = overlap.then(|| keys(seed.wrapping_add(1)));
        let secrets = LiveSecrets { current: keys(seed), previous };
        let headers: Vec<_> = signed(&secrets, scheme, &event_id, unix_s, &body).into_iter().collect();
        prop_assert_eq!(with(seed, scheme, &headers, &body, unix_s), Ok(KeyAge::Current));
        let with_the_old = with(seed.wrapping_add(1), scheme, &headers, &body, unix_s).ok();
        let expected = (overlap && scheme != Scheme::TimestampBody).then_some(KeyAge::Previous);
        prop_assert_eq!(with_the_old, expected);
    }

    #[test]
    fn one_flipped_bit_anywhere_is_refused(
        scheme in schemes(),
        body in prop::collection::vec(any::<u8>(), 1..100),
        place: prop::sample::Index,
        bit in 0_u8..8,
        which: prop::sample::Index,
    ) {
        let headers: Vec<_> = signed(&keys(1).into(), scheme, EVENT_ID, NOW, &body).into_iter().collect();
        let mut damaged_body = body.clone();
        damaged_body[place.index(body.len())] ^= 1 << bit;
        prop_assert_eq!(check(1, scheme, &headers, &damaged_body, NOW), Err(VerifyError::Signature));

        let mut damaged = headers;
        let (_, value) = &mut damaged[which.index(headers_len(scheme))];
        let mut bytes = std::mem::take(value).into_bytes();
        let at = place.index(bytes.len());
        bytes[at] ^= 1 << bit;
        // Headers are ASCII; hex digits mean the same in either case, so that one flip is no damage.
        let harmless = bytes[at].is_ascii_alphabetic() && bit == 5 && is_hex_digit_of_a_code(scheme, &bytes, at);
        if let Ok(text) = String::from_utf8(bytes) {
            *value = text;
            let verdict = check(1, scheme, &damaged, &body, NOW);
            prop_assert!(verdict.is_err() || harmless, "{damaged:?}");
        }
    }

    #[test]
    fn any_headers_are_judged(scheme in schemes(), values in prop::collection::vec("[tev1p=,. 0-9a-f]{0,80}", 6)) {
        let names = [
            header::SIGNATURE,
            header::TIMESTAMP,
            header::SIGNATURE_TIMESTAMP_BODY,
            header::STANDARD_ID,
            header::STANDARD_TIMESTAMP,
            header::STANDARD_SIGNATURE,
        ];
        let headers: Vec<_> = names.into_iter().zip(values).collect();
        let verdict = check(1, scheme, &headers, b"{}", NOW);
        prop_assert!(verdict.is_err());
    }
}

fn headers_len(scheme: Scheme) -> usize {
    if is_standard(scheme) { 3 } else { 2 }
}

fn is_standard(scheme: Scheme) -> bool {
    matches!(scheme, Scheme::StandardWebhooks | Scheme::StandardWebhooksV1a)
}

fn is_hex_digit_of_a_code(scheme: Scheme, value: &[u8], at: usize) -> bool {
    let code_begins = value.len().saturating_sub(64);
    !is_standard(scheme) && value.len() >= 64 && at >= code_begins
}

#[test]
fn staleness_is_told_apart_from_forgery() {
    for scheme in Scheme::ALL {
        let headers: Vec<_> = signed(&keys(1).into(), scheme, EVENT_ID, NOW, b"{}").into_iter().collect();
        assert_eq!(check(1, scheme, &headers, b"{}", NOW + 300), Ok(()));
        let late = check(1, scheme, &headers, b"{}", NOW + 301).unwrap_err();
        assert_eq!((late, late.is_stale()), (VerifyError::TooOld { age_s: 301 }, true));
        let early = check(1, scheme, &headers, b"{}", NOW - 31).unwrap_err();
        assert_eq!((early, early.is_stale()), (VerifyError::TooFarAhead { ahead_s: 31 }, true));
        let forged = check(2, scheme, &headers, b"{}", NOW + 301).unwrap_err();
        assert_eq!((forged, forged.is_stale()), (VerifyError::Signature, false));
    }
}

#[test]
fn each_missing_header_is_named() {
    for scheme in Scheme::ALL {
        let headers: Vec<_> = signed(&keys(1).into(), scheme, EVENT_ID, NOW, b"{}").into_iter().collect();
        for (index, (name, _)) in headers.iter().enumerate() {
            let mut fewer = headers.clone();
            fewer.remove(index);
            // x-webhook carries its own stamp and works without the extra header.
            let expected = match (scheme, *name) {
                (Scheme::XWebhook, header::TIMESTAMP) => Ok(()),
                _ => Err(VerifyError::Missing { header: name }),
            };
            assert_eq!(check(1, scheme, &fewer, b"{}", NOW), expected, "{scheme} without {name}");
        }
    }
}

#[test]
fn unsigned_headers_cannot_contradict_the_signed_ones() {
    let mut headers: Vec<_> = signed(&keys(1).into(), Scheme::XWebhook, EVENT_ID, NOW, b"{}").into_iter().collect();
    headers.push((header::EVENT_ID, "evt_other".to_owned()));
    let verdict = check(1, Scheme::XWebhook, &headers, b"{}", NOW);
    assert_eq!(verdict, Err(VerifyError::Malformed { header: header::EVENT_ID }));
}

/// `<t>.<id>.<body>` could be cut in two places if an id might hold a dot.
#[test]
fn a_dot_cannot_wander_from_the_body_into_the_id() {
    let mut headers: Vec<_> = signed(&keys(1).into(), Scheme::XWebhook, "evt_1", NOW, b"a.b").into_iter().collect();
    headers[0].1 = headers[0].1.replace("e=evt_1", "e=evt_1.a");
    let verdict = check(1, Scheme::XWebhook, &headers, b"b", NOW);
    assert_eq!(verdict, Err(VerifyError::Malformed { header: header::SIGNATURE }));
}

#[test]
fn a_doubled_stamp_is_refused_and_a_later_version_passed_over() {
    let headers: Vec<_> = signed(&keys(1).into(), Scheme::XWebhook, EVENT_ID, NOW, b"{}").into_iter().collect();
    let with = |extra: &str| {
        let mut changed = headers.clone();
        changed[0].1.push_str(extra);
        check(1, Scheme::XWebhook, &changed, b"{}", NOW)
    };
    assert_eq!(with(",v2=abc"), Ok(()));
    assert_eq!(with(&format!(",t={NOW}")), Err(VerifyError::Malformed { header: header::SIGNATURE }));
    assert_eq!(with(",v1=abc"), Err(VerifyError::Malformed { header: header::SIGNATURE }));
}

#[test]
fn a_key_of_the_other_kind_judges_nothing() {
    let headers: Vec<_> =
        signed(&keys(1).into(), Scheme::StandardWebhooksV1a, EVENT_ID, NOW, b"{}").into_iter().collect();
    let find = |name: &'static str| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
    let (secret_alone, public_alone) =
        (Verifier::new(secret(1)), Verifier::knowing([ReceiverKey::from(KeyPair::from_entropy([1; 32]).public_key())]));
    assert_eq!(secret_alone.verify(Scheme::StandardWebhooksV1a, find, b"{}", NOW), Err(VerifyError::Signature));
    assert!(public_alone.verify(Scheme::StandardWebhooksV1a, find, b"{}", NOW).is_ok());
    for scheme in Scheme::ALL {
        let is_v1a = scheme == Scheme::StandardWebhooksV1a;
        assert_eq!((secret_alone.can_judge(scheme), public_alone.can_judge(scheme)), (!is_v1a, is_v1a));
    }
}

#[test]
fn the_places_of_signatures_tell_the_keys_apart_whatever_others_stand_between() {
    let secrets = LiveSecrets { current: keys(1), previous: Some(keys(2)) };
    let schemes = Schemes::new([Scheme::StandardWebhooks, Scheme::StandardWebhooksV1a]).unwrap();
    let signed = sign(&secrets, schemes, &SigningInput { event_id: EVENT_ID, unix_s: NOW, body: b"{}" });
    let headers: Vec<_> = signed.into_iter().collect();
    for scheme in schemes.iter() {
        assert_eq!(with(1, scheme, &headers, b"{}", NOW), Ok(KeyAge::Current));
        assert_eq!(with(2, scheme, &headers, b"{}", NOW), Ok(KeyAge::Previous));
        assert_eq!(with(3, scheme, &headers, b"{}", NOW), Err(VerifyError::Signature));
    }
}

#[test]
fn two_secrets_and_a_window_of_ones_own() {
    let headers: Vec<_> = signed(&keys(2).into(), Scheme::XWebhook, EVENT_ID, NOW, b"{}").into_iter().collect();
    let find = |name: &'static str| headers.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
    let verifier = Verifier::new(secret(1)).or(secret(2)).fresh(Freshness::within(Duration::from_secs(5)));
    assert!(verifier.verify(Scheme::XWebhook, find, b"{}", NOW + 5).is_ok());
    assert!(verifier.verify(Scheme::XWebhook, find, b"{}", NOW + 6).unwrap_err().is_stale());
}

#[test]
fn the_standardwebhooks_library_accepts_what_we_sign() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().cast_signed();
    let body = r#"{"event_id":"evt_1","data":{"title":"café ☃"}}"#;
    let secrets = LiveSecrets { current: secret(1).into(), previous: Some(secret(2).into()) };
    let signed =
        sign(&secrets, Schemes::default(), &SigningInput { event_id: EVENT_ID, unix_s: now, body: body.as_bytes() });
    let headers: http::HeaderMap = signed
        .iter()
        .map(|(name, value)| (name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap()))
        .collect();
    for known in [&secrets.current, secrets.previous.as_ref().unwrap()] {
        let theirs = standardwebhooks::Webhook::new(known.secret.expose()).unwrap();
        theirs.verify(body.as_bytes(), &headers).unwrap();
        theirs.verify(body.replace("café", "cafe").as_bytes(), &headers).unwrap_err();
    }
    let stranger = standardwebhooks::Webhook::new(secret(3).expose()).unwrap();
    stranger.verify(body.as_bytes(), &headers).unwrap_err();
}

#[test]
fn we_accept_what_the_standardwebhooks_library_signs() {
    let theirs = standardwebhooks::Webhook::new(secret(1).expose()).unwrap();
    let headers = [
        (header::STANDARD_ID, "msg_1".to_owned()),
        (header::STANDARD_TIMESTAMP, NOW.to_string()),
        (header::STANDARD_SIGNATURE, format!("v1a,AAAA {}", theirs.sign("msg_1", NOW, b"{}").unwrap())),
    ];
    assert_eq!(check(1, Scheme::StandardWebhooks, &headers, b"{}", NOW), Ok(()));
}
