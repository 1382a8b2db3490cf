//! Cohorts must be drawn alike by every implementation that shares the vectors.

use onering_rollout::bucket;
use serde_json::Value;

const VECTORS: &str = include_str!("vectors/cohorts.json");

#[test]
fn every_vector_falls_into_its_bucket() {
    let vectors: Value = serde_json::from_str(VECTORS).unwrap();
    let cases = vectors["cases"].as_array().unwrap();
    assert!(cases.len() >= 10, "the file holds {} cases", cases.len());
    for case in cases {
        let (salt, owner) = (case["salt"].as_str().unwrap(), case["owner_id"].as_str().unwrap());
        assert_eq!(u64::from(bucket(salt, owner)), case["bucket"].as_u64().unwrap(), "{salt}:{owner}");
    }
}
