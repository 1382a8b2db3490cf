//! Whose deliveries go into the stream when it is long. Pure.
//!
//! The stream is one queue for all, so a flood in it delays everybody behind it. While the workers keep up it is short and
//! takes whatever comes, also from one subscription alone. Once it is long, each subscription may add its share until it is
//! short again; the surplus stays in Postgres, where the sweep finds it. So the flood waits for itself, and what others add
//! stands behind no more than a few thousand. A subscription that has been alone for long delays nobody and may add more.

use std::collections::HashMap;

use onering_ids::SubscriptionId;

/// With more deliveries in it than this that no worker has taken, the stream is long: less than a second's work, and more than
/// piles up while the workers keep up.
const LONG: u64 = 4_096;
/// For a subscription that is alone it is long with more than this.
const LONG_FOR_ONE: u64 = 12_288;
/// A subscription is alone when it is the only one there ever was, or of the last so many deliveries.
const ALONE_AFTER: u64 = 100_000;
/// What each subscription may add to a long stream.
const SHARE: u32 = 256;
/// More subscriptions than this are not told apart within one long time; the others have had their share.
const MOST_TOLD_APART: usize = 16_384;

/// What was added since the stream is long.
#[derive(Debug, Default)]
pub(super) struct Fairness {
    waiting: u64,
    added: HashMap<SubscriptionId, u32>,
    /// Whose the latest delivery was, and how many before it were nobody else's.
    latest: Option<(SubscriptionId, u64)>,
}

impl Fairness {
    /// Notes how many deliveries wait in the stream.
    pub(super) fn heard(&mut self, waiting: u64) {
        self.waiting = waiting;
        if !self.is_long() {
            self.added.clear();
        }
    }

    /// Whether the stream was long when last heard of: then it has to be asked again.
    pub(super) const fn is_long(&self) -> bool {
        self.waiting > LONG
    }

    /// Those that have had their share of a stream that is still long.
    pub(super) fn surplus(&self) -> Vec<SubscriptionId> {
        if !self.is_long() {
            return Vec::new();
        }
        let lone = self.latest.filter(|(_, unbroken)| *unbroken >= ALONE_AFTER && self.waiting <= LONG_FOR_ONE);
        let has_had_it = |(subscription, added): (&SubscriptionId, &u32)| {
            (*added >= SHARE && lone.is_none_or(|(lone, _)| lone != *subscription)).then_some(*subscription)
        };
        let mut surplus: Vec<SubscriptionId> = self.added.iter().filter_map(has_had_it).collect();
        surplus.sort_unstable();
        surplus
    }

    /// Whether one more of this subscription may be added.
    pub(super) fn admits(&mut self, subscription: SubscriptionId) -> bool {
        let is_alone = self.is_alone(subscription);
        if !self.is_long() || (is_alone && self.waiting <= LONG_FOR_ONE) {
            return true;
        }
        let is_known = self.added.contains_key(&subscription);
        if !is_known && self.added.len() >= MOST_TOLD_APART {
            return false;
        }
        let added = self.added.entry(subscription).or_default();
        let admits = *added < SHARE;
        *added += u32::from(admits);
        admits
    }

    /// Notes a delivery, and whether there was nobody else for long.
    fn is_alone(&mut self, subscription: SubscriptionId) -> bool {
        let unbroken = match self.latest {
            None => ALONE_AFTER,
            Some((latest, unbroken)) if latest == subscription => unbroken.saturating_add(1),
            Some(_) => 0,
        };
        self.latest = Some((subscription, unbroken));
        unbroken >= ALONE_AFTER
    }
}

#[cfg(test)]
mod tests {
    use onering_ids::SubscriptionId;
    use proptest::prelude::*;

    use super::*;

    fn subscription(number: u64) -> SubscriptionId {
        SubscriptionId::floor(number)
    }

    fn admitted(fairness: &mut Fairness, number: u64, asked: u32) -> u32 {
        (0..asked).map(|_| u32::from(fairness.admits(subscription(number)))).sum()
    }

    #[test]
    fn surplus_is_of_those_who_have_had_their_share_until_the_stream_is_short() {
        let mut fairness = shared();
        assert_eq!(admitted(&mut fairness, 1, 10), 10);
        assert!(fairness.surplus().is_empty());
        fairness.heard(LONG + 1);
        assert_eq!((admitted(&mut fairness, 1, SHARE + 5), admitted(&mut fairness, 2, SHARE - 1)), (SHARE, SHARE - 1));
        assert_eq!(fairness.surplus(), [subscription(1)]);
        fairness.heard(LONG);
        assert!(fairness.surplus().is_empty());
    }

    #[test]
    fn who_is_alone_is_no_surplus_before_its_own_bound() {
        let mut fairness = Fairness::default();
        fairness.heard(LONG_FOR_ONE + 1);
        assert_eq!(admitted(&mut fairness, 1, SHARE + 1), SHARE);
        assert_eq!(fairness.surplus(), [subscription(1)]);
        fairness.heard(LONG_FOR_ONE);
        assert!(fairness.surplus().is_empty());
    }

    /// One that knows of somebody else.
    fn shared() -> Fairness {
        let mut fairness = Fairness::default();
        assert!(fairness.admits(subscription(9)));
        assert!(fairness.admits(subscription(8)));
        fairness
    }

    #[test]
    fn one_alone_may_add_more_until_there_is_another() {
        let mut fairness = Fairness::default();
        fairness.heard(LONG_FOR_ONE);
        assert_eq!(admitted(&mut fairness, 1, 10_000), 10_000);
        assert_eq!(admitted(&mut fairness, 2, 1), 1);
        assert_eq!(admitted(&mut fairness, 1, 10_000), SHARE);
        assert_eq!(admitted(&mut fairness, 1, 100_000), 10_000, "nobody else for long");
        fairness.heard(LONG_FOR_ONE + 1);
        assert_eq!(admitted(&mut fairness, 1, 1_000), 0);
        assert_eq!(admitted(&mut fairness, 2, 1_000), SHARE - 1);
    }

    #[test]
    fn a_short_stream_takes_everything_of_one_alone() {
        let mut fairness = shared();
        assert_eq!(admitted(&mut fairness, 1, 100_000), 100_000);
        fairness.heard(LONG);
        assert_eq!(admitted(&mut fairness, 1, 100_000), 100_000);
    }

    #[test]
    fn a_long_stream_takes_a_share_of_each_until_it_is_short_again() {
        let mut fairness = shared();
        fairness.heard(LONG + 1);
        assert_eq!(admitted(&mut fairness, 1, 50_000), SHARE);
        assert_eq!(admitted(&mut fairness, 2, 1), 1);
        fairness.heard(LONG + 2);
        assert_eq!(admitted(&mut fairness, 1, 1), 0, "its share is for the whole long time");
        assert_eq!(admitted(&mut fairness, 2, 1_000), SHARE - 1);
        fairness.heard(LONG);
        assert_eq!(admitted(&mut fairness, 1, 1_000), 1_000);
        fairness.heard(LONG + 1);
        assert_eq!(admitted(&mut fairness, 1, 1_000), SHARE);
    }

    #[test]
    fn what_it_remembers_is_bounded() {
        let mut fairness = shared();
        fairness.heard(u64::MAX);
        let all = MOST_TOLD_APART as u64 + 10;
        assert_eq!((0..all).map(|number| admitted(&mut fairness, number, 1)).sum::<u32>(), MOST_TOLD_APART as u32);
        assert_eq!(admitted(&mut fairness, 0, 1), 1, "who is known is not cut off");
    }

    proptest! {
        /// Whatever the flood, a long stream grows by a share a subscription at most, and nobody is refused before that.
        #[test]
        fn a_long_stream_grows_by_shares(asked in prop::collection::vec(0_u64..6, 0..5_000)) {
            let mut fairness = shared();
            fairness.heard(LONG + 1);
            let mut counts = [0_u32; 6];
            for number in asked {
                let count = &mut counts[number as usize];
                prop_assert_eq!(fairness.admits(subscription(number)), *count < SHARE);
                *count += 1;
            }
        }
    }
}
