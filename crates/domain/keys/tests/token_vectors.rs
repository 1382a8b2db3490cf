//! Tokens must be read alike by every implementation that shares the vectors.

use onering_keys::{ApiToken, TokenError};
use serde_json::Value;

const VECTORS: &str = include_str!("vectors/tokens.json");

#[test]
fn every_vector_is_read_and_its_garbled_twin_refused() {
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    let cases = vectors["cases"].as_array().unwrap();
    assert!(cases.len() >= 5, "the file holds {} cases", cases.len());
    for case in cases {
        let (token, garbled) = (case["token"].as_str().unwrap(), case["garbled"].as_str().unwrap());
        let digest = ApiToken::parse(token).unwrap().digest();
        assert_eq!(digest.to_string(), case["sha256"].as_str().unwrap(), "{token}");
        assert_eq!(ApiToken::digest_of(garbled), Err(TokenError::Checksum), "{garbled}");
    }
}
