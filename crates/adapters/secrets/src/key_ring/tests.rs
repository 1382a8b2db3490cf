use proptest::collection::vec;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;

/// 32 bytes of 0, of 1, and of 0xff, each with the base64 that `base64(1)` prints.
const ZEROS: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const ONES: &str = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
const FULL: &str = "//////////////////////////////////////////8=";

/// Nonce, ciphertext and tag, in hexadecimal.
const GOLDEN: &str = concat!(
    "000102030405060708090a0b0c0d0e0f1011121314151617",
    "0fb8a8e0feceb0e78f220f26dabc0ff19736916c60ca1ded21278170"
);

fn ring(text: &str) -> KeyRing {
    KeyRing::parse(text, Clock::system()).unwrap()
}

fn row(n: u128) -> SecretId {
    SecretId::from_uuid(Uuid::from_u128(n))
}

#[test]
fn lists_are_read_with_spaces_and_with_or_without_padding() {
    let text = format!("new:{FULL}, k.1_a-B:{} ,old:{ZEROS}", ONES.trim_end_matches('='));
    let ring = ring(&text);
    assert_eq!(ring.kids().collect::<Vec<_>>(), ["new", "k.1_a-B", "old"]);
    assert_eq!(ring.sealing_kid(), "new");
}

#[test]
fn bad_lists_are_refused_by_reason_and_never_quoted() {
    let long = "k".repeat(65);
    let cases = [
        (String::new(), KeyRingError::Empty),
        (" \n".to_owned(), KeyRingError::Empty),
        (ONES.to_owned(), KeyRingError::Form { position: 1 }),
        (format!("a:{ONES},"), KeyRingError::Form { position: 2 }),
        (format!(":{ONES}"), KeyRingError::KeyId { position: 1 }),
        (format!("a:{ONES},b c:{ONES}"), KeyRingError::KeyId { position: 2 }),
        (format!("{long}:{ONES}"), KeyRingError::KeyId { position: 1 }),
        (format!("a:{ONES},a:{FULL}"), KeyRingError::Duplicate { kid: "a".to_owned() }),
        ("a:*nonsense*".to_owned(), KeyRingError::Base64 { kid: "a".to_owned() }),
        ("a:c2VjcmV0".to_owned(), KeyRingError::Length { kid: "a".to_owned(), length: 6 }),
        ("a:".to_owned(), KeyRingError::Length { kid: "a".to_owned(), length: 0 }),
    ];
    for (text, expected) in cases {
        let error = KeyRing::parse(&text, Clock::system()).unwrap_err();
        assert_eq!(error, expected, "{text}");
        let shown = format!("{error} {error:?}");
        assert!([ONES, "nonsense", "c2VjcmV0"].iter().all(|secret| !shown.contains(secret)), "{shown}");
    }
}

#[test]
fn what_was_stored_by_any_release_opens() {
    // Made by libsodium's crypto_aead_xchacha20poly1305_ietf_encrypt: key of ones, nonce 0, 1, … 23, id as below.
    let sealed = Sealed { kid: "k1".to_owned(), bytes: hex::decode(GOLDEN).unwrap() };
    let row = SecretId::from_uuid("01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap());
    assert_eq!(ring(&format!("k1:{ONES}")).open(row, &sealed).unwrap().as_slice(), b"whsec_golden");
}

#[test]
fn keys_are_replaced_without_a_pause() {
    let before = ring(&format!("old:{ONES}"));
    let sealed = before.seal(row(1), b"whsec_x").unwrap();
    assert_eq!(sealed.kid, "old");
    let during = ring(&format!("new:{FULL},old:{ONES}"));
    let secret = during.open(row(1), &sealed).unwrap();
    assert!(during.needs_resealing(&sealed));
    let resealed = during.seal(row(1), &secret).unwrap();
    assert!(!during.needs_resealing(&resealed));
    let after = ring(&format!("new:{FULL}"));
    assert_eq!(after.open(row(1), &resealed).unwrap().as_slice(), b"whsec_x");
    assert_eq!(after.open(row(1), &sealed), Err(OpenError::UnknownKey { kid: "old".to_owned() }));
}

#[test]
fn the_same_name_for_another_key_does_not_open() {
    let sealed = ring(&format!("k:{ONES}")).seal(row(1), b"whsec_x").unwrap();
    let refused = ring(&format!("k:{FULL}")).open(row(1), &sealed);
    assert_eq!(refused, Err(OpenError::Refused { kid: "k".to_owned() }));
}

#[test]
fn debug_shows_names_only() {
    let shown = format!("{:?}", ring(&format!("k1:{ONES},k2:{FULL}")));
    assert_eq!(shown, "KeyRing([\"k1\", \"k2\"])");
}

proptest! {
    #[test]
    fn what_is_sealed_opens_in_its_row_only(secret in vec(any::<u8>(), 0..200), id: u128, other: u128) {
        prop_assume!(id != other);
        let ring = ring(&format!("k:{ONES}"));
        let sealed = ring.seal(row(id), &secret).unwrap();
        prop_assert_eq!(sealed.bytes.len(), 24 + secret.len() + 16);
        let opened = ring.open(row(id), &sealed).unwrap();
        prop_assert_eq!(opened.as_slice(), secret);
        prop_assert_eq!(ring.open(row(other), &sealed), Err(OpenError::Refused { kid: "k".to_owned() }));
    }

    #[test]
    fn a_changed_or_cut_value_does_not_open(secret in vec(any::<u8>(), 0..80), at: prop::sample::Index, bit in 0_u8..8) {
        let ring = ring(&format!("k:{ONES}"));
        let sealed = ring.seal(row(7), &secret).unwrap();
        let mut changed = sealed.clone();
        let index = at.index(changed.bytes.len());
        changed.bytes[index] ^= 1 << bit;
        prop_assert!(ring.open(row(7), &changed).is_err());
        let mut cut = sealed;
        cut.bytes.truncate(index);
        prop_assert!(ring.open(row(7), &cut).is_err());
    }

    #[test]
    fn no_nonce_comes_twice(secret in vec(any::<u8>(), 0..20)) {
        let ring = ring(&format!("k:{ONES}"));
        let [one, other] = [(); 2].map(|()| ring.seal(row(7), &secret).unwrap());
        prop_assert_ne!(&one.bytes[..24], &other.bytes[..24]);
        prop_assert_ne!(&one.bytes[24..], &other.bytes[24..]);
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in ".{0,80}") {
        let _ = KeyRing::parse(&text, Clock::system());
    }
}
