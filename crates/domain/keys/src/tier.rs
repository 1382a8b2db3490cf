use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Units of cost an hour for a canary key, whatever its tier: enough to see that it works, too few to lean on.
pub const CANARY_HOURLY_LIMIT: u64 = 10;

/// How much a key may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// 100 an hour; what a key gets when nothing is said.
    #[default]
    Free,
    /// 1,000 an hour.
    Pro,
    /// 10,000 an hour.
    Enterprise,
}

/// The text names no tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be free, pro or enterprise")]
pub struct UnknownTier;

impl Tier {
    /// All tiers, the smallest first.
    pub const ALL: [Self; 3] = [Self::Free, Self::Pro, Self::Enterprise];

    /// Units of cost an hour.
    #[must_use]
    pub const fn hourly_limit(self) -> u64 {
        match self {
            Self::Free => 100,
            Self::Pro => 1_000,
            Self::Enterprise => 10_000,
        }
    }

    /// The text form, in rows, JSON and metric labels.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Pro => "pro",
            Self::Enterprise => "enterprise",
        }
    }
}

impl FromStr for Tier {
    type Err = UnknownTier;

    fn from_str(text: &str) -> Result<Self, UnknownTier> {
        Self::ALL.into_iter().find(|tier| tier.as_str() == text).ok_or(UnknownTier)
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_json_and_tier_are_the_same_thing() {
        for tier in Tier::ALL {
            assert_eq!(tier.to_string().parse(), Ok(tier));
            assert_eq!(serde_json::to_value(tier).unwrap(), tier.as_str());
        }
        assert_eq!("gold".parse::<Tier>(), Err(UnknownTier));
    }

    #[test]
    fn limits_of_the_contract() {
        assert_eq!(Tier::ALL.map(Tier::hourly_limit), [100, 1_000, 10_000]);
        assert_eq!(CANARY_HOURLY_LIMIT, 10);
    }
}
