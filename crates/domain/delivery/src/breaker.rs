//! The breaker of one subscription: after enough failures in a row its receiver is left alone for a while, then asked with
//! a single delivery, the probe.
//!
//! Plain data that takes in two things: results ([`Breaker::learn`]) and deliveries that ask to be sent
//! ([`Breaker::ask`], then [`Breaker::permission`]). All workers share one breaker for each subscription; what they share is kept in Redis, where a script follows these same rules and
//! is tested against them (`onering-queue`). Time is an argument and may stand still or step back.
//!
//! Invariant: from a [`Permission::Probe`] until that probe's result or the end of its lease, nobody else is given
//! a permission.

mod policy;
#[cfg(test)]
mod tests;

use std::time::Duration;

use onering_ids::DeliveryId;

pub use policy::{BreakerPolicy, BreakerPolicyError};

use crate::database_time::DatabaseTime;
use crate::reach::Reach;
use crate::text_enum::text_enum;

/// How a subscription's breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breaker {
    /// Deliveries go out.
    Closed {
        /// Failures in a row, fewer than open it.
        failures: u32,
    },
    /// Nothing is sent.
    Open {
        /// How often it opened since it was last closed, from 1.
        opens: u32,
        /// From then on one delivery may probe.
        until: DatabaseTime,
    },
    /// One delivery is under way to see whether anybody is there; all others wait.
    HalfOpen {
        /// As in [`Breaker::Open`].
        opens: u32,
        /// That delivery.
        probe: DeliveryId,
        /// From then on its result is no longer waited for, and another may probe.
        until: DatabaseTime,
    },
}

text_enum! {
    /// A change of a breaker that people want to know of.
    BreakerChange("breaker change") {
        /// Failures opened it.
        Opened = "OPENED",
        /// A delivery was sent to see whether anybody is there.
        Probed = "PROBED",
        /// The probe arrived.
        Closed = "CLOSED",
        /// The probe failed as well.
        Reopened = "REOPENED",
    }
}

/// What a breaker is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerInput {
    /// The result of an attempt: see [`Breaker::learn`].
    Result {
        /// Whose.
        delivery: DeliveryId,
        /// What it says about the receiver.
        reach: Reach,
    },
    /// A delivery asks to be sent: see [`Breaker::ask`].
    Ask {
        /// Which.
        delivery: DeliveryId,
        /// How long its result is waited for.
        lease: Duration,
    },
}

/// Whether a delivery may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// It may.
    Pass,
    /// It may, as the one probe.
    Probe,
    /// Not before then.
    Wait(DatabaseTime),
}

/// What a breaker that was seen a moment ago means for a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outlook {
    /// It may be sent.
    Clear,
    /// It has to ask first.
    Ask,
    /// It has to wait; asking is no use.
    Wait,
}

impl Default for Breaker {
    fn default() -> Self {
        Self::HEALTHY
    }
}

impl Breaker {
    /// No failure is known: the breaker of nearly every subscription, which need not be kept.
    pub const HEALTHY: Self = Self::Closed { failures: 0 };

    /// Whether no failure is known.
    #[must_use]
    pub const fn is_healthy(&self) -> bool {
        matches!(self, Self::Closed { failures: 0 })
    }

    /// Whether deliveries go out as they come.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        matches!(self, Self::Closed { .. })
    }

    /// Takes in the result of `delivery`.
    ///
    /// While open, results are those of stragglers, which were under way before and say nothing new; half open, only the
    /// probe's counts.
    pub fn learn(
        &mut self,
        delivery: DeliveryId,
        reach: Reach,
        policy: &BreakerPolicy,
        now: DatabaseTime,
    ) -> Option<BreakerChange> {
        match *self {
            Self::Closed { failures } => {
                let failures = if reach == Reach::Failed { failures.saturating_add(1) } else { 0 };
                if failures < policy.failures() {
                    *self = Self::Closed { failures };
                    return None;
                }
                *self = policy.open(1, now);
                Some(BreakerChange::Opened)
            }
            Self::HalfOpen { opens, probe, .. } if probe == delivery => match reach {
                Reach::Reached => {
                    *self = Self::HEALTHY;
                    Some(BreakerChange::Closed)
                }
                Reach::Failed => {
                    *self = policy.open(opens.saturating_add(1), now);
                    Some(BreakerChange::Reopened)
                }
            },
            Self::Open { .. } | Self::HalfOpen { .. } => None,
        }
    }

    /// Takes in that `delivery` asks to be sent; the answer is its [`permission`](Self::permission) afterwards. A probe's
    /// result is waited for during `lease`.
    ///
    /// The probe itself may ask again: its first answer may have been lost, or its worker.
    pub fn ask(&mut self, delivery: DeliveryId, lease: Duration, now: DatabaseTime) -> Option<BreakerChange> {
        let (opens, change) = match *self {
            Self::Closed { .. } => return None,
            Self::HalfOpen { opens, probe, .. } if probe == delivery => (opens, None),
            Self::Open { until, .. } | Self::HalfOpen { until, .. } if now < until => return None,
            Self::Open { opens, .. } | Self::HalfOpen { opens, .. } => (opens, Some(BreakerChange::Probed)),
        };
        *self = Self::HalfOpen { opens, probe: delivery, until: now.plus(lease) };
        change
    }

    /// Whether `delivery`, which has just asked, may be sent.
    #[must_use]
    pub fn permission(&self, delivery: DeliveryId) -> Permission {
        match self {
            Self::Closed { .. } => Permission::Pass,
            Self::HalfOpen { probe, .. } if *probe == delivery => Permission::Probe,
            Self::Open { until, .. } | Self::HalfOpen { until, .. } => Permission::Wait(*until),
        }
    }

    /// Takes in either.
    pub fn take(&mut self, input: &BreakerInput, policy: &BreakerPolicy, now: DatabaseTime) -> Option<BreakerChange> {
        match *input {
            BreakerInput::Result { delivery, reach } => self.learn(delivery, reach, policy, now),
            BreakerInput::Ask { delivery, lease } => self.ask(delivery, lease, now),
        }
    }

    /// What `delivery` can do, going by a breaker that others may have changed since: what waits although it has closed
    /// is let out by whoever hears of that.
    #[must_use]
    pub fn outlook(&self, delivery: DeliveryId, now: DatabaseTime) -> Outlook {
        match self {
            Self::Closed { .. } => Outlook::Clear,
            Self::Open { until, .. } if now < *until => Outlook::Wait,
            Self::HalfOpen { probe, until, .. } if now < *until => {
                if *probe == delivery {
                    Outlook::Clear
                } else {
                    Outlook::Wait
                }
            }
            Self::Open { .. } | Self::HalfOpen { .. } => Outlook::Ask,
        }
    }

    /// Whether somebody should be found to probe: the pause is over, or the probe's lease.
    #[must_use]
    pub fn wants_probe(&self, now: DatabaseTime) -> bool {
        match self {
            Self::Closed { .. } => false,
            Self::Open { until, .. } | Self::HalfOpen { until, .. } => now >= *until,
        }
    }

    /// Failures in a row that count: those that opened it, and every probe that failed since.
    #[must_use]
    pub const fn failures(&self, policy: &BreakerPolicy) -> u32 {
        match self {
            Self::Closed { failures } => *failures,
            Self::Open { opens, .. } | Self::HalfOpen { opens, .. } => {
                policy.failures().saturating_add(opens.saturating_sub(1))
            }
        }
    }
}
