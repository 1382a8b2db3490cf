use std::collections::BTreeMap;

/// How exactly a latency is kept: an HDR layout of so many significant digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Precision {
    /// Values are exact below 2 to this power, and keep this many leading bits above.
    bits: u32,
}

impl Precision {
    /// Two significant digits: what the minutes' latencies are kept at. Each digit more is ten times the rows.
    pub const TWO_DIGITS: Self = Self { bits: 8 };

    /// The bucket of a value: the lowest value that counts as equal to it.
    #[must_use]
    pub const fn bucket_of(self, value: u64) -> u64 {
        let length = u64::BITS - value.leading_zeros();
        let shift = length.saturating_sub(self.bits);
        (value >> shift) << shift
    }
}

/// Latencies as counts by bucket. Adding up two of the same precision loses nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Histogram {
    buckets: BTreeMap<u64, u64>,
}

impl Histogram {
    /// Counts `count` values of a bucket.
    pub fn add(&mut self, bucket: u64, count: u64) {
        let sum = self.buckets.entry(bucket).or_default();
        *sum = sum.saturating_add(count);
    }

    /// How many values there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.values().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// The buckets and their counts, lowest first.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        self.buckets.iter().map(|(bucket, count)| (*bucket, *count))
    }

    /// The bucket below or in which `share` of the values lie (0.9: the 90th percentile); `None` without values.
    ///
    /// The answer is a bucket's lowest value: exact for small latencies, and at two digits less than 0.8 % low for
    /// others.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<u64> {
        let total = self.count();
        let share = if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) };
        // The last value of the share, from 1. The conversion to an integer saturates.
        let rank = ((share * total as f64).ceil() as u64).clamp(1, total.max(1));
        let mut below = 0_u64;
        self.buckets.iter().find_map(|(bucket, count)| {
            below = below.saturating_add(*count);
            (below >= rank).then_some(*bucket)
        })
    }
}

impl FromIterator<(u64, u64)> for Histogram {
    fn from_iter<I: IntoIterator<Item = (u64, u64)>>(pairs: I) -> Self {
        let mut histogram = Self::default();
        pairs.into_iter().for_each(|(bucket, count)| histogram.add(bucket, count));
        histogram
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn small_values_are_exact() {
        assert!((0..256).all(|value| Precision::TWO_DIGITS.bucket_of(value) == value));
        assert_eq!(Precision::TWO_DIGITS.bucket_of(257), 256);
        assert_eq!(Precision::TWO_DIGITS.bucket_of(u64::MAX), 255 << 56);
    }

    #[test]
    fn quantiles_of_known_values() {
        let histogram: Histogram = (1..=100).map(|value| (value, 1)).collect();
        for (share, value) in [(0.0, 1), (0.5, 50), (0.9, 90), (0.95, 95), (0.99, 99), (1.0, 100), (7.0, 100)] {
            assert_eq!(histogram.quantile(share), Some(value), "{share}");
        }
        assert_eq!(histogram.quantile(f64::NAN), Some(1));
        assert_eq!(Histogram::default().quantile(0.5), None);
        assert_eq!(Histogram::from_iter([(7, 0)]).quantile(0.5), None, "a bucket without values");
        assert_eq!(Histogram::from_iter([(7, 1)]).quantile(0.01), Some(7));
    }

    proptest! {
        #[test]
        fn buckets_are_those_of_hdrhistogram(value in 0_u64..1 << 60) {
            let theirs = hdrhistogram::Histogram::<u64>::new(2).unwrap();
            prop_assert_eq!(Precision::TWO_DIGITS.bucket_of(value), theirs.lowest_equivalent(value));
        }

        #[test]
        fn quantiles_are_those_of_hdrhistogram(
            values in prop::collection::vec(0_u64..100_000_000, 1..200),
            share in 0.001_f64..=1.0,
        ) {
            let mut theirs = hdrhistogram::Histogram::<u64>::new(2).unwrap();
            values.iter().for_each(|value| theirs.record(*value).unwrap());
            let ours: Histogram = values.iter().map(|value| (Precision::TWO_DIGITS.bucket_of(*value), 1)).collect();
            let expected = theirs.lowest_equivalent(theirs.value_at_quantile(share));
            prop_assert_eq!(ours.quantile(share), Some(expected));
        }

        #[test]
        fn any_counts_are_summed(pairs in prop::collection::vec(any::<(u64, u64)>(), 0..20), share in prop::num::f64::ANY) {
            let histogram: Histogram = pairs.iter().copied().collect();
            prop_assert_eq!(histogram.quantile(share).is_some(), histogram.count() > 0);
        }

        #[test]
        fn a_bucket_is_its_own_bucket(value: u64) {
            let bucket = Precision::TWO_DIGITS.bucket_of(value);
            prop_assert_eq!(Precision::TWO_DIGITS.bucket_of(bucket), bucket);
            prop_assert!(value - bucket <= value / 128);
        }
    }
}
