use chrono::{DateTime, Utc};
use ipnet::IpNet;
use onering_ids::{KeyId, OwnerId};
use onering_rate_limit::{Limit, Policy};

use crate::scope::ScopeSet;
use crate::tier::{CANARY_HOURLY_LIMIT, Tier};

/// What the platform knows about a key when one of its secrets is shown: the key, its partner, and that secret's grace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// Which key.
    pub key_id: KeyId,
    /// The partner it belongs to.
    pub owner_id: OwnerId,
    /// For people.
    pub name: String,
    /// What it may do.
    pub scopes: ScopeSet,
    /// How much it may call.
    pub tier: Tier,
    /// Whether it is a canary key: let in while only canaries are, and limited to a handful of calls.
    pub canary: bool,
    /// False while an operator has disabled it.
    pub is_active: bool,
    /// Whether it stands on the blocklist.
    pub blocked: bool,
    /// Whether it was revoked, which is for good.
    pub revoked: bool,
    /// From when on the key is refused.
    pub expires_at: Option<DateTime<Utc>>,
    /// From when on this secret of it is refused: the end of a rotation's grace.
    pub secret_expires_at: Option<DateTime<Utc>>,
    /// Blocks of addresses it may be used from; empty for anywhere.
    pub ip_allowlist: Vec<IpNet>,
    /// An hourly limit of its own in place of its tier's.
    pub rate_limit_override: Option<Limit>,
    /// Calls a second, at most.
    pub burst_per_second: Option<u64>,
    /// False while an operator has disabled the partner.
    pub partner_active: bool,
    /// Whether the partner is a canary partner: inside every cohort.
    pub partner_canary: bool,
}

impl KeyRecord {
    /// What it may take. A canary key has its small limit whatever its tier or override; an override beats the tier.
    #[must_use]
    pub fn policy(&self) -> Policy {
        let hourly = match self.rate_limit_override {
            _ if self.canary => CANARY_HOURLY_LIMIT,
            Some(limit) => limit.per_hour(),
            None => self.tier.hourly_limit(),
        };
        Policy { hourly, burst_per_second: self.burst_per_second }
    }

    /// Whether rollout cohorts always hold it: by its partner, or by being a canary key itself.
    #[must_use]
    pub const fn is_canary_in_rollout(&self) -> bool {
        self.canary || self.partner_canary
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A key that everything is right with.
    pub(crate) fn good_key() -> KeyRecord {
        KeyRecord {
            key_id: KeyId::floor(1_700_000_000_000),
            owner_id: "acme".parse().unwrap(),
            name: "acme production".to_owned(),
            scopes: ScopeSet::all_partner(),
            tier: Tier::Free,
            canary: false,
            is_active: true,
            blocked: false,
            revoked: false,
            expires_at: None,
            secret_expires_at: None,
            ip_allowlist: Vec::new(),
            rate_limit_override: None,
            burst_per_second: None,
            partner_active: true,
            partner_canary: false,
        }
    }

    #[test]
    fn whose_limit_counts() {
        let own = Some(Limit::new(250).unwrap());
        let cases = [
            (Tier::Free, None, false, 100),
            (Tier::Pro, None, false, 1_000),
            (Tier::Enterprise, None, false, 10_000),
            (Tier::Free, own, false, 250),
            (Tier::Enterprise, own, false, 250),
            (Tier::Free, None, true, 10),
            (Tier::Enterprise, None, true, 10),
            (Tier::Enterprise, own, true, 10),
        ];
        for (tier, rate_limit_override, canary, hourly) in cases {
            let key = KeyRecord { tier, rate_limit_override, canary, ..good_key() };
            assert_eq!(key.policy(), Policy::hourly(hourly), "{tier} {rate_limit_override:?} {canary}");
        }
    }

    #[test]
    fn a_canary_partner_does_not_make_a_canary_key() {
        let key = KeyRecord { partner_canary: true, ..good_key() };
        assert_eq!(key.policy().hourly, 100);
        assert!(key.is_canary_in_rollout());
    }

    #[test]
    fn the_burst_stands_beside_the_hour() {
        let key = KeyRecord { burst_per_second: Some(5), ..good_key() };
        assert_eq!(key.policy(), Policy { hourly: 100, burst_per_second: Some(5) });
    }
}
