use std::fmt;
use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};

/// An hourly limit an operator chose for one key: 1 to [`Limit::MAX`] units of cost an hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Limit(NonZeroU64);

/// The number is no hourly limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a limit is a whole number from 1 to {}", Limit::MAX)]
pub struct LimitError;

impl Limit {
    /// The largest limit: far beyond any use, and small enough that Redis, which counts in doubles, counts exactly.
    pub const MAX: u64 = 1_000_000_000_000;

    /// A limit of so many units an hour.
    ///
    /// # Errors
    /// When it is 0 or above [`Limit::MAX`].
    pub const fn new(per_hour: u64) -> Result<Self, LimitError> {
        match NonZeroU64::new(per_hour) {
            Some(limit) if per_hour <= Self::MAX => Ok(Self(limit)),
            _ => Err(LimitError),
        }
    }

    /// Units of cost an hour.
    #[must_use]
    pub const fn per_hour(self) -> u64 {
        self.0.get()
    }
}

impl TryFrom<u64> for Limit {
    type Error = LimitError;

    fn try_from(per_hour: u64) -> Result<Self, LimitError> {
        Self::new(per_hour)
    }
}

impl From<Limit> for u64 {
    fn from(limit: Limit) -> Self {
        limit.per_hour()
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// What a key may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Policy {
    /// Units of cost in a UTC clock hour.
    pub hourly: u64,
    /// Calls in a clock second, whatever each costs; `None` for as many as the hour allows.
    ///
    /// Calls, not cost: a batch of a thousand events must be able to pass under a burst limit of fifty, or no wait
    /// would ever let it pass.
    pub burst_per_second: Option<u64>,
}

impl Policy {
    /// So many units an hour and no burst limit.
    #[must_use]
    pub const fn hourly(hourly: u64) -> Self {
        Self { hourly, burst_per_second: None }
    }
}

/// What one call takes from the hour. A batch costs its number of items; a route may cost nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cost(pub u32);

impl Cost {
    /// The cost of an ordinary call.
    pub const ONE: Self = Self(1);

    /// In units.
    #[must_use]
    pub const fn units(self) -> u64 {
        self.0 as u64
    }
}

impl Default for Cost {
    fn default() -> Self {
        Self::ONE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_have_bounds() {
        assert_eq!(Limit::new(0), Err(LimitError));
        assert_eq!(Limit::new(1).map(Limit::per_hour), Ok(1));
        assert_eq!(Limit::new(Limit::MAX).map(Limit::per_hour), Ok(Limit::MAX));
        assert_eq!(Limit::new(Limit::MAX + 1), Err(LimitError));
        assert_eq!(LimitError.to_string(), "a limit is a whole number from 1 to 1000000000000");
    }

    #[test]
    fn json_holds_the_number() {
        assert_eq!(serde_json::from_str::<Limit>("250").unwrap(), Limit::new(250).unwrap());
        assert_eq!(serde_json::to_string(&Limit::new(250).unwrap()).unwrap(), "250");
        for json in ["0", "-1", "1.5", "\"5\"", "null"] {
            assert!(serde_json::from_str::<Limit>(json).is_err(), "{json}");
        }
    }
}
