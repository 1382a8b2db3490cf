use std::fmt;
use std::str::FromStr;

/// What a gateway does while Redis does not answer (`ONERING_RATELIMIT_ON_REDIS_LOSS`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LossPolicy {
    /// Each replica enforces the whole limit by itself and says so in a header.
    #[default]
    Local,
    /// Everything is admitted.
    Open,
    /// Everything is refused with 503.
    Closed,
}

/// The text is none of `local`, `open` and `closed`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be local, open or closed")]
pub struct UnknownLossPolicy;

impl LossPolicy {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Local, Self::Open, Self::Closed];

    /// The text form.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }
}

impl FromStr for LossPolicy {
    type Err = UnknownLossPolicy;

    fn from_str(text: &str) -> Result<Self, UnknownLossPolicy> {
        Self::ALL.into_iter().find(|policy| policy.as_str() == text).ok_or(UnknownLossPolicy)
    }
}

impl fmt::Display for LossPolicy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_policy_are_the_same_thing() {
        for policy in LossPolicy::ALL {
            assert_eq!(policy.to_string().parse(), Ok(policy));
        }
        assert_eq!("Local".parse::<LossPolicy>(), Err(UnknownLossPolicy));
    }
}
