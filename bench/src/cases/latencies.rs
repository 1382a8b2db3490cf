use std::hint::black_box;

use onering_metrics_model::Precision;

use crate::{Prepared, routine};

/// The buckets of 64 latencies from a millisecond to some minutes.
pub(super) fn bucket() -> Prepared {
    let latencies_ms: Vec<u64> = (0..64).map(|index| 1 + index * index * index).collect();
    routine(move || {
        latencies_ms.iter().map(|latency_ms| Precision::TWO_DIGITS.bucket_of(black_box(*latency_ms))).sum::<u64>()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_a_little_below_their_values() {
        let values: u64 = (0..64).map(|index| 1 + index * index * index).sum();
        let buckets: u64 = bucket().unwrap().show().parse().unwrap();
        assert!(buckets < values && buckets > values / 128 * 127, "{buckets} of {values}");
    }
}
