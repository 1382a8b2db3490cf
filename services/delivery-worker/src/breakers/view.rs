//! One worker's copy of the breakers. Pure.

use std::collections::{HashMap, HashSet};

use onering_delivery::{Breaker, BreakerInput, BreakerPolicy, DatabaseTime, Reach};
use onering_ids::SubscriptionId;
use onering_queue::BreakerOutcome;

use super::Told;

/// Breakers by subscription; a healthy one is not there.
#[derive(Debug, Default)]
pub(super) struct View(HashMap<SubscriptionId, Breaker>);

impl View {
    /// A subscription's breaker.
    pub(super) fn breaker(&self, webhook_id: SubscriptionId) -> Breaker {
        self.0.get(&webhook_id).copied().unwrap_or_default()
    }

    /// Breakers that are not closed.
    pub(super) fn open(&self) -> usize {
        self.0.values().filter(|breaker| !breaker.is_closed()).count()
    }

    /// What of these results can change a breaker: failures, and what arrived at a subscription that ails, or fails earlier
    /// in the same batch.
    pub(super) fn worth_telling(&self, told: impl Iterator<Item = Told>) -> Vec<(SubscriptionId, BreakerInput)> {
        let mut failed = HashSet::new();
        told.filter(|told| match told.reach {
            Reach::Failed => {
                failed.insert(told.webhook_id);
                true
            }
            Reach::Reached => self.0.contains_key(&told.webhook_id) || failed.contains(&told.webhook_id),
        })
        .map(|told| (told.webhook_id, BreakerInput::Result { delivery: told.delivery_id, reach: told.reach }))
        .collect()
    }

    /// Applies inputs to this copy alone.
    pub(super) fn take(
        &mut self,
        inputs: &[(SubscriptionId, BreakerInput)],
        policy: &BreakerPolicy,
        now: DatabaseTime,
    ) -> Vec<BreakerOutcome> {
        inputs
            .iter()
            .map(|(webhook_id, input)| {
                let mut breaker = self.breaker(*webhook_id);
                let change = breaker.take(input, policy, now);
                self.learn([(*webhook_id, breaker)].into_iter());
                BreakerOutcome { breaker, change }
            })
            .collect()
    }

    /// Takes over breakers as they now stand, the last of a subscription's being the one that counts.
    pub(super) fn learn(&mut self, breakers: impl Iterator<Item = (SubscriptionId, Breaker)>) {
        for (webhook_id, breaker) in breakers {
            if breaker.is_healthy() {
                self.0.remove(&webhook_id);
            } else {
                self.0.insert(webhook_id, breaker);
            }
        }
    }

    /// Takes over all breakers, and answers whether one that was not closed now is.
    pub(super) fn replace(&mut self, ailing: Vec<(SubscriptionId, Breaker)>) -> bool {
        let before = std::mem::take(&mut self.0);
        self.learn(ailing.into_iter());
        before.iter().any(|(webhook_id, breaker)| !breaker.is_closed() && self.breaker(*webhook_id).is_closed())
    }
}

#[cfg(test)]
mod tests {
    use onering_ids::DeliveryId;
    use uuid::Uuid;

    use super::*;

    const NOW: DatabaseTime = DatabaseTime::from_millis(1_763_769_600_000);

    fn subscription(number: u128) -> SubscriptionId {
        SubscriptionId::from_uuid(Uuid::from_u128(number))
    }

    fn told(number: u128, reach: Reach) -> Told {
        let delivery_id = DeliveryId::from_uuid(Uuid::from_u128(number));
        Told { webhook_id: subscription(number), delivery_id, reach }
    }

    fn worth(view: &View, results: &[(u128, Reach)]) -> Vec<usize> {
        let results = || results.iter().map(|(number, reach)| told(*number, *reach));
        let told = view.worth_telling(results());
        let mut told = told.iter().map(|(webhook_id, _)| *webhook_id).peekable();
        results().enumerate().filter_map(|(index, result)| told.next_if_eq(&result.webhook_id).map(|_| index)).collect()
    }

    #[test]
    fn a_healthy_subscriptions_successes_are_nobodys_business() {
        use Reach::{Failed, Reached};
        let mut view = View::default();
        assert_eq!(worth(&view, &[(1, Reached), (2, Reached)]), [0; 0]);
        // What comes after a failure ends its row; a success of another tells nothing.
        assert_eq!(worth(&view, &[(2, Reached), (1, Failed), (1, Reached), (2, Reached)]), [1, 2]);
        view.learn([(subscription(2), Breaker::Closed { failures: 1 })].into_iter());
        assert_eq!(worth(&view, &[(1, Reached), (2, Reached)]), [1]);
    }

    #[test]
    fn without_redis_the_copy_follows_the_same_rules() {
        let policy = BreakerPolicy::default();
        let mut view = View::default();
        let fail = view.worth_telling(std::iter::repeat_n(told(1, Reach::Failed), 5));
        let outcomes = view.take(&fail, &policy, NOW);
        assert!(outcomes[4].change.is_some() && !outcomes[4].breaker.is_closed());
        assert_eq!((view.breaker(subscription(1)), view.open()), (outcomes[4].breaker, 1));
        let delivery = told(1, Reach::Reached).delivery_id;
        let probe = [(subscription(1), BreakerInput::Ask { delivery, lease: policy.first_pause() })];
        let later = NOW.plus(policy.first_pause());
        assert!(view.take(&probe, &policy, later)[0].change.is_some());
        let arrived = view.worth_telling([told(1, Reach::Reached)].into_iter());
        view.take(&arrived, &policy, later);
        assert!(view.breaker(subscription(1)).is_healthy() && view.0.is_empty());
    }

    #[test]
    fn what_is_no_longer_there_has_closed() {
        let mut view = View::default();
        let open = Breaker::Open { opens: 1, until: NOW };
        assert!(!view.replace(vec![(subscription(1), open), (subscription(2), Breaker::Closed { failures: 1 })]));
        assert!(!view.replace(vec![(subscription(1), open)]), "the other was closed before");
        assert!(view.replace(vec![(subscription(1), Breaker::Closed { failures: 2 })]));
        view.replace(vec![(subscription(1), open)]);
        assert!(view.replace(Vec::new()));
    }
}
