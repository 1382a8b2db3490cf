use crate::text_enum::text_enum;

text_enum! {
    /// Where a delivery stands, as its row says. That it is being sent right now is known to its worker only.
    Status("delivery status") {
        /// Waits for its first attempt, or is held.
        Pending = "PENDING",
        /// Failed at least once and waits for the next attempt.
        Retrying = "RETRYING",
        /// The receiver answered 2xx. Final.
        Delivered = "DELIVERED",
        /// Given up: refused for good, or out of attempts. Final.
        Dead = "DEAD",
        /// Too old: the receiver said so, or the subscription's age limit did. Final.
        ReplayExpired = "REPLAY_EXPIRED",
        /// Its subscription is gone. Final.
        Cancelled = "CANCELLED",
    }
}

impl Status {
    /// Whether the delivery is over: a final status never changes again.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        match self {
            Self::Pending | Self::Retrying => false,
            Self::Delivered | Self::Dead | Self::ReplayExpired | Self::Cancelled => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_status_are_the_same_thing() {
        for status in Status::ALL {
            assert_eq!(status.as_str().parse(), Ok(*status));
            assert_eq!(serde_json::to_string(status).unwrap(), format!("\"{status}\""));
            assert_eq!(serde_json::from_str::<Status>(&format!("\"{status}\"")).unwrap(), *status);
        }
        assert_eq!(
            "DELIVERING".parse::<Status>().unwrap_err().to_string(),
            "not a known delivery status: use PENDING, RETRYING, DELIVERED, DEAD, REPLAY_EXPIRED, CANCELLED"
        );
    }

    /// The words are in a CHECK of the migration, in scripts and on dashboards.
    #[test]
    fn the_words_of_the_contract() {
        let words: Vec<_> = Status::ALL.iter().map(|status| status.as_str()).collect();
        assert_eq!(words, ["PENDING", "RETRYING", "DELIVERED", "DEAD", "REPLAY_EXPIRED", "CANCELLED"]);
        let final_ones = Status::ALL.iter().filter(|status| status.is_terminal()).count();
        assert_eq!(final_ones, 4);
    }
}
