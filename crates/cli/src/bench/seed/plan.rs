//! What is to be seeded.

use chrono::{DateTime, TimeDelta, Utc};
use onering_ids::{OwnerId, SubscriptionId};

use super::calendar::{Stretch, last_minute, spread};

/// Subscriptions of a partner, unless said otherwise.
const SUBSCRIPTIONS_OF_A_PARTNER: u64 = 10;
/// Days, unless said otherwise: what the default retention keeps.
const DAYS: u16 = 28;
/// The past ends a little before now, so that all of it is over.
const RECENTLY: TimeDelta = TimeDelta::seconds(5);

/// How much of what.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Deliveries, nearly all of them over.
    pub(crate) deliveries: u64,
    /// Subscriptions.
    pub(crate) subscriptions: u64,
    /// Partners that have them.
    pub(crate) partners: u64,
    /// Days the deliveries are spread over.
    pub(crate) days: u16,
    /// Further ones, which wait.
    pub(crate) waiting: Option<Waiting>,
    /// What everything is made up from.
    pub(crate) seed: u64,
    /// There may be events already.
    pub(crate) adds: bool,
}

/// Deliveries that wait for their first attempt.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    /// How many.
    pub(crate) deliveries: u64,
    /// Whether the sweep may take them at once; otherwise they are due in a month.
    pub(crate) is_due: bool,
    /// All to this subscription, which is there; otherwise to those that are made up.
    pub(crate) to: Option<(OwnerId, SubscriptionId)>,
}

impl Plan {
    /// So much, and all else as usual.
    pub(crate) fn new(deliveries: u64, subscriptions: u64, seed: u64) -> Self {
        let partners = (subscriptions / SUBSCRIPTIONS_OF_A_PARTNER).max(1);
        Self { deliveries, subscriptions, partners, days: DAYS, waiting: None, seed, adds: false }
    }

    /// Deliveries in all.
    pub(super) fn total(&self) -> u64 {
        self.deliveries + self.waiting.as_ref().map_or(0, |waiting| waiting.deliveries)
    }

    /// The days, and what happens on each.
    pub(super) fn stretches(&self, now: DateTime<Utc>) -> Vec<Stretch> {
        let until = now - RECENTLY;
        let mut stretches = spread(until, self.days, self.deliveries);
        if let Some(waiting) = &self.waiting {
            stretches.push(last_minute(until, u64::MAX, waiting.clone()));
        }
        stretches
    }
}
