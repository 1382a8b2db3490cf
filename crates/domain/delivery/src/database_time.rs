use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};

/// An instant by the clock of the Postgres server, in Unix microseconds (its resolution).
///
/// Leases and due times are compared with that clock alone, so that workers whose clocks disagree never fight over a
/// delivery; a type of its own keeps a worker's own clock out of the comparison. All arithmetic saturates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DatabaseTime(i64);

impl DatabaseTime {
    /// From Unix microseconds.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// From Unix milliseconds.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1000))
    }

    /// From a `timestamptz` the database sent, or from a local clock plus the measured offset.
    #[must_use]
    pub fn from_utc(instant: DateTime<Utc>) -> Self {
        Self(instant.timestamp_micros())
    }

    /// Unix microseconds.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Unix milliseconds, rounded down.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// As a `timestamptz` to bind.
    #[must_use]
    pub fn to_utc(self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.0).unwrap_or(if self.0 < 0 {
            DateTime::<Utc>::MIN_UTC
        } else {
            DateTime::<Utc>::MAX_UTC
        })
    }

    /// This much later.
    #[must_use]
    pub fn plus(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(wait.as_micros()).unwrap_or(i64::MAX)))
    }

    /// This much earlier.
    #[must_use]
    pub fn minus(self, time: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(time.as_micros()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this is; zero when it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        if self.0 <= earlier.0 { Duration::ZERO } else { Duration::from_micros(self.0.abs_diff(earlier.0)) }
    }
}

impl From<DateTime<Utc>> for DatabaseTime {
    fn from(instant: DateTime<Utc>) -> Self {
        Self::from_utc(instant)
    }
}

impl fmt::Display for DatabaseTime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.to_utc(), formatter)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn nothing_overflows(micros: i64, other: i64, wait: u64) {
            let (one, other) = (DatabaseTime::from_micros(micros), DatabaseTime::from_micros(other));
            let later = one.plus(Duration::from_secs(wait));
            prop_assert!(later >= one);
            prop_assert!(one.minus(Duration::from_secs(wait)) <= one);
            let _ = (one.to_utc(), one.since(other), one.millis(), DatabaseTime::from_millis(micros));
        }

        #[test]
        fn since_undoes_plus(millis in -60_000_000_000_000_i64..60_000_000_000_000, wait in 0_u64..1_000_000_000_000) {
            let at = DatabaseTime::from_millis(millis);
            let wait = Duration::from_micros(wait);
            prop_assert_eq!(at.plus(wait).since(at), wait);
            prop_assert_eq!(at.plus(wait).minus(wait), at);
            prop_assert_eq!(at.since(at.plus(wait)), Duration::ZERO);
            prop_assert_eq!(DatabaseTime::from_utc(at.to_utc()), at);
        }
    }
}
