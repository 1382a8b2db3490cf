//! What happens to a key's secrets when it gets a new one.
//!
//! A key has one current secret and, for a grace period after a rotation, the one before it. A rotation starts the
//! current secret's grace and ends that of any earlier one: three secrets never live at once.

use chrono::{DateTime, TimeDelta, Utc};
use onering_ids::SecretId;

/// How long a replaced secret goes on working.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Grace(u32);

/// The number is no grace period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be from 0 to {} seconds", Grace::MAX_SECONDS)]
pub struct GraceError;

impl Grace {
    /// 30 days: beyond it, two secrets are a habit and no longer a hand-over.
    pub const MAX_SECONDS: u32 = 30 * 86_400;

    /// A grace period of so many seconds; 0 ends the old secret at once.
    ///
    /// # Errors
    /// When it is above [`Grace::MAX_SECONDS`].
    pub const fn from_seconds(seconds: u32) -> Result<Self, GraceError> {
        if seconds <= Self::MAX_SECONDS { Ok(Self(seconds)) } else { Err(GraceError) }
    }

    /// In seconds.
    #[must_use]
    pub const fn seconds(self) -> u32 {
        self.0
    }

    /// When a secret that is replaced now stops working.
    #[must_use]
    pub fn end(self, now: DateTime<Utc>) -> DateTime<Utc> {
        now + TimeDelta::seconds(i64::from(self.0))
    }
}

/// One day.
impl Default for Grace {
    fn default() -> Self {
        Self(86_400)
    }
}

/// A secret a key has at the moment of a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveSecret {
    /// Which.
    pub secret_id: SecretId,
    /// When its grace ends; `None` for the current one.
    pub expires_at: Option<DateTime<Utc>>,
}

/// What a rotation does to a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It works until then.
    WorksUntil(DateTime<Utc>),
    /// It is to be removed.
    Ends,
}

/// The fate of each secret a key has, when a new one takes over now.
#[must_use]
pub fn rotate(live: &[LiveSecret], grace: Grace, now: DateTime<Utc>) -> Vec<(SecretId, Fate)> {
    let fate = |secret: &LiveSecret| match secret.expires_at {
        None if grace.seconds() > 0 => Fate::WorksUntil(grace.end(now)),
        None | Some(_) => Fate::Ends,
    };
    live.iter().map(|secret| (secret.secret_id, fate(secret))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000, 0).unwrap()
    }

    fn secret(number: u64, expires_at: Option<DateTime<Utc>>) -> LiveSecret {
        LiveSecret { secret_id: SecretId::floor(number), expires_at }
    }

    #[test]
    fn the_current_secret_gets_its_grace() {
        let day_later = now() + TimeDelta::days(1);
        let fates = rotate(&[secret(1, None)], Grace::default(), now());
        assert_eq!(fates, [(SecretId::floor(1), Fate::WorksUntil(day_later))]);
    }

    #[test]
    fn an_earlier_secret_ends_when_the_next_rotation_comes() {
        let live = [secret(1, Some(now() + TimeDelta::hours(1))), secret(2, None)];
        let fates = rotate(&live, Grace::from_seconds(60).unwrap(), now());
        let minute_later = now() + TimeDelta::seconds(60);
        let expected = [(SecretId::floor(1), Fate::Ends), (SecretId::floor(2), Fate::WorksUntil(minute_later))];
        assert_eq!(fates, expected);
        let surviving = fates.iter().filter(|(_, fate)| *fate != Fate::Ends).count();
        assert!(surviving <= 1, "with the new one at most two live");
    }

    #[test]
    fn without_grace_the_old_secret_ends_at_once() {
        let fates = rotate(&[secret(1, None)], Grace::from_seconds(0).unwrap(), now());
        assert_eq!(fates, [(SecretId::floor(1), Fate::Ends)]);
    }

    #[test]
    fn grace_has_an_end() {
        assert!(Grace::from_seconds(Grace::MAX_SECONDS).is_ok());
        assert_eq!(Grace::from_seconds(Grace::MAX_SECONDS + 1), Err(GraceError));
    }
}
