use crate::text_enum::text_enum;

text_enum! {
    /// Why a pending delivery is not sent for now. It waits, spends no attempt and is not lost.
    HeldReason("held reason") {
        /// Delivery is switched off.
        DeliveryOff = "DELIVERY_OFF",
        /// The partner is outside the rollout cohort of webhooks.
        OutsideCohort = "OUTSIDE_COHORT",
        /// The subscription's owner paused it.
        SubscriptionPaused = "SUBSCRIPTION_PAUSED",
        /// An operator or the platform disabled the subscription.
        SubscriptionDisabled = "SUBSCRIPTION_DISABLED",
        /// The partner is disabled.
        PartnerDisabled = "PARTNER_DISABLED",
        /// The subscription's breaker is open.
        BreakerOpen = "BREAKER_OPEN",
    }
}

/// How a subscription stands with its worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Deliveries go out.
    Active,
    /// Paused by its owner.
    Paused,
    /// Disabled by an operator or by the platform.
    Disabled,
    /// Deleted: what waits for it is cancelled.
    Deleted,
}

/// Everything that decides whether a delivery may go out now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Circumstances {
    /// The subscription.
    pub subscription: Standing,
    /// Whether its owner is an active partner.
    pub partner_active: bool,
    /// Whether its owner is inside the cohort of webhooks.
    pub in_cohort: bool,
    /// Whether delivery is switched on.
    pub delivery_on: bool,
    /// Whether the subscription's breaker keeps it back.
    pub breaker_open: bool,
}

impl Circumstances {
    /// Why a delivery must wait; `None` when it may go out (or, for a deleted subscription, be cancelled).
    ///
    /// The reason that a person must remove comes first, the one that goes by itself last: lists then tell an owner what
    /// to do about it.
    #[must_use]
    pub const fn hold(&self) -> Option<HeldReason> {
        match self.subscription {
            Standing::Deleted => return None,
            Standing::Disabled => return Some(HeldReason::SubscriptionDisabled),
            Standing::Paused => return Some(HeldReason::SubscriptionPaused),
            Standing::Active => {}
        }
        if !self.partner_active {
            Some(HeldReason::PartnerDisabled)
        } else if !self.in_cohort {
            Some(HeldReason::OutsideCohort)
        } else if !self.delivery_on {
            Some(HeldReason::DeliveryOff)
        } else if self.breaker_open {
            Some(HeldReason::BreakerOpen)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FREE: Circumstances = Circumstances {
        subscription: Standing::Active,
        partner_active: true,
        in_cohort: true,
        delivery_on: true,
        breaker_open: false,
    };

    #[test]
    fn each_circumstance_holds_by_itself() {
        assert_eq!(FREE.hold(), None);
        for (circumstances, reason) in [
            (Circumstances { subscription: Standing::Paused, ..FREE }, HeldReason::SubscriptionPaused),
            (Circumstances { subscription: Standing::Disabled, ..FREE }, HeldReason::SubscriptionDisabled),
            (Circumstances { partner_active: false, ..FREE }, HeldReason::PartnerDisabled),
            (Circumstances { in_cohort: false, ..FREE }, HeldReason::OutsideCohort),
            (Circumstances { delivery_on: false, ..FREE }, HeldReason::DeliveryOff),
            (Circumstances { breaker_open: true, ..FREE }, HeldReason::BreakerOpen),
        ] {
            assert_eq!(circumstances.hold(), Some(reason));
            if reason != HeldReason::BreakerOpen {
                let with_breaker = Circumstances { breaker_open: true, ..circumstances };
                assert_eq!(with_breaker.hold(), Some(reason), "the breaker closes by itself");
            }
        }
    }

    #[test]
    fn what_is_deleted_is_not_held() {
        let gone = Circumstances {
            subscription: Standing::Deleted,
            partner_active: false,
            in_cohort: false,
            delivery_on: false,
            breaker_open: true,
        };
        assert_eq!(gone.hold(), None);
    }

    /// The words are in a CHECK of the migration.
    #[test]
    fn the_words_of_the_contract() {
        let words: Vec<_> = HeldReason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(
            words,
            [
                "DELIVERY_OFF",
                "OUTSIDE_COHORT",
                "SUBSCRIPTION_PAUSED",
                "SUBSCRIPTION_DISABLED",
                "PARTNER_DISABLED",
                "BREAKER_OPEN",
            ]
        );
    }
}
