use chrono::{DateTime, Utc};

/// A rotation of a subscription's secret whose overlap is on, and which of the two secrets its receiver is known to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// When the secret was rotated.
    pub started_at: DateTime<Utc>,
    /// End of the overlap.
    pub previous_expires_at: DateTime<Utc>,
    /// Requests signed with both secrets so far.
    pub sent_with_both: u64,
    /// 2xx answers that named the current secret.
    pub verified_with_current: u64,
    /// 2xx answers that named the previous one.
    pub verified_with_previous: u64,
    /// When an answer last named the current secret.
    pub last_verified_with_current_at: Option<DateTime<Utc>>,
    /// When an answer last named the previous one.
    pub last_verified_with_previous_at: Option<DateTime<Utc>>,
    /// When the receiver first showed that it takes the current secret.
    pub confirmed_at: Option<DateTime<Utc>>,
}

impl Rotation {
    /// Whether a receiver still verifies with the previous secret, as far as it says so: an answer named it, and none has
    /// named only the current one since. `None` when nothing is known.
    #[must_use]
    pub fn still_on_previous(&self) -> Option<bool> {
        match (self.last_verified_with_previous_at, self.last_verified_with_current_at) {
            (None, None) => self.confirmed_at.map(|_| false),
            // Of two receivers that were counted together one may not have switched yet.
            (previous, current) => Some(previous.is_some() && previous >= current),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rotation(previous: Option<i64>, current: Option<i64>, confirmed: Option<i64>) -> Rotation {
        let at = |second: Option<i64>| second.and_then(|second| DateTime::from_timestamp(second, 0));
        Rotation {
            started_at: DateTime::UNIX_EPOCH,
            previous_expires_at: DateTime::UNIX_EPOCH,
            sent_with_both: 9,
            verified_with_current: 0,
            verified_with_previous: 0,
            last_verified_with_current_at: at(current),
            last_verified_with_previous_at: at(previous),
            confirmed_at: at(confirmed),
        }
    }

    #[test]
    fn the_last_word_counts_and_silence_is_no_word() {
        for (previous, current, confirmed, expected) in [
            (None, None, None, None),
            (None, None, Some(5), Some(false)),
            (Some(1), None, None, Some(true)),
            (Some(1), None, Some(5), Some(true)),
            (None, Some(1), Some(1), Some(false)),
            (Some(1), Some(2), Some(2), Some(false)),
            (Some(2), Some(1), Some(1), Some(true)),
            (Some(2), Some(2), Some(2), Some(true)),
        ] {
            let rotation = rotation(previous, current, confirmed);
            assert_eq!(rotation.still_on_previous(), expected, "{previous:?} {current:?} {confirmed:?}");
        }
    }
}
