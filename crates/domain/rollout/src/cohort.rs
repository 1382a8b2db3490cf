use onering_ids::OwnerId;

use crate::murmur3::murmur3_x86_32;
use crate::percent::Percent;

/// How many buckets partners are spread over: one for each thousandth of a percent.
pub const BUCKETS: u32 = 100_000;

/// The bucket of a partner, in `0..BUCKETS`: sticky for a salt, evenly spread, the same on every machine.
#[must_use]
pub fn bucket(salt: &str, owner: &str) -> u32 {
    let hash = murmur3_x86_32(salt.bytes().chain([b':']).chain(owner.bytes()));
    // The high half of hash × BUCKETS: below BUCKETS, as the hash is below 2^32.
    ((u64::from(hash) * u64::from(BUCKETS)) >> 32) as u32
}

/// The partners something is open to: a share of all of them, and every canary.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Cohort {
    /// The share of partners.
    pub percent: Percent,
    /// Which draw: the same salt at a larger share keeps every partner that was in.
    pub salt: String,
}

impl Cohort {
    /// Whether the partner is in. Canary partners always are.
    #[must_use]
    pub fn contains(&self, owner: &OwnerId, canary: bool) -> bool {
        canary || bucket(&self.salt, owner) < self.percent.thousandths()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn owners() -> impl Strategy<Value = OwnerId> {
        "[A-Za-z0-9][A-Za-z0-9_.:@-]{0,63}".prop_map(|name| name.parse().unwrap())
    }

    fn percents() -> impl Strategy<Value = Percent> {
        (0..=BUCKETS).prop_map(|thousandths| Percent::from_thousandths(thousandths).unwrap())
    }

    #[test]
    fn about_the_asked_share_is_in() {
        let cohort = Cohort { percent: "25".parse().unwrap(), salt: "even".to_owned() };
        let inside =
            (0..10_000).filter(|number| cohort.contains(&format!("partner-{number}").parse().unwrap(), false)).count();
        assert!((2_300..2_700).contains(&inside), "{inside} of 10,000");
    }

    proptest! {
        #[test]
        fn buckets_are_in_range(salt in ".{0,40}", owner in ".{0,80}") {
            prop_assert!(bucket(&salt, &owner) < BUCKETS);
        }

        #[test]
        fn a_smaller_share_is_a_subset(owner in owners(), salt in ".{0,20}", one in percents(), other in percents()) {
            let small = Cohort { percent: one.min(other), salt: salt.clone() };
            let large = Cohort { percent: one.max(other), salt };
            prop_assert!(!small.contains(&owner, false) || large.contains(&owner, false));
        }

        #[test]
        fn the_ends_hold_nobody_and_everybody(owner in owners(), salt in ".{0,20}") {
            let nobody = Cohort { percent: Percent::NONE, salt: salt.clone() };
            let everybody = Cohort { percent: Percent::ALL, salt };
            prop_assert!(!nobody.contains(&owner, false) && everybody.contains(&owner, false));
        }

        #[test]
        fn canaries_are_always_in(owner in owners(), percent in percents(), salt in ".{0,20}") {
            let cohort = Cohort { percent, salt };
            prop_assert!(cohort.contains(&owner, true));
        }
    }
}
