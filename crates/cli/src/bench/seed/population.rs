//! The partners there are, and what each has subscribed to.

use std::ops::Range;

use anyhow::ensure;
use chrono::{DateTime, Days, Utc};
use onering_ids::{OwnerId, SubscriptionId};
use onering_store::seeding::SeedSubscription;

use super::dice::Dice;
use super::plan::Plan;

/// The event types that happen.
pub(super) const EVENT_TYPES: [&str; 4] =
    ["ring.forged", "draft.published", "ledger.entry_recorded", "enforcement.action_taken"];
/// What subscriptions ask for, by turns within each partner: all, or one type. So every event matches one at least.
const PATTERNS: [&str; 5] = ["*", EVENT_TYPES[0], EVENT_TYPES[1], EVENT_TYPES[2], EVENT_TYPES[3]];
/// Dice for subscriptions.
const SUBSCRIPTIONS: u64 = 1;

/// Partners with subscriptions, made up from a number.
pub(super) struct Population {
    seed: u64,
    worker: String,
    owners: Vec<OwnerId>,
    subscriptions: u64,
    made_at: DateTime<Utc>,
}

impl Population {
    /// Those of a plan.
    pub(super) fn new(plan: &Plan, now: DateTime<Utc>) -> anyhow::Result<Self> {
        let Plan { seed, partners, subscriptions, .. } = *plan;
        ensure!((1..=subscriptions).contains(&partners), "there must be a partner, and a subscription for each");
        let owners = (0..partners).map(|number| format!("seed-{seed:x}-{number}").parse());
        Ok(Self {
            seed,
            worker: format!("seed-{seed:x}"),
            owners: owners.collect::<Result<_, _>>()?,
            subscriptions,
            made_at: now - Days::new(u64::from(plan.days) + 1),
        })
    }

    /// What everything is made up from.
    pub(super) const fn seed(&self) -> u64 {
        self.seed
    }

    /// Who is said to have made all attempts.
    pub(super) fn worker(&self) -> &str {
        &self.worker
    }

    /// The partners.
    pub(super) fn owners(&self) -> &[OwnerId] {
        &self.owners
    }

    /// The subscriptions, by number.
    pub(super) const fn subscriptions(&self) -> Range<u64> {
        0..self.subscriptions
    }

    /// A subscription's row.
    pub(super) fn subscription(&self, number: u64) -> SeedSubscription<'_> {
        let partner = self.partner_of(number);
        SeedSubscription {
            webhook_id: self.webhook(number),
            owner: &self.owners[partner],
            // A name that never resolves (RFC 2606).
            url: format!("https://receiver-{number}.invalid/webhook"),
            pattern: pattern(number - self.subscriptions_of(partner).start),
            created_at: self.made_at,
        }
    }

    /// The subscriptions of a partner that an event of this type matches.
    pub(super) fn matching(&self, partner: usize, event_type: &str) -> impl Iterator<Item = SubscriptionId> {
        let all = self.subscriptions_of(partner);
        let matches = move |place: &u64| [PATTERNS[0], event_type].contains(&pattern(*place));
        let first = all.start;
        (0..all.end - first).filter(matches).map(move |place| self.webhook(first + place))
    }

    /// Some partner: the first ones have the most events, as it is with partners.
    pub(super) fn some_partner(&self, dice: &mut Dice) -> usize {
        let one = dice.below(self.owners.len() as u64);
        dice.below(one + 1) as usize
    }

    fn webhook(&self, number: u64) -> SubscriptionId {
        let made_ms = u64::try_from(self.made_at.timestamp_millis()).unwrap_or(0);
        SubscriptionId::from_uuid(Dice::of(self.seed, SUBSCRIPTIONS, number).id(made_ms))
    }

    /// The first partners have one more where they cannot all have the same.
    fn subscriptions_of(&self, partner: usize) -> Range<u64> {
        let (each, more) = self.shares();
        let first = |partner: u64| partner * each + partner.min(more);
        first(partner as u64)..first(partner as u64 + 1)
    }

    fn partner_of(&self, number: u64) -> usize {
        let (each, more) = self.shares();
        let larger = more * (each + 1);
        let partner = if number < larger { number / (each + 1) } else { more + (number - larger) / each };
        partner as usize
    }

    const fn shares(&self) -> (u64, u64) {
        let partners = self.owners.len() as u64;
        (self.subscriptions / partners, self.subscriptions % partners)
    }
}

fn pattern(place: u64) -> &'static str {
    PATTERNS[(place % PATTERNS.len() as u64) as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn population(partners: u64, subscriptions: u64) -> Population {
        let plan = Plan { partners, ..Plan::new(0, subscriptions, 7) };
        Population::new(&plan, "2026-11-22T12:00:00Z".parse().unwrap()).unwrap()
    }

    #[test]
    fn each_subscription_has_one_partner() {
        for (partners, subscriptions) in [(1, 1), (3, 3), (3, 10), (7, 100)] {
            let population = population(partners, subscriptions);
            for number in population.subscriptions() {
                let partner = population.partner_of(number);
                assert!(population.subscriptions_of(partner).contains(&number), "{number} of {subscriptions}");
            }
            let all = (0..partners).map(|partner| population.subscriptions_of(partner as usize));
            assert!(all.clone().all(|some| !some.is_empty()));
            assert_eq!(all.flatten().count() as u64, subscriptions);
        }
    }

    #[test]
    fn events_match_what_is_subscribed_to() {
        let population = population(3, 33);
        for partner in 0..3 {
            for event_type in EVENT_TYPES {
                let matching: Vec<_> = population.matching(partner, event_type).collect();
                let expected: Vec<_> = population
                    .subscriptions_of(partner)
                    .map(|number| population.subscription(number))
                    .filter(|row| row.pattern == "*" || row.pattern == event_type)
                    .map(|row| row.webhook_id)
                    .collect();
                assert!(!matching.is_empty() && matching == expected, "{event_type}");
            }
        }
    }

    #[test]
    fn a_partner_without_a_subscription_is_refused() {
        let plan = Plan { partners: 4, ..Plan::new(0, 3, 7) };
        assert!(Population::new(&plan, DateTime::UNIX_EPOCH).is_err());
    }
}
